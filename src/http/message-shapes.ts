import * as v from "valibot";
import type { Config } from "../config/load.ts";
import { PrismError } from "../core/errors.ts";
import { openObject, text } from "./shapes.ts";

/** Channels a notification may go out by. `in_app` is the live streams and the list; the others need a device or a provider. */
export const CHANNELS = ["in_app", "pusher", "fcm", "apns", "email", "webhook"] as const;
export type Channel = (typeof CHANNELS)[number];

/** What a rule uses that names no channel. */
export const DEFAULT_CHANNELS: readonly Channel[] = ["in_app", "pusher", "fcm", "apns"];

/** From this priority on a notification ignores quiet hours, and a push wakes the device at once. */
export const URGENT_PRIORITY = 500;

/** The channels that this server has. */
export interface ServedChannels {
  accepts(channel: Channel): boolean;
}

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
export function requireServed(channels: readonly Channel[] | undefined, served: ServedChannels): void {
  const unserved = channels?.find((channel) => !served.accepts(channel));
  if (unserved) throw new PrismError("NOT_CONFIGURED", `This server has no channel ${unserved}`);
}

/**
 * Links that a notification carries are opened by browsers and apps: only http, https and the app schemes that the operator has listed
 * (contract 12.7). @throws VALIDATION_FAILED @param path of the member, for the error.
 */
export function requireLink(url: string | undefined, path: string, { notifications }: Config): void {
  if (url === undefined) return;
  const scheme = URL.canParse(url) ? new URL(url).protocol.slice(0, -1) : "";
  if (scheme === "http" || scheme === "https" || notifications.appSchemes.includes(scheme)) return;
  throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [
      {
        path,
        code: "VALUE",
        message: "must be an http or https URL, or one of the schemes in notifications.appSchemes",
      },
    ],
  });
}
