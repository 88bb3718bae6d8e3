import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Subscription } from "../../src/client/subscription.ts";
import type { Entry } from "../../src/client/views.ts";
import { useLatest } from "../ui/index.ts";
import { client } from "./session.ts";

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

function listenTo(stream: string, listener: Listener): void {
  const current = client.peek();
  if (!current) return;
  let entry = shared.get(stream);
  if (!entry) {
    const subscription = current.subscribe(stream) as unknown as Subscription;
    const listeners = new Set<Listener>();
    entry = { subscription, listeners };
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
  const opening = streams.flatMap((stream) => shared.get(stream)?.subscription ?? []).filter((each) => !each.isOpen);
  if (opening.length > 0) void Promise.all(opening.map(({ opened }) => opened)).then(() => isEnded || work());
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

/** Calls `reload` when the connection is back: not everything missed is replayed. */
export function useReconnected(reload: () => void): void {
  const latest = useLatest(reload);
  useEffect(() => {
    let wasLive = connection.peek() === "live";
    let wasLost = false;
    return connection.subscribe((state) => {
      if (state === "live" && wasLost) latest.current();
      wasLost = state !== "live" && (wasLost || wasLive);
      wasLive = state === "live";
    });
  }, []);
}
