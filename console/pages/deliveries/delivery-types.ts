import type { ChannelState, DeliveryItem } from "../../../src/client/api-types.gen.ts";

export const CHANNELS = {
  email: "Mail",
  webhook: "Webhook",
  webpush: "Browser push",
  fcm: "Android push",
  apns: "iOS push",
  pusher: "Pusher",
  service: "Chat and paging services",
} as const;

export const STATES = {
  queued: { tone: "info", text: "queued" },
  sending: { tone: "info", text: "being sent" },
  delivered: { tone: "ok", text: "delivered" },
  failed: { tone: "warn", text: "retried later" },
  dead: { tone: "bad", text: "failed" },
  skipped: { tone: "plain", text: "skipped" },
} as const;

/** The state of a channel in one word with its colour. */
export const CHANNEL_STATES = {
  off: { tone: "plain", text: "not set up" },
  ok: { tone: "ok", text: "works" },
  paused: { tone: "bad", text: "paused" },
  failing: { tone: "warn", text: "fails" },
} as const;

/** A channel is known to work after its first success since the start. */
export function channelState({ state, lastSuccessAt }: Pick<ChannelState, "state" | "lastSuccessAt">) {
  return state === "ok" && lastSuccessAt === null
    ? ({ tone: "plain", text: "not tried yet" } as const)
    : CHANNEL_STATES[state];
}

/** Who or what a delivery goes to. */
export function recipientOf({ userName, webhookHost, target }: DeliveryItem): string {
  return webhookHost ?? userName ?? target;
}
