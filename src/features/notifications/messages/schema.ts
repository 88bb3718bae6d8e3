import * as v from "valibot";
import { bytes, column, orNull, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, example, instant, integer, named, object, pageEntries, text } from "../../../http/api/shapes.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    messages: MessageRow;
  }
}

/** The longest that `messages.maxDelayMs` can allow. */
const MAX_DELAY_MS = 31_536_000_000;

/** Contract 8.7. */
const STATUSES = ["scheduled", "queued", "delivering", "retrying", "delivered", "read", "dead", "cancelled"] as const;
export type MessageStatus = (typeof STATUSES)[number];

export const BOXES = ["inbox", "sent", "all"] as const;

const reference = text(128, 1);

export const SendMessage = example(
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
export type SendMessage = v.InferOutput<typeof SendMessage>;

export const ListMessages = object({
  box: v.optional(doc(v.picklist(BOXES), "Received or sent messages; default `all`")),
  with: v.optional(doc(v.pipe(v.string(), v.maxLength(128)), "Only messages from or to this user")),
  status: v.optional(doc(v.picklist(STATUSES), "Only messages in this state")),
  userId: v.optional(
    doc(v.pipe(v.string(), v.maxLength(128)), "Another user, without content; needs `messages:read_all`"),
  ),
  ...pageEntries(),
});
export type ListMessages = v.InferOutput<typeof ListMessages>;

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

/** A message; its content is only for sender and recipient. */
export const Message = resource("Message", "A message", "messages", () => ({
  id: stored(v.string()),
  senderId: stored(v.string()),
  recipientId: stored(v.string()),
  status: stored(v.picklist(STATUSES)),
  delayMs: stored(v.number()),
  deliverAt: stored(v.string(), time),
  attempts: stored(v.number()).or(0),
  lastError: stored(v.nullable(v.string())).or(null),
  deliveredAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  readAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  cancelledAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  correlationId: stored(v.string()),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  /** Sealed. */
  content: column(bytes).shownAs(
    v.optional(doc(v.nullable(v.string()), "Only for sender and recipient; null when the encryption key is missing")),
  ),
  jobId: column(v.string()),
  history: column(v.string()),
}));
export type MessageRow = RowOf<typeof Message>;

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
