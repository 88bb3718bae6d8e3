/** A delivery, as `GET /api/v1/deliveries` lists it. */
export interface Delivery {
  readonly id: string;
  readonly channel: keyof typeof CHANNELS;
  readonly target: string;
  readonly state: keyof typeof STATES;
  readonly reason: string | null;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly notificationId: string;
  readonly title: string | null;
  readonly userId: string | null;
  readonly userName: string | null;
  readonly webhookHost: string | null;
  readonly nextAttemptAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly deliveredAt: string | null;
}

export interface Channel {
  readonly name: keyof typeof CHANNELS;
  readonly configured: boolean;
  readonly state: "off" | "ok" | "paused" | "failing";
  readonly pausedUntil: string | null;
  readonly waiting: number;
  readonly lastSuccessAt: string | null;
  readonly lastError: string | null;
}

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

/** Who or what a delivery goes to. */
export function recipientOf({ userName, webhookHost, target }: Delivery): string {
  return webhookHost ?? userName ?? target;
}
