import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { openObject, text } from "../../http/shapes.ts";
import type { Channels } from "../delivery/index.ts";

/** Channels a notification may go out by. `in_app` is the live streams and the list; the others need a device or a provider. */
export const CHANNELS = ["in_app", "pusher", "fcm", "apns", "email", "webhook"] as const;
export type Channel = (typeof CHANNELS)[number];

/** What a rule uses that names no channel. */
export const DEFAULT_CHANNELS: readonly Channel[] = ["in_app", "pusher", "fcm", "apns"];

const MAX_ACTION_BYTES = 4096;

export const ChannelList = v.pipe(v.array(v.picklist(CHANNELS)), v.minLength(1, "must name at least one channel"));

/** What a client offers to do with a notification. Members besides these are the client's own and kept. */
export const Action = v.pipe(
  openObject({ type: text(50, 1), url: v.optional(text(2048, 1)), label: v.optional(text(100)) }),
  v.check(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= MAX_ACTION_BYTES,
    `must be at most ${MAX_ACTION_BYTES} bytes`,
  ),
);

/** @throws NOT_CONFIGURED for a channel that this server does not have. */
export function requireServed(channels: readonly Channel[] | undefined, senders: Pick<Channels, "accepts">): void {
  const unserved = channels?.find((channel) => !senders.accepts(channel));
  if (unserved) throw new PrismError("NOT_CONFIGURED", `This server has no channel ${unserved}`);
}
