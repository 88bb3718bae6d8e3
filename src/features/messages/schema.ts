import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, instant, integer, named, object, text } from "../../http/shapes.ts";

/** The longest that `messages.maxDelayMs` can allow. */
const MAX_DELAY_MS = 31_536_000_000;

/** Contract 8.7. */
const STATUSES = ["scheduled", "queued", "delivering", "retrying", "delivered", "read", "dead", "cancelled"] as const;

export const BOXES = ["inbox", "sent", "all"] as const;

const reference = text(128, 1);

export const SendBody = example(
  v.pipe(
    object({
      recipientId: v.optional(doc(reference, "Id, external id, username or mail address; `me` for the caller")),
      recipient_id: v.optional(doc(reference, "Another name of `recipientId`")),
      content: doc(text(10_000, 1), "Text of the message"),
      sendAt: v.optional(doc(instant, "Time to deliver it; a past time means now")),
      delayMs: v.optional(doc(integer(0, MAX_DELAY_MS), "Delay from now; `sendAt` takes precedence")),
    }),
    v.check(
      (value) => (value.recipientId === undefined) !== (value.recipient_id === undefined),
      "give recipientId or recipient_id",
    ),
  ),
  { recipientId: "me", content: "Stand-up in ten minutes", delayMs: 600_000 },
);
export type SendBody = v.InferOutput<typeof SendBody>;

export const ListQuery = object({
  box: v.optional(doc(v.picklist(BOXES), "Received or sent messages; default `all`")),
  with: v.optional(doc(v.pipe(v.string(), v.maxLength(128)), "Only messages from or to this user")),
  status: v.optional(doc(v.picklist(STATUSES), "Only messages in this state")),
  userId: v.optional(
    doc(v.pipe(v.string(), v.maxLength(128)), "Another user, without content; needs `messages:read_all`"),
  ),
  ...pageEntries(),
});
export type ListQuery = v.InferOutput<typeof ListQuery>;

export const Params = object({ id: doc(v.string(), "Id of the message") });

export const SentView = named(
  "SentMessage",
  "The accepted message",
  v.object({
    id: v.string(),
    status: v.literal("scheduled"),
    deliverAt: v.string(),
    delayMs: v.number(),
    senderId: v.string(),
    recipientId: v.string(),
    createdAt: v.string(),
  }),
);

export const MessageView = named(
  "Message",
  "A message",
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
      doc(v.nullable(v.string()), "Only for sender and recipient; null when the encryption key is missing"),
    ),
  }),
);

export const StatusView = named(
  "MessageStatus",
  "Delivery status and history of a message",
  v.object({
    id: v.string(),
    status: v.picklist(STATUSES),
    queue: doc(v.nullable(v.string()), "Queue of its job; null when finished"),
    attempts: v.number(),
    deliverAt: v.string(),
    deliveredAt: v.nullable(v.string()),
    readAt: v.nullable(v.string()),
    lastError: v.optional(v.string()),
    history: v.array(v.object({ status: v.picklist(STATUSES), at: v.string() })),
  }),
);
