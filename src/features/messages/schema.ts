import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { instant, integer, named, object, text } from "../../http/shapes.ts";

/** The longest that `messages.maxDelayMs` can allow. */
const MAX_DELAY_MS = 31_536_000_000;

/** Contract 8.7. */
const STATUSES = ["scheduled", "queued", "delivering", "retrying", "delivered", "read", "dead", "cancelled"] as const;

export const BOXES = ["inbox", "sent", "all"] as const;

const reference = text(128, 1);

export const SendBody = v.pipe(
  object({
    recipientId: v.optional(v.pipe(reference, v.description("Id, external id or username; `me` for yourself"))),
    recipient_id: v.optional(v.pipe(reference, v.description("Another name of recipientId"))),
    content: text(10_000, 1),
    sendAt: v.optional(v.pipe(instant, v.description("When to deliver; what has passed is delivered at once"))),
    delayMs: v.optional(
      v.pipe(integer(0, MAX_DELAY_MS), v.description("Milliseconds from now; sendAt counts where both are given")),
    ),
  }),
  v.check(
    (value) => (value.recipientId === undefined) !== (value.recipient_id === undefined),
    "give recipientId or recipient_id",
  ),
);
export type SendBody = v.InferOutput<typeof SendBody>;

export const ListQuery = object({
  box: v.optional(v.pipe(v.picklist(BOXES), v.description("Default: all"))),
  with: v.optional(v.pipe(v.string(), v.maxLength(128), v.description("Only messages from or to this user"))),
  status: v.optional(v.picklist(STATUSES)),
  userId: v.optional(
    v.pipe(
      v.string(),
      v.maxLength(128),
      v.description("Somebody else's list, without content; needs messages:read_all"),
    ),
  ),
  ...pageEntries(),
});
export type ListQuery = v.InferOutput<typeof ListQuery>;

export const Params = object({ id: v.string() });

export const SentView = v.object({
  id: v.string(),
  status: v.literal("scheduled"),
  deliverAt: v.string(),
  delayMs: v.number(),
  senderId: v.string(),
  recipientId: v.string(),
  createdAt: v.string(),
});

export const MessageView = named(
  "Message",
  v.object({
    id: v.string(),
    senderId: v.string(),
    recipientId: v.string(),
    status: v.picklist(STATUSES),
    delayMs: v.number(),
    deliverAt: v.string(),
    attempts: v.number(),
    lastError: v.nullable(v.string()),
    deliveredAt: v.nullable(v.string()),
    readAt: v.nullable(v.string()),
    cancelledAt: v.nullable(v.string()),
    correlationId: v.string(),
    createdAt: v.string(),
    updatedAt: v.string(),
    content: v.optional(
      v.pipe(
        v.nullable(v.string()),
        v.description("Absent for who is neither sender nor recipient; null when its encryption key is not configured"),
      ),
    ),
  }),
);

export const StatusView = v.object({
  id: v.string(),
  status: v.picklist(STATUSES),
  queue: v.pipe(v.nullable(v.string()), v.description("Where its job is; null once it is over")),
  attempts: v.number(),
  deliverAt: v.string(),
  deliveredAt: v.nullable(v.string()),
  readAt: v.nullable(v.string()),
  lastError: v.optional(v.string()),
  history: v.array(v.object({ status: v.picklist(STATUSES), at: v.string() })),
});
