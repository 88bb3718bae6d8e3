import type { Hub } from "../../hub.ts";
import type { StreamEntry } from "../../stream.ts";

/**
 * The event that a cache channel sends to a new subscriber: the last one that was triggered and announced, from the log, so it needs no memory and
 * survives a restart. @param since epoch ms; an older event has expired. @returns undefined for a cache miss
 */
export function cachedEntry(hub: Hub, channel: string, since: number): StreamEntry | undefined {
  const stream = { kind: "pusher", channel } as const;
  const entry = hub.history.last(stream, hub.head(stream));
  return entry && entry.at > since ? entry : undefined;
}
