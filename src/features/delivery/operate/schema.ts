import * as v from "valibot";
import {
  CHANNELS as ALL_CHANNELS,
  doc,
  example,
  instant,
  integer,
  named,
  object,
  pageEntries,
  queryList,
  text,
} from "../../../http/api/shapes.ts";
import { DeliveryView } from "../../notifications/index.ts";

const CHANNELS = DeliveryView.entries.channel.options;
export const STATES = DeliveryView.entries.state.options;
/** States of unfinished deliveries. */
export const OPEN_STATES = ["queued", "sending", "failed"] as const;

const StateFilter = v.picklist([...STATES, "waiting"]);
const reference = v.pipe(v.string(), v.maxLength(64));

const filters = {
  notificationId: v.optional(doc(reference, "Id of the notification")),
  webhookId: v.optional(doc(reference, "Id of the webhook")),
  userId: v.optional(doc(reference, "Id of the recipient")),
  from: v.optional(doc(instant, "Created at or after")),
  to: v.optional(doc(instant, "Created before")),
};

export const ListDeliveries = object({
  channel: v.optional(doc(queryList(v.picklist(CHANNELS)), "Channels, separated by commas")),
  state: v.optional(
    doc(
      queryList(StateFilter),
      "States, separated by commas; `failed` will be retried, `dead` will not, `waiting` is `queued,sending,failed`",
    ),
  ),
  ...filters,
  ...pageEntries(),
});
export type ListDeliveries = v.InferOutput<typeof ListDeliveries>;
export type DeliveryFilters = Omit<ListDeliveries, "limit" | "page" | "offset" | "cursor">;

/** Limit of deliveries that one request retries. */
export const MAX_RETRIED = 5000;

export const RetryDeliveries = example(
  object({
    filter: doc(
      object({
        channel: v.optional(doc(v.array(v.picklist(CHANNELS)), "Channels")),
        state: v.optional(doc(v.array(StateFilter), 'States; default `["dead"]`')),
        ...filters,
      }),
      "Which deliveries, as in the list",
    ),
    limit: v.optional(doc(integer(1, MAX_RETRIED), `At most this many, the newest first; default ${MAX_RETRIED}`)),
    dryRun: v.optional(doc(v.boolean("must be true or false"), "Counts and changes nothing")),
  }),
  { filter: { channel: ["email"], state: ["dead"] }, dryRun: true },
);
export type RetryDeliveries = v.InferOutput<typeof RetryDeliveries>;

export const Retried = named(
  "RetriedDeliveries",
  "What was retried, or would be",
  v.object({
    matched: doc(v.number(), "Deliveries that the filter selects, up to the limit"),
    retried: doc(v.number(), "Deliveries that are attempted now; 0 in a dry run"),
    dryRun: v.boolean(),
  }),
);

export const NoBody = object({});
export const DeliveryParams = object({ id: doc(v.string(), "Id of the delivery") });

export const DeliveryItem = named(
  "DeliveryItem",
  "A delivery with its notification and recipient, for operators",
  v.object({
    ...DeliveryView.entries,
    providerId: doc(v.nullable(v.string()), "Id of the message at the provider"),
    notificationId: v.string(),
    title: doc(v.nullable(v.string()), "Title of the notification; null if it is gone"),
    userId: doc(v.nullable(v.string()), "Recipient; null for a webhook of a project"),
    userName: v.nullable(v.string()),
    webhookHost: doc(v.nullable(v.string()), "Host of the webhook"),
    nextAttemptAt: doc(v.nullable(v.string()), "When it is attempted next, if it waits for a time"),
  }),
);

export const DeliveryDetail = named(
  "DeliveryDetail",
  "A delivery with its attempts",
  v.object({
    ...DeliveryItem.entries,
    canRetry: doc(v.boolean(), "Whether a retry is possible now"),
    history: doc(
      v.array(
        v.object({
          attempt: v.number(),
          startedAt: v.string(),
          endedAt: v.nullable(v.string()),
          durationMs: v.nullable(v.number()),
          outcome: doc(v.string(), "`delivered`, `failed`, `running` or the job's own"),
          status: doc(v.nullable(v.number()), "Status of the answer, if there was one"),
          error: v.nullable(v.string()),
          worker: v.string(),
        }),
      ),
      "The last 100 attempts, oldest first",
    ),
  }),
);
export type DeliveryDetail = v.InferOutput<typeof DeliveryDetail>;

const time = v.nullable(v.string());

export const DeliveryChannelView = named(
  "ChannelState",
  "A channel and its providers since the start of the server",
  v.object({
    name: v.picklist(CHANNELS),
    configured: v.boolean(),
    workers: doc(v.boolean(), "Remote workers make its calls"),
    state: doc(v.picklist(["off", "ok", "paused", "failing"]), "`failing`: the last delivery failed, calls continue"),
    pausedUntil: doc(time, "Next attempt of the paused provider that is tried first"),
    waiting: doc(v.number(), "Unfinished deliveries, counted up to 100 000 over all channels"),
    lastSuccessAt: doc(time, "When a provider last accepted a delivery"),
    lastFailureAt: time,
    lastError: v.nullable(v.string()),
    targets: doc(
      v.array(
        v.object({
          target: doc(v.string(), "Id of a webhook or device, or `host <name>`; empty for the provider"),
          state: v.picklist(["open", "half-open"]),
          pausedUntil: time,
          lastError: v.nullable(v.string()),
          lastFailureAt: time,
        }),
      ),
      "Paused providers, at most 100",
    ),
  }),
);
export type DeliveryChannelView = v.InferOutput<typeof DeliveryChannelView>;

export const ChannelParams = object({ name: doc(v.string(), "Name of the channel") });

export const ResumeChannel = example(
  object({ target: v.optional(doc(text(300), "Only this target, as in `targets`; default: all of the channel")) }),
  {},
);

export const Resumed = named(
  "ResumedChannel",
  "The channel, and what is attempted now",
  v.object({ channel: DeliveryChannelView, attempted: doc(v.number(), "Waiting deliveries that are attempted now") }),
);

export const PreviewRecipients = example(
  object({
    projectId: doc(v.nullable(reference), "Id of the rule's project; null: every project"),
    targetRoles: doc(v.pipe(v.array(text(100, 1)), v.maxLength(32)), "Names or ids of roles"),
    targetUsers: doc(v.pipe(v.array(text(128, 1)), v.maxLength(1000)), "Ids of users"),
    channels: doc(v.pipe(v.array(v.picklist(ALL_CHANNELS)), v.maxLength(16)), "Channels of the rule"),
    priority: v.optional(doc(integer(-2_147_483_648, 2_147_483_647), "Priority; default 0")),
  }),
  { projectId: null, targetRoles: ["Admin"], targetUsers: [], channels: ["in_app", "email"] },
);
export type PreviewRecipients = v.InferOutput<typeof PreviewRecipients>;

export const RecipientsPreview = named(
  "RecipientsPreview",
  "The users that a rule would notify now, and by which channels",
  v.object({
    users: doc(v.number(), "Number of recipients, counted up to 1000"),
    people: doc(
      v.array(
        v.object({
          userId: v.string(),
          name: v.string(),
          channels: v.array(
            v.object({
              channel: v.picklist(ALL_CHANNELS),
              result: doc(v.picklist(["sent", "waits", "skipped"]), "`waits`: until the quiet hours end"),
              reason: v.nullable(v.string()),
              until: time,
            }),
          ),
        }),
      ),
      "The first 20",
    ),
  }),
);
export type RecipientsPreview = v.InferOutput<typeof RecipientsPreview>;
