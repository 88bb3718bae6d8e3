import * as v from "valibot";
import { doc, example, instant, named, object, selfChanging, text } from "../../http/api/shapes.ts";
import { CONTACT_NAMES, definitionEntries } from "../alerts/index.ts";

export const IncidentParams = object({ id: doc(v.string(), "Id of the incident") });
export const AlertParams = object({ id: doc(v.string(), "Id of the alert") });

/** A user whom no channel reaches. */
const UnreachableView = v.object({
  code: doc(v.literal("no-channel"), "No channel reaches the user"),
  lacks: doc(v.array(v.picklist(["address", "device", "webhook", "login"])), "What the user has none of"),
  text: doc(v.string(), "One sentence"),
});
export type UnreachableView = v.InferOutput<typeof UnreachableView>;
export const unreachable = doc(v.nullable(UnreachableView), "Why no channel reaches the user; null: one can");

const Line = v.object({
  at: doc(v.nullable(v.string()), "When it happened, or will happen; null: now"),
  kind: doc(v.string(), "Kind of the timeline's row, or of the step to come"),
  text: doc(v.string(), "One sentence, or several"),
  unreachable: v.optional(
    doc(
      v.array(v.object({ userId: v.string(), name: v.string(), ...UnreachableView.entries })),
      "Users of a step to come whom no channel reaches; with `notifications:read_all`, otherwise only the caller",
    ),
  ),
});
export type Line = v.InferOutput<typeof Line>;

const NextLine = v.object({
  ...Line.entries,
  afterMs: doc(v.number(), "Time until then"),
  urgency: v.optional(doc(v.picklist(["high", "low"]), "How urgently it notifies people")),
  step: v.optional(doc(v.number(), "Index of the step that notifies, sends or calls, from 0")),
  users: v.optional(
    doc(
      v.array(
        v.object({
          userId: v.string(),
          username: v.string(),
          name: v.string(),
          ways: v.optional(
            doc(
              v.array(v.picklist(CONTACT_NAMES)),
              "By what it goes to the user outside of the app, without quiet hours; as `unreachable`",
            ),
          ),
        }),
      ),
      "The people whom it notifies, at most 1000",
    ),
  ),
});
export type NextLine = v.InferOutput<typeof NextLine>;

const PersonView = v.object({
  userId: v.string(),
  name: v.string(),
  reasons: doc(v.array(v.string()), "Why the user was notified, and what kept channels from reaching the user"),
  unreachable,
});
export type PersonView = v.InferOutput<typeof PersonView>;

const AlertStory = v.object({
  id: v.string(),
  state: v.picklist(["pending", "firing", "resolved"]),
  labels: v.record(v.string(), v.string()),
  source: v.string(),
  sourceId: v.nullable(v.string()),
  eventId: doc(v.nullable(v.string()), "The event on which a rule opened it; null without one"),
  startsAt: v.string(),
  resolvedAt: v.nullable(v.string()),
  lines: doc(v.array(Line), "What opened it, whether its incidents notified of it, and why not"),
});
export type AlertStory = v.InferOutput<typeof AlertStory>;

const mirrored = v.optional(
  doc(v.boolean(), "True: the user would have been notified, and nothing was sent, as the project was a mirror"),
);

const IncidentStory = v.object({
  id: v.string(),
  number: v.number(),
  projectId: v.string(),
  title: v.string(),
  state: v.picklist(["open", "acknowledged", "resolved"]),
  isSnoozed: v.boolean(),
  policy: v.object({ id: v.string(), name: v.string(), version: v.number() }),
  route: doc(v.array(v.string()), "Matchers from the root to the route"),
  groupKey: v.string(),
  alerts: doc(v.number(), "All its alerts"),
  firing: doc(v.number(), "How many of them fire"),
  answer: doc(v.string(), "Who was notified, or why no one was"),
  lines: doc(v.array(Line), "The timeline: at most the first 2 and the newest 98"),
  linesLeftOut: doc(v.number(), "Lines that are not listed"),
  people: doc(
    v.array(PersonView),
    "Users who were notified, or will be after the delay of their contact rules, acknowledgements",
  ),
  you: doc(
    v.nullable(
      v.object({
        notified: v.boolean(),
        mirrored,
        lines: doc(v.array(v.string()), "Why, or for each step of the policy why not"),
      }),
    ),
    "Whether the caller was notified; null for API keys",
  ),
  user: doc(
    v.nullable(
      v.object({ id: v.string(), name: v.string(), notified: v.boolean(), mirrored, lines: v.array(v.string()) }),
    ),
    "The same of the user of the query `userId`; null without it",
  ),
  next: selfChanging(doc(v.array(NextLine), "What happens next if no one acts and no alert changes")),
});
export type IncidentStory = v.InferOutput<typeof IncidentStory>;

