export const STATUS = {
  scheduled: { tone: "info", text: "scheduled" },
  queued: { tone: "info", text: "queued" },
  delivering: { tone: "info", text: "being delivered" },
  retrying: { tone: "warn", text: "retrying" },
  delivered: { tone: "ok", text: "delivered" },
  read: { tone: "ok", text: "read" },
  dead: { tone: "bad", text: "failed" },
  cancelled: { tone: "plain", text: "cancelled" },
} as const;

/** States in which the sender can still cancel. */
export const CANCELLABLE: ReadonlySet<string> = new Set(["scheduled", "queued", "retrying"]);
