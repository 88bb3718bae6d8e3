import { useEffect, useRef } from "preact/hooks";
import type { Entry } from "../../src/client/views.ts";
import { useLatest } from "../ui/index.ts";
import { useReconnected, useStreams } from "./live.ts";
import { streamsOf, useProjects } from "./projects.ts";

/** For figures that change with time alone, such as those of the last hour: no stream has them. */
export const IDLE_MS = 60_000;

/**
 * Runs `work` after announced changes, at most once in `everyMs`; also when the window gets the
 * focus and after a reconnect. Nothing runs while the page is hidden.
 * @param idleMs runs also this often without a change @returns announces a change
 */
export function useRefresh(work: () => void, everyMs = 3000, idleMs?: number): () => void {
  const latest = useLatest(work);
  const state = useRef<{ lastAt: number; timer: ReturnType<typeof setTimeout> | undefined }>({
    lastAt: Date.now(),
    timer: undefined,
  });
  const run = () => {
    clearTimeout(state.current.timer);
    state.current.timer = undefined;
    if (document.hidden) return;
    state.current.lastAt = Date.now();
    latest.current();
  };
  useReconnected(run);
  useEffect(() => {
    const interval = idleMs === undefined ? undefined : setInterval(run, idleMs);
    addEventListener("focus", run);
    return () => {
      clearInterval(interval);
      clearTimeout(state.current.timer);
      removeEventListener("focus", run);
    };
  }, []);
  return () => {
    const { current } = state;
    if (current.timer !== undefined) return;
    current.timer = setTimeout(run, Math.max(0, current.lastAt + everyMs - Date.now()));
  };
}

interface Changes {
  /** Default: all projects of the user. */
  readonly projectId?: string | undefined;
  readonly everyMs?: number;
  readonly idleMs?: number;
  /** Called with the type of each matching entry, at once. */
  readonly onType?: (type: string) => void;
  /** False: what happens while the stream opens can wait, as in figures of a day. Default: it is read again then. */
  readonly isExact?: boolean;
}

/** {@link useRefresh} after entries of projects' streams. @param types such as `/^oncall\./` */
export function useProjectChanges(types: RegExp, work: () => void, options: Changes = {}): void {
  const { projectId = "", everyMs = 1000, idleMs = IDLE_MS, onType, isExact = true } = options;
  const refresh = useRefresh(work, everyMs, idleMs);
  const take = ({ type: entryType, data }: Entry) => {
    const type = (data as { readonly type?: string } | null)?.type ?? entryType;
    if (!types.test(type) && !types.test(entryType)) return;
    refresh();
    onType?.(type);
  };
  useStreams(streamsOf(useProjects(), projectId), take, isExact ? refresh : undefined);
}
