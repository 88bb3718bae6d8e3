import { useEffect, useRef, useState } from "preact/hooks";
import type { Event } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { listen, onceOpen, useReconnected } from "../../app/live.ts";
import { useList } from "../../app/query.ts";
import { useLatest } from "../../ui/index.ts";
import type { Outcome } from "./event-types.ts";
import { accepts, type FilterValues, queryOf } from "./filters.ts";

/** Rows in the page; older ones are loaded again by "load more". */
export const MAX_ROWS = 500;
const PAGE = 100;
/** More events in a second than this are counted instead of shown. */
const BURST_PER_S = 20;
/** In a burst only a number changes. */
const BURST_DRAW_MS = 250;
const OUTCOME_DELAY_MS = 700;
const OUTCOME_ATTEMPTS = 4;

export interface LiveEvents {
  readonly items: readonly Event[] | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** Events that arrived but are not shown yet. */
  readonly waiting: number;
  more(): void;
  reload(): void;
  /** Shows the waiting events. */
  show(): void;
}

/** Events since the list was loaded. It changes without a render. */
interface Arrived {
  /** Newest first. */
  shown: Event[];
  /** Newest first, at most {@link MAX_ROWS}. */
  held: Event[];
  heldCount: number;
  /** Start of the current second, and the events since. */
  secondAt: number;
  inSecond: number;
  isBurst: boolean;
}

function nothing(): Arrived {
  return { shown: [], held: [], heldCount: 0, secondAt: 0, inSecond: 0, isBurst: false };
}

/**
 * The events of the filters, newest first, with new ones on top as they arrive.
 * @param streams the projects to follow @param isHeld whether new events must wait, so that rows do
 * not move under the pointer @param page how many are loaded at a time
 */
export function useLiveEvents(
  filters: FilterValues,
  streams: readonly string[],
  isHeld: boolean,
  page = PAGE,
): LiveEvents {
  const query = { ...queryOf(filters), include: "outcome", limit: page };
  const key = JSON.stringify(query);
  const list = useList<Event>("/events", query);
  const arrived = useRef(nothing());
  const [, redraw] = useState(0);
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>(new Map());
  const drawNextFrame = useNextFrame(
    () => redraw((count) => count + 1),
    () => arrived.current.isBurst,
  );
  const latest = useLatest({ filters, isHeld });

  const show = () => {
    const { current } = arrived;
    current.shown = [...current.held, ...current.shown].slice(0, MAX_ROWS);
    current.held = [];
    current.heldCount = 0;
    current.isBurst = false;
    drawNextFrame();
  };
  useEffect(() => {
    arrived.current = nothing();
    const take = (event: Event) => {
      if (!accepts(latest.current.filters, event)) return;
      hold(arrived.current, event);
      drawNextFrame();
    };
    const stops = streams.map((stream) => listen(stream, ({ data }) => take(data as Event)));
    stops.push(onceOpen(streams, list.reload));
    return () => {
      for (const stop of stops) stop();
    };
  }, [key, streams.join(" ")]);
  const { current } = arrived;
  useEffect(() => {
    if (current.heldCount > 0 && !isHeld && !current.isBurst) show();
  });
  const newest = current.shown[0];
  const isOpen = newest !== undefined && (outcomes.get(newest.id)?.result ?? "pending") === "pending";
  useOutcomes({ ...query, limit: Math.max(page, current.shown.length) }, isOpen ? newest : null, (found) =>
    setOutcomes((known) => {
      const news = found.filter(([id, { result }]) => result !== "pending" || !known.has(id));
      return new Map([...known, ...news].slice(-MAX_ROWS));
    }),
  );
  const reload = () => {
    arrived.current = nothing();
    list.reload();
  };
  useReconnected(reload);
  const items = list.items && joined(current.shown, list.items, outcomes);
  const isFull = (items?.length ?? 0) >= MAX_ROWS;
  return {
    items,
    error: list.error,
    loading: list.loading,
    hasMore: list.hasMore && !isFull,
    waiting: current.heldCount,
    more: list.more,
    reload,
    show,
  };
}

function hold(arrived: Arrived, event: Event): void {
  const now = performance.now();
  if (now - arrived.secondAt > 1000) {
    arrived.secondAt = now;
    arrived.inSecond = 0;
  }
  arrived.inSecond += 1;
  if (arrived.inSecond > BURST_PER_S) arrived.isBurst = true;
  arrived.held.unshift(event);
  if (arrived.held.length > MAX_ROWS) arrived.held.length = MAX_ROWS;
  arrived.heldCount += 1;
}

/** Live events have no outcome: it is read from the list once the rules have decided. */
function useOutcomes(
  query: Readonly<Record<string, string | number>>,
  newest: Event | null,
  onFound: (outcomes: readonly (readonly [string, Outcome])[]) => void,
): void {
  const dueAt = useRef(0);
  const reading = useRef<Promise<void>>(Promise.resolve());
  useEffect(() => {
    if (newest === null) return;
    // Newer events may have arrived that are not shown yet.
    const to = new Date(Date.parse(newest.receivedAt) + 1).toISOString();
    let isCurrent = true;
    let attempts = 0;
    const read = async () => {
      const { data } = await api.get<Page<Event>>("/events", { ...query, to });
      onFound(data.flatMap(({ id, outcome }) => (outcome ? [[id, outcome] as const] : [])));
      if (!isCurrent) return;
      attempts += 1;
      const isPending = data.some(({ outcome }) => outcome?.result === "pending");
      if (isPending && attempts < OUTCOME_ATTEMPTS) timer = setTimeout(readQuietly, OUTCOME_DELAY_MS * 2 ** attempts);
    };
    // The rows stay without an outcome when it cannot be read.
    const readQuietly = () => {
      reading.current = reading.current.then(() => (isCurrent ? read() : undefined)).catch(() => undefined);
    };
    // From the first new event on: those that follow all the time must not put it off.
    const now = performance.now();
    if (dueAt.current <= now) dueAt.current = now + OUTCOME_DELAY_MS;
    let timer = setTimeout(readQuietly, dueAt.current - now);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [newest?.id]);
}

function joined(
  live: readonly Event[],
  listed: readonly Event[],
  outcomes: ReadonlyMap<string, Outcome>,
): readonly Event[] {
  const known = new Set<string>();
  const rows: Event[] = [];
  for (const event of [...live, ...listed].sort((a, b) => b.seq - a.seq)) {
    if (known.has(event.id)) continue;
    known.add(event.id);
    const read = outcomes.get(event.id);
    const outcome = read?.result === "pending" ? (event.outcome ?? read) : (read ?? event.outcome);
    rows.push(outcome === undefined || outcome === event.outcome ? event : { ...event, outcome });
    if (rows.length >= MAX_ROWS) break;
  }
  return rows;
}

/** @returns runs the work in the next frame, in a burst later, and once for any number of calls */
function useNextFrame(work: () => void, isBurst: () => boolean): () => void {
  const isPlanned = useRef(false);
  const isMounted = useRef(true);
  useEffect(
    () => () => {
      isMounted.current = false;
    },
    [],
  );
  const run = () => {
    isPlanned.current = false;
    if (isMounted.current) work();
  };
  return () => {
    if (isPlanned.current) return;
    isPlanned.current = true;
    if (isBurst()) setTimeout(run, BURST_DRAW_MS);
    else requestAnimationFrame(run);
  };
}
