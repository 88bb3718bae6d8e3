import * as v from "valibot";
import { object, text } from "../../http/shapes.ts";

export const Params = object({ id: v.string() });
export const Query = object({
  userId: v.optional(
    v.pipe(
      text(128, 1),
      v.description("Also says why this user was told or was not: an id, `me`, a username or an external id"),
    ),
  ),
});

export const OUTCOMES = [
  "fired",
  "suppressed",
  "deduped",
  "cooled",
  "no recipients",
  "condition false",
  "error",
  "inactive",
  "later",
  "undecided",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

const time = v.nullable(v.string());

const StormView = v.object({
  id: v.string(),
  key: v.string(),
  heldBack: v.pipe(v.number(), v.description("Matches held back so far, or in all when it is over")),
  startedAt: v.string(),
  lastAt: v.string(),
  closedAt: time,
  noticeId: v.pipe(v.nullable(v.string()), v.description("The rolling notice that tells of it")),
});

const RuleView = v.object({
  ruleId: v.string(),
  name: v.string(),
  version: v.pipe(v.nullable(v.number()), v.description("The version that met the event; null: there was none yet")),
  outcome: v.picklist(OUTCOMES),
  reason: v.string(),
  at: time,
  notificationId: v.nullable(v.string()),
  condition: v.nullable(v.string()),
  trace: v.nullable(
    v.object({
      matched: v.boolean(),
      value: v.unknown(),
      trace: v.array(
        v.object({
          pos: v.number(),
          text: v.string(),
          value: v.unknown(),
          type: v.optional(v.literal("decimal")),
          hint: v.optional(v.string()),
        }),
      ),
      error: v.optional(v.string()),
    }),
  ),
  suppression: v.nullable(
    v.object({
      limit: v.number(),
      windowMs: v.number(),
      key: v.string(),
      matchesInWindow: v.pipe(
        v.nullable(v.number()),
        v.description(
          "Matches in the time of the window before the event, itself included; null where each key has its own",
        ),
      ),
      storm: v.nullable(StormView),
    }),
  ),
  earlier: v.pipe(
    v.nullable(
      v.object({ notificationId: v.string(), createdAt: v.string(), title: v.string(), aggregateCount: v.number() }),
    ),
    v.description("The notification that stands for this match, or after which the rule is silent"),
  ),
  user: v.nullable(v.object({ told: v.boolean(), reason: v.string() })),
});

const DeliveryView = v.object({
  id: v.string(),
  channel: v.string(),
  state: v.string(),
  reason: v.nullable(v.string()),
  attempts: v.number(),
  lastError: v.nullable(v.string()),
  providerId: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  deliveredAt: time,
  history: v.array(
    v.object({
      attempt: v.number(),
      startedAt: v.string(),
      endedAt: time,
      outcome: v.string(),
      error: v.nullable(v.string()),
    }),
  ),
});

const RecipientView = v.object({
  userId: v.string(),
  name: v.string(),
  offset: v.number(),
  delivered: v.boolean(),
  deliveredAt: time,
  readAt: time,
  acknowledgedAt: time,
  acknowledgeNote: v.nullable(v.string()),
  openedAt: time,
  deletedAt: time,
  deliveries: v.array(DeliveryView),
});

const NotificationView = v.object({
  id: v.string(),
  ruleId: v.nullable(v.string()),
  kind: v.string(),
  title: v.string(),
  createdAt: v.string(),
  aggregateCount: v.number(),
  counts: v.object({
    recipients: v.number(),
    delivered: v.number(),
    read: v.number(),
    acknowledged: v.number(),
  }),
  channels: v.array(
    v.object({ channel: v.string(), state: v.string(), reason: v.nullable(v.string()), count: v.number() }),
  ),
  storm: v.pipe(v.nullable(StormView), v.description("What a notice of a storm is about")),
  recipients: v.array(RecipientView),
  recipientsLeftOut: v.number(),
});

/** Everything that became of an event, or that led to a notification and came of it. */
export const ExplainView = v.object({
  subject: v.object({ kind: v.picklist(["event", "notification"]), id: v.string() }),
  scope: v.pipe(v.picklist(["full", "own"]), v.description("`own`: the caller's own part alone")),
  answer: v.pipe(v.string(), v.description("All of it in one sentence")),
  event: v.nullable(
    v.object({
      id: v.string(),
      seq: v.number(),
      projectId: v.string(),
      type: v.string(),
      level: v.string(),
      source: v.nullable(v.string()),
      occurredAt: v.string(),
      receivedAt: v.string(),
      state: v.picklist(["decided", "waiting", "failed"]),
      decidedAt: time,
      failure: v.nullable(
        v.object({ attempts: v.number(), lastError: v.nullable(v.string()), jobId: v.nullable(v.string()) }),
      ),
    }),
  ),
  counts: v.pipe(
    v.record(v.string(), v.number()),
    v.description("Rules by outcome, those that are left out of `rules` included where they have a decision"),
  ),
  rules: v.array(RuleView),
  rulesLeftOut: v.number(),
  notifications: v.array(NotificationView),
  user: v.nullable(v.object({ id: v.string(), name: v.string(), told: v.boolean(), reasons: v.array(v.string()) })),
});

export type ExplainView = v.InferOutput<typeof ExplainView>;
export type RuleView = v.InferOutput<typeof RuleView>;
export type NotificationView = v.InferOutput<typeof NotificationView>;
export type RecipientView = v.InferOutput<typeof RecipientView>;
export type DeliveryView = v.InferOutput<typeof DeliveryView>;
export type StormView = v.InferOutput<typeof StormView>;
