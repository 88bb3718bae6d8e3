/** Why a delivery waits or was skipped: `deliveries.reason`, which explain reads. */
export type DeliveryReason =
  /** Waits: for the end of the user's quiet hours. */
  | "quiet hours"
  /** Waits: the user is connected, and may see it there in time. */
  | "connected"
  /** Waits: more was to go out than may; to be told as one with others, if it is not alone. */
  | "rate limited"
  /** Waits: the provider is paused. */
  | "provider paused"
  /** Waits: for earlier calls of the same place, or for a worker that its host or owner may use. */
  | "behind earlier ones"
  /** Waits: the channel is left to workers elsewhere, and none has taken it yet. */
  | "for a worker"
  /** Skipped: one message stands for it and others that came too fast. */
  | "merged"
  /** Skipped: the user has seen it live. */
  | "delivered live"
  /** Skipped: the user does not want this kind by this channel. */
  | "channel off"
  | "below minimum priority"
  | "expired"
  | "deleted by recipient"
  | "recipient not active"
  | "channel not configured"
  /** Skipped: by an operator. */
  | "cancelled";
