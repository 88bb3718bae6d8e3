import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Subscription } from "../../src/client/subscription.ts";
import type { Entry } from "../../src/client/views.ts";
import { useLatest } from "../ui/index.ts";
import { client, openedAt } from "./session.ts";

/** `live`: entries arrive at once. `connecting`: the connection was lost or is being opened. */
export const connection = signal<"live" | "connecting" | "offline">("connecting");

/** Whether the connection has been lost for so long that what is shown may be old. */
export const isLost = signal(false);

/** A server that restarts is back by then. */
const LOST_AFTER_MS = 3000;
let lostTimer: ReturnType<typeof setTimeout> | undefined;
let wasLive = false;

connection.subscribe((state) => {
  if (state === "live") {
    wasLive = true;
    clearTimeout(lostTimer);
    lostTimer = undefined;
    isLost.value = false;
  } else if (wasLive) {
    // Where WebSockets do not pass, the connection is never live, and nothing is lost.
    lostTimer ??= setTimeout(() => {
      isLost.value = true;
    }, LOST_AFTER_MS);
  }
});

type Listener = (entry: Entry) => void;

interface Shared {
  readonly subscription: Subscription;
  readonly listeners: Set<Listener>;
  /** It has all entries since the session was opened, so that nothing is read again once it is open. */
  readonly isWhole: boolean;
}

const shared = new Map<string, Shared>();
/** Components that listen before the session is open, or across sessions. */
const wanted = new Set<{ stream: string; listener: Listener }>();

effect(() => {
  shared.clear();
  const { value } = client;
  if (!value) return;
  const noteState = () => {
    const { state } = value.state;
    connection.value = state === "open" ? "live" : navigator.onLine ? "connecting" : "offline";
  };
  noteState();
  const off = [value.on("state", noteState), value.on("error", () => undefined)];
  for (const type of ["online", "offline"]) {
    addEventListener(type, noteState);
    off.push(() => removeEventListener(type, noteState));
  }
  for (const { stream, listener } of wanted) listenTo(stream, listener);
  return () => {
    for (const stop of off) stop();
  };
});

/** So long after the session was opened, entries since then are too many to be read for a stream that opens. */
const FIRST_PAGE_MS = 10_000;

/** The offset at which the session was opened: what the first page loads may lack the entries after it. */
function startOf(stream: string): number | undefined {
  if (openedAt === null || performance.now() - openedAt.ms > FIRST_PAGE_MS) return undefined;
  return stream.startsWith("project:") ? openedAt.offsets.projects : openedAt.offsets.others;
}

function listenTo(stream: string, listener: Listener): void {
  const current = client.peek();
  if (!current) return;
  let entry = shared.get(stream);
  if (!entry) {
    const from = startOf(stream);
    const subscription = current.subscribe(stream, from === undefined ? {} : { from }) as unknown as Subscription;
    const listeners = new Set<Listener>();
    entry = { subscription, listeners, isWhole: from !== undefined };
    subscription.on("event", (item) => {
      // A listener that fails must not hold up the stream.
      for (const each of listeners) queueMicrotask(() => each(item as Entry));
    });
    shared.set(stream, entry);
  }
  entry.listeners.add(listener);
}

function stopListening(stream: string, listener: Listener): void {
  const entry = shared.get(stream);
  entry?.listeners.delete(listener);
  if (!entry || entry.listeners.size > 0) return;
  shared.delete(stream);
  void entry.subscription.close();
}

/** Calls `listener` with each entry of a stream, outside of components. @returns ends it */
export function listen(stream: string, listener: Listener): () => void {
  const want = { stream, listener };
  wanted.add(want);
  listenTo(stream, listener);
  return () => {
    wanted.delete(want);
    stopListening(stream, listener);
  };
}

/**
 * Calls `work` once the entries of all these streams arrive, unless they already do: a list that was
 * loaded before lacks what happened in between. @returns ends it
 */
export function onceOpen(streams: readonly string[], work: () => void): () => void {
  let isEnded = false;
  const opening = streams
    .flatMap((stream) => shared.get(stream) ?? [])
    .filter(({ subscription, isWhole }) => !subscription.isOpen && !isWhole);
  const opened = Promise.all(opening.map(({ subscription }) => subscription.opened));
  if (opening.length > 0) void opened.then(() => isEnded || work());
  return () => {
    isEnded = true;
  };
}

/**
 * Calls `listener` with each entry of a live stream: `user:me`, `project:<id>`, `system`,
 * `tasks:me`, `messages:me` (docs/realtime.md). All users of a stream share one subscription.
 * @param stream null: none @param reload see {@link onceOpen}
 */
export function useStream(stream: string | null, listener: Listener, reload?: () => void): void {
  useStreams(stream === null ? [] : [stream], listener, reload);
}

/** {@link useStream} for several streams. */
export function useStreams(streams: readonly string[], listener: Listener, reload?: () => void): void {
  const latest = useLatest({ listener, reload });
  useEffect(() => {
    const stops = streams.map((stream) => listen(stream, (entry) => latest.current.listener(entry)));
    stops.push(onceOpen(streams, () => latest.current.reload?.()));
    return () => {
      for (const stop of stops) stop();
    };
  }, [streams.join(" ")]);
}

/** Calls `reload` when the connection is back: not everything missed is replayed. @returns ends it */
export function onReconnected(reload: () => void): () => void {
  let wasLive = connection.peek() === "live";
  let wasLost = false;
  return connection.subscribe((state) => {
    if (state === "live" && wasLost) reload();
    wasLost = state !== "live" && (wasLost || wasLive);
    wasLive = state === "live";
  });
}

/** {@link onReconnected} while a component is shown. */
export function useReconnected(reload: () => void): void {
  const latest = useLatest(reload);
  useEffect(() => onReconnected(() => latest.current()), []);
}
