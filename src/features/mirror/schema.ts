import * as v from "valibot";
import { doc, example, instant, named, object, openObject, text } from "../../http/api/shapes.ts";

/** How long observations are kept. */
export const KEPT_DAYS = 35;
/** Observations of one request. */
const MOST = 1000;
/** Alertmanager sends all alerts of a group at once, and does not repeat what is refused. */
const MOST_ALERTS = 10_000;
const MAX_LABELS_TEXT = 8192;

const labels = v.pipe(
  v.record(v.string(), v.string()),
  v.check((given) => JSON.stringify(given).length <= MAX_LABELS_TEXT, `must be at most ${MAX_LABELS_TEXT} characters`),
);

export const OBSERVED_KINDS = ["notified", "acknowledged", "resolved"] as const;

const Observation = object({
  ref: doc(text(200, 1), "Its name in the other system, such as the id of a log entry; a second one is ignored"),
  kind: doc(v.picklist(OBSERVED_KINDS), "What the other system did, or what was done there"),
  at: doc(instant, "When"),
  key: v.optional(doc(text(1024, 1), "The alarm there: a fingerprint, dedup key or alias")),
  labels: v.optional(doc(labels, "Labels of the alarm; its fingerprint is the key then")),
  title: v.optional(doc(text(1000, 1), "Title of the alarm: it is found by it and the time without a key")),
  startsAt: v.optional(doc(instant, "When the alarm began, as its source says")),
  person: v.optional(doc(text(255, 1), "Who was notified: username, mail address, id or name")),
  way: v.optional(doc(text(255, 1), "By what, such as `sms`, or the room")),
});
export type Observation = v.InferOutput<typeof Observation>;

const AlertmanagerWebhook = openObject({
  alerts: doc(
    v.pipe(
      v.array(
        openObject({
          status: doc(v.picklist(["firing", "resolved"]), "Whether it fires"),
          labels: doc(labels, "Labels of the alert"),
          startsAt: doc(instant, "When it began: by it a repetition is known"),
        }),
      ),
      v.maxLength(MOST_ALERTS),
    ),
    "The alerts of a group, as Alertmanager posts them; its other members are ignored",
  ),
});
export type AlertmanagerWebhook = v.InferOutput<typeof AlertmanagerWebhook>;

const List = v.pipe(v.array(Observation), v.maxLength(MOST));
const Either = v.union([List, AlertmanagerWebhook]);
type Run = (typeof Either)["~run"];
/** A union says of a wrong member only that the body is neither. */
const run: Run = (dataset, config) =>
  (Array.isArray(dataset.value) ? List : AlertmanagerWebhook)["~run"](dataset, config) as ReturnType<Run>;

export const ObservedBody = example({ ...Either, "~run": run }, [
  {
    ref: "R7PEQ2KL0S",
    kind: "notified",
    at: "2026-01-31T08:00:05Z",
    key: "disk-db-2",
    person: "ann@example.com",
    way: "sms",
  },
]);

export const ObservedQuery = object({
  person: v.optional(doc(text(255, 1), "Whom these notify, for the body of Alertmanager")),
  way: v.optional(doc(text(255, 1), "By what these notify, for the body of Alertmanager")),
});
export type ObservedQuery = v.InferOutput<typeof ObservedQuery>;

export const ObservedReply = named(
  "ObservedReply",
  "What became of observations",
  v.object({
    stored: doc(v.number(), "Observations that are new"),
    known: doc(v.number(), "Those that were sent before"),
    acknowledged: doc(v.number(), "Incidents that are acknowledged by them"),
    resolved: doc(v.number(), "Incidents that are resolved by them"),
  }),
);
export type ObservedReply = v.InferOutput<typeof ObservedReply>;

export const ReportQuery = object({
  project: v.optional(doc(text(128, 1), "Id or slug of the project; default: the default project")),
  from: v.optional(doc(instant, "From then on; default: 7 days ago, at most 35")),
});
export type ReportQuery = v.InferOutput<typeof ReportQuery>;

/** What differs most comes first. */
export const MIRROR_CLASSES = [
  ...(["missing", "other-person", "later", "earlier", "extra", "not-comparable", "same"] as const),
] as const;
export type MirrorClass = (typeof MIRROR_CLASSES)[number];

const Side = {
  at: doc(v.string(), "When"),
  person: doc(v.nullable(v.string()), "Who; null: not known, or a room or service"),
  way: doc(v.nullable(v.string()), "By what"),
};

const MirrorLine = named(
  "MirrorLine",
  "One notice to one person, in both systems",
  v.object({
    class: doc(
      v.picklist(MIRROR_CLASSES),
      "`same`: the same person within a minute; `earlier`, `later`: that of Prism; `other-person`; `missing`: not by Prism; " +
        "`extra`: only by Prism; `not-comparable`: see `why`",
    ),
    why: doc(v.nullable(v.string()), "More about it, in one sentence"),
    title: v.string(),
    labels: doc(v.nullable(v.record(v.string(), v.string())), "Labels of the alarm; null: not known"),
    differenceMs: doc(v.nullable(v.number()), "How much later Prism is; null: one of the two has none"),
    old: doc(v.nullable(v.object(Side)), "In the other system; null: none"),
    prism: doc(
      v.nullable(
        v.object({ ...Side, userId: v.nullable(v.string()), step: doc(v.nullable(v.number()), "Step of the policy") }),
      ),
      "In Prism; null: none",
    ),
    incident: doc(
      v.nullable(v.object({ id: v.string(), number: v.number() })),
      "The incident of the alarm; null: there is none",
    ),
    link: doc(
      v.nullable(v.string()),
      "Path in the console that explains it: the incident, or what happens to such labels at this time",
    ),
  }),
);
export type MirrorLine = v.InferOutput<typeof MirrorLine>;

export const MirrorReport = named(
  "MirrorReport",
  "A mirror project beside the other system: the first notice of each alarm to each person",
  v.object({
    project: v.object({ id: v.string(), slug: v.string(), name: v.string() }),
    system: doc(v.nullable(v.string()), "The other system; null: the project is no mirror"),
    console: doc(v.string(), "Address of the console, with which `link` begins"),
    from: v.string(),
    to: doc(v.string(), "What is younger may be on its way in one of the two"),
    observed: doc(v.number(), "Observations in this time"),
    alarms: doc(v.number(), "Alarms of the other system in this time"),
    counts: v.object({
      same: v.number(),
      earlier: v.number(),
      later: v.number(),
      otherPerson: v.number(),
      missing: v.number(),
      extra: v.number(),
      notComparable: v.number(),
    }),
    lines: doc(v.array(MirrorLine), "What differs first, each class from the newest; at most 1000"),
    roomsWithNotices: doc(
      v.array(v.string()),
      "Channels of the project that also get on-call notices and other notifications without an event, " +
        "as their `eventTypes` match `notification`",
    ),
    linesLeftOut: v.number(),
    isCut: doc(v.boolean(), "There was more than could be compared: ask for a shorter time"),
  }),
);
export type MirrorReport = v.InferOutput<typeof MirrorReport>;
