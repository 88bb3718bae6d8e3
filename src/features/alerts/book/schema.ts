import * as v from "valibot";
import {
  doc,
  example,
  instant,
  named,
  object,
  pageEntries,
  queryList,
  selfChanging,
  stringRecord,
  text,
} from "../../../http/api/shapes.ts";
import type { AlertSource } from "../../../store/schema.ts";

const SOURCES = [
  "alertmanager",
  "rule",
  "heartbeat",
  "pagerduty",
  "opsgenie",
  "receiver",
  "api",
  "prism",
] as const satisfies readonly AlertSource[];
const STATES = ["pending", "firing", "resolved"] as const;
/** Alerts of one request. */
const MAX_ALERTS = 1000;

const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: that of the API key, or `default`"),
);
const { limit, cursor } = pageEntries(1000, 100);

export const ListAlerts = object({
  projectId,
  state: v.optional(
    doc(v.picklist(STATES), "Default `firing`. Resolved ones are listed by the time of their end, latest first"),
  ),
  matcher: v.optional(doc(text(4096, 1), 'Conditions on labels as in Alertmanager: `team="db",instance=~"db-.*"`')),
  source: v.optional(doc(queryList(v.picklist(SOURCES)), "Sources, separated by commas")),
  severity: v.optional(doc(queryList(text(100, 1)), "Severities, separated by commas")),
  order: v.optional(
    doc(
      v.picklist(["latest", "severity"]),
      "`severity`: the most severe first, then the latest, only of live alerts; default `latest`",
    ),
  ),
  q: v.optional(doc(text(100, 1), "Text in a label or an annotation")),
  from: v.optional(doc(instant, "Started at or after; for resolved ones: ended at or after")),
  to: v.optional(doc(instant, "Started before; for resolved ones: ended before")),
  limit,
  cursor,
});
export type ListAlerts = v.InferOutput<typeof ListAlerts>;

export const AlertParams = object({ id: doc(v.string(), "Id of the alert") });

const PostedAlert = object({
  key: v.optional(
    doc(text(1000, 1), "Your identity of the alert. Default: its labels, so that equal labels are one alert"),
  ),
  status: v.optional(doc(v.picklist(["firing", "resolved"]), "Default `firing`")),
  labels: v.optional(doc(stringRecord(65_536), "At least one, unless a key is given and it resolves")),
  annotations: v.optional(doc(stringRecord(262_144), "Texts for people; they replace the texts of an earlier input")),
  severity: v.optional(doc(text(100, 1), "Default: the label `severity`")),
  generatorUrl: v.optional(doc(text(8192), "Link to the cause")),
  startsAt: v.optional(doc(instant, "Default: now")),
  endsAt: v.optional(
    doc(v.nullable(instant), "When it times out unless it is sent again. Default: it fires until it is resolved"),
  ),
});
export type PostedAlert = v.InferOutput<typeof PostedAlert>;

export const PostAlerts = example(
  object({
    projectId,
    alerts: doc(
      v.pipe(v.array(PostedAlert), v.minLength(1), v.maxLength(MAX_ALERTS, `must be at most ${MAX_ALERTS} alerts`)),
      "What fires or is over",
    ),
  }),
  {
    alerts: [
      {
        labels: { alertname: "DiskFull", instance: "db-2", severity: "critical" },
        annotations: { summary: "The disk of db-2 is full" },
      },
    ],
  },
);
export type PostAlerts = v.InferOutput<typeof PostAlerts>;

export const WithheldNow = selfChanging(
  doc(
    v.nullable(
      v.object({
        silencedBy: doc(v.array(v.string()), "Ids of silences"),
        inhibitedBy: doc(v.array(v.string()), "Fingerprints of alerts"),
        mutedBy: doc(v.array(v.string()), "Time intervals, if all its routes are muted now"),
      }),
    ),
    "Silences, alerts or time intervals that keep it from notifying now; null: none, or it is not firing",
  ),
);

const alertEntries = {
  id: doc(v.string(), "Also the id of the event `alert.opened`"),
  projectId: v.string(),
  key: doc(v.string(), "Identity at its source, such as `api:<key>`"),
  fingerprint: doc(v.string(), "Hash of the labels, as in Alertmanager"),
  state: v.picklist(STATES),
  labels: v.record(v.string(), v.string()),
  annotations: v.record(v.string(), v.string()),
  severity: v.nullable(v.string()),
  source: doc(v.picklist(SOURCES), "`prism`: the server itself, of a source that fell silent"),
  sourceId: doc(v.nullable(v.string()), "Id of the rule, heartbeat or integration; the sender that fell silent"),
  generatorUrl: v.nullable(v.string()),
  startsAt: v.string(),
  endsAt: doc(v.nullable(v.string()), "While it fires: when it times out"),
  lastAt: doc(v.string(), "Last input"),
  count: doc(v.number(), "Number of inputs"),
  resolvedAt: v.nullable(v.string()),
  timedOut: doc(v.boolean(), "It was resolved because it was not sent again in time"),
  withheld: WithheldNow,
};

export const AlertShape = named("Alert", "An alert", v.object(alertEntries));

export const AlertDetails = named(
  "AlertDetails",
  "An alert with its incidents",
  v.object({
    ...alertEntries,
    incidents: v.array(
      v.object({
        id: v.string(),
        number: v.number(),
        title: v.string(),
        state: v.picklist(["open", "acknowledged", "resolved"]),
        resolvedBy: doc(v.nullable(v.string()), "A user's id, `alerts`, `timeout`, `moved`, `auto` or `policy`"),
      }),
    ),
  }),
);

export const PostedAlerts = named(
  "PostedAlerts",
  "The result of each alert of a request, in its order",
  v.object({
    data: v.array(
      v.object({
        status: doc(
          v.picklist(["opened", "pending", "repeated", "changed", "resolved", "unchanged", "refused"]),
          "`unchanged`: it did not fire, so there was nothing to resolve",
        ),
        id: doc(v.nullable(v.string()), "Id of the alert"),
        fingerprint: v.nullable(v.string()),
        error: doc(v.nullable(v.string()), "Why it was refused"),
      }),
    ),
  }),
);