export const AlertExplanation = named(
  "AlertExplanation",
  "Why people were notified of an alert or incident, or were not",
  v.object({
    subject: v.object({ kind: v.picklist(["alert", "incident"]), id: v.string() }),
    answer: doc(v.string(), "Summary in one sentence"),
    alerts: doc(v.array(AlertStory), "Of an incident at most 10: those that fire first, then the newest"),
    alertsLeftOut: doc(v.number(), "Alerts that are not listed"),
    incidents: doc(v.array(IncidentStory), "At most 20, the newest first"),
  }),
);
export type AlertExplanation = v.InferOutput<typeof AlertExplanation>;

const alertLabels = v.pipe(
  v.record(v.string(), v.pipe(v.string(), v.maxLength(16_384))),
  v.check((labels) => Object.values(labels).some((value) => value !== ""), "must have at least one label"),
);

export const TrialBody = example(
  object({
    projectId: v.optional(doc(text(128, 1), "Id or slug of the project; default: the default project")),
    labels: doc(alertLabels, "Labels of the alert"),
    at: v.optional(
      doc(
        instant,
        "When it fires; default: now. Time intervals and shifts are those of this time, silences and firing alerts " +
          "those of now, and no incident is open",
      ),
    ),
    firing: v.optional(
      doc(v.pipe(v.array(alertLabels), v.maxLength(100)), "Labels of alerts to take as firing, besides those that are"),
    ),
  }),
  { labels: { alertname: "DiskFull", instance: "db-2", severity: "critical" } },
);
export type TrialBody = v.InferOutput<typeof TrialBody>;

const TrialRoute = v.object({
  route: doc(v.array(v.string()), "Matchers from the root to the route"),
  policy: v.object({ id: v.string(), name: v.string(), version: v.number() }),
  groupKey: v.string(),
  isListedOnly: doc(v.boolean(), "The policy opens no incidents: no one is notified"),
  incident: doc(
    v.nullable(
      v.object({
        id: v.string(),
        number: v.number(),
        state: v.picklist(["open", "acknowledged"]),
        snoozedUntil: doc(v.nullable(v.string()), "End of its snooze; null: it is not snoozed"),
      }),
    ),
    "The incident that the alert would join; null: it would open one, unless it is only listed",
  ),
  withheld: doc(
    v.array(v.object({ ...Line.entries, reason: v.picklist(["silenced", "inhibited", "muted"]) })),
    "Silences, inhibiting alerts and time intervals that keep it from notifying",
  ),
  next: doc(v.array(NextLine), "What would happen, with the people on call at that time"),
});
export type TrialRoute = v.InferOutput<typeof TrialRoute>;

export const AlertTrial = named(
  "AlertTrial",
  "What would happen to an alert",
  v.object({
    projectId: v.string(),
    at: doc(v.string(), "When it would fire"),
    fingerprint: v.string(),
    alertId: doc(v.nullable(v.string()), "A live alert with these labels; null: there is none"),
    answer: doc(v.string(), "Summary in one sentence"),
    routes: doc(v.array(TrialRoute), "In the order of the tree; each is an incident of its own"),
  }),
);
export type AlertTrial = v.InferOutput<typeof AlertTrial>;

const { steps, repeat, opensIncidents } = definitionEntries;

export const PolicyTrialBody = example(
  object({
    projectId: v.optional(doc(text(128, 1), "Id or slug of the project; default: the default project")),
    policy: v.optional(doc(text(128, 1), "Id or name of a policy of the project; default: one without steps")),
    draft: v.optional(
      doc(
        object({ steps, repeat, opensIncidents }),
        "Members as they would be, in place of those of the policy; needs `policies:write`",
      ),
    ),
    at: v.optional(doc(instant, "When an incident opens; default: now. Time intervals and shifts are those of then")),
  }),
  { policy: "default" },
);
export type PolicyTrialBody = v.InferOutput<typeof PolicyTrialBody>;

export const PolicyTrial = named(
  "PolicyTrial",
  "Whom an incident of a policy would notify, and after how long",
  v.object({
    projectId: v.string(),
    at: doc(v.string(), "When it would open, and its first steps run"),
    opensIncidents: doc(v.boolean(), "False: alerts are only listed, and no one is notified"),
    next: doc(
      v.array(NextLine),
      "What would happen without an acknowledgement, with the people on call at the time of each step",
    ),
  }),
);
export type PolicyTrial = v.InferOutput<typeof PolicyTrial>;

/** The way from an alert to a notification. */
export const NotificationCause = v.object({
  incidentId: v.string(),
  number: v.number(),
  title: v.string(),
  projectId: v.string(),
  state: v.picklist(["open", "acknowledged", "resolved"]),
  acknowledgements: doc(
    v.array(v.object({ userId: v.string(), name: v.string(), at: v.string() })),
    "Who has acknowledged the incident, by any way; `userId` may name another actor, such as `channel:<id>`",
  ),
  lines: doc(v.array(Line), "Alert, route, incident, policy and step, schedule and shift, contact rules"),
});
