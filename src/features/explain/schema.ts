import * as v from "valibot";
import { doc, named, object, text } from "../../http/api/shapes.ts";
import { evaluation } from "../rules/index.ts";
import { NotificationCause, unreachable } from "./alert-schema.ts";

export const Params = object({ id: doc(v.string(), "Id of the event or notification") });
export const Query = object({
  userId: v.optional(
    doc(
      text(128, 1),
      "Also explains why this user was notified or not: id, external id, username, mail address or `me`",
    ),
  ),
});

const OUTCOMES = [
  "fired",
  "suppressed",
  "deduped",
  "cooled",
  "counted",
  "alert-opened",
  "alert-resolved",
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
  heldBack: doc(v.number(), "Suppressed matches so far"),
  startedAt: v.string(),
  lastAt: v.string(),
  closedAt: time,
  noticeId: doc(v.nullable(v.string()), "Notification that summarizes it"),
});

const RuleView = v.object({
  ruleId: v.string(),
  name: v.string(),
  version: doc(v.nullable(v.number()), "Version that evaluated the event; null when none did"),
  outcome: v.picklist(OUTCOMES),
  reason: v.string(),
  at: time,
  notificationId: v.nullable(v.string()),
  condition: v.nullable(v.string()),
  targets: doc(
    v.nullable(v.object({ roles: v.array(v.string()), users: v.number() })),
    "Roles that the rule notifies, and the number of users that it names",
  ),
  trace: v.nullable(v.object(evaluation)),
  suppression: v.nullable(
    v.object({
      limit: v.number(),
      windowMs: v.number(),
      key: v.string(),
      matchesInWindow: doc(v.nullable(v.number()), "Matches in the window up to this event; null with a key"),
      storm: v.nullable(StormView),
    }),
  ),
  alert: doc(
    v.nullable(v.object({ key: v.string(), labels: v.record(v.string(), v.string()) })),
    "The alert that the rule opens, repeats or resolves for this event; null without one",
  ),
  earlier: doc(
    v.nullable(
      v.object({ notificationId: v.string(), createdAt: v.string(), title: v.string(), aggregateCount: v.number() }),
    ),
    "The notification that suppressed this match",
  ),
  user: v.nullable(
    v.object({
      told: v.boolean(),
      reason: v.string(),
      reach: doc(v.nullable(v.string()), "Why the rule reaches the user: a role, or by name; null when it does not"),
    }),
  ),
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
  unreachable,
});

const ExplainedNotification = v.object({
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
  storm: doc(v.nullable(StormView), "The storm that the notification summarizes"),
  recipients: v.array(RecipientView),
  recipientsLeftOut: v.number(),
});

/** The timeline of an event or a notification. */
export const ExplainView = named(
  "Explanation",
  "The path from event to delivery",
  v.object({
    subject: v.object({ kind: v.picklist(["event", "notification"]), id: v.string() }),
    scope: doc(v.picklist(["full", "own"]), "`own`: only the part of the caller"),
    answer: doc(v.string(), "Summary in one sentence"),
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
    counts: doc(v.record(v.string(), v.number()), "Number of rules by outcome, including those left out of `rules`"),
    rules: v.array(RuleView),
    rulesLeftOut: v.number(),
    notifications: v.array(ExplainedNotification),
    incident: doc(
      v.nullable(NotificationCause),
      "What led to a notification of an incident, or the incident of the alert stored with an event; else null",
    ),
    user: v.nullable(v.object({ id: v.string(), name: v.string(), told: v.boolean(), reasons: v.array(v.string()) })),
  }),
);

export type ExplainView = v.InferOutput<typeof ExplainView>;
export type RuleView = v.InferOutput<typeof RuleView>;
export type ExplainedNotification = v.InferOutput<typeof ExplainedNotification>;
export type RecipientView = v.InferOutput<typeof RecipientView>;
export type DeliveryView = v.InferOutput<typeof DeliveryView>;
export type StormView = v.InferOutput<typeof StormView>;
