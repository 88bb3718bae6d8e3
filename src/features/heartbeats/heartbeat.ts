import * as v from "valibot";
import { DAY_MS } from "../../core/time/clock.ts";
import {
  bytes,
  type ColumnsOf,
  column,
  computed,
  flag,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
  words,
} from "../../http/api/resource.ts";
import { doc, integer, object, pattern, selfChanging, text } from "../../http/api/shapes.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    heartbeats: HeartbeatRow;
    heartbeat_flips: RowOf<typeof HeartbeatFlip>;
  }
}

export const KINDS = ["simple", "cron", "oncalendar"] as const;
/** As stored; a heartbeat that is up may be shown in its grace time. */
export const STORED = ["new", "up", "down", "paused"] as const;
export const STATUSES = ["new", "up", "grace", "down", "paused"] as const;
export const PING_KINDS = ["success", "start", "fail", "log", "ignored"] as const;

const HOUR_MS = 3_600_000;
/** A minute to a year. */
const period = integer(60_000, 365 * DAY_MS);
const keywords = v.optional(doc(text(200), "Texts separated by commas; case counts"));
const slug = pattern(/^[a-z0-9_-]{0,100}$/, "must have only a-z, 0-9, - and _");
const tags = v.pipe(v.array(pattern(/^[^\s,]{1,50}$/, "must be a word without commas")), v.maxLength(20));
const policies = v.pipe(v.array(text(100, 1)), v.maxLength(50));
const labels = v.record(pattern(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, "must be a label name"), text(1000));
const Filters = object({
  httpBody: v.optional(
    doc(
      v.boolean(),
      "Look for the keywords in bodies of pings that report a success; " +
        "a keyword then decides whether it counts as success, start or failure",
    ),
  ),
  subject: v.optional(doc(v.boolean(), "Look in the subjects of mails")),
  body: v.optional(doc(v.boolean(), "Look in the texts of mails")),
  startKeywords: keywords,
  successKeywords: keywords,
  failureKeywords: keywords,
  defaultFail: v.optional(doc(v.boolean(), "A ping without any keyword is a failure, not ignored")),
});
export type PingFilters = v.InferOutput<typeof Filters>;
const RecentPing = v.object({
  at: v.string(),
  kind: v.picklist(PING_KINDS),
  durationMs: v.nullable(v.number()),
});

/** A job that reports that it ran, and is overdue when it does not. */
export const Heartbeat = resource("Heartbeat", "A heartbeat", "heartbeats", () => ({
  id: stored(v.string()),
  projectId: stored(v.string()),
  name: given(text(100), "Name"),
  slug: given(slug, "Part of ping URLs with the project's key; default: from the name").or(""),
  tags: given(tags, "Words for badges and lists", words).or(""),
  description: given(text(2000), "Text for people").or(""),
  kind: given(v.picklist(KINDS), "Default: by the schedule; `simple` without one").or("simple"),
  timeoutMs: given(period, "Longest time between pings of a simple heartbeat; default one day").or(DAY_MS),
  graceMs: given(period, "Time that a ping may be late, or a run may take; default one hour").or(HOUR_MS),
  schedule: given(v.nullable(text(500, 1)), "Cron pattern, or calendar events of systemd, one per line").or(null),
  timezone: given(text(64, 1), "IANA time zone of the schedule; default UTC").or("UTC"),
  methods: given(v.picklist(["", "POST"]), "`POST`: pings by other methods are ignored").or(""),
  filters: given(Filters, "Keywords that decide what a ping means", json()).or("{}"),
  manualResume: given(v.boolean(), "A ping does not end a pause", flag).or(0),
  channels: given(policies, "Names of policies, as the alert's label `channels`", json()).or("[]"),
  labels: given(labels, "Labels of its alert, for routes and silences", json()).or("{}"),
  severity: given(v.nullable(text(50, 1)), "Severity of its alert").or(null),
  fedBy: given(
    v.nullable(text(1000, 1)),
    'Matchers as in Alertmanager, such as `alertname="Watchdog"`: each report of a firing alert of the project that ' +
      "matches is a ping, its end a failure. Its default plan is a ping each 5 minutes with 1 minute of grace",
  )
    .or(null)
    .shown(doc(v.nullable(v.string()), "Matchers of the alerts that feed it")),
  status: column(v.picklist(STORED))
    .or("new")
    .shownAs(selfChanging(v.picklist(STATUSES))),
  isStarted: computed(selfChanging(v.boolean())),
  pingCount: stored(selfChanging(v.number())).or(0),
  lastPingAt: stored(selfChanging(v.nullable(v.string())), orNull(time)).or(null),
  lastStartAt: stored(selfChanging(v.nullable(v.string())), orNull(time)).or(null),
  lastDurationMs: stored(selfChanging(v.nullable(v.number()))).or(null),
  nextPingAt: computed(selfChanging(doc(v.nullable(v.string()), "When the next ping is expected"))),
  dueAt: stored(selfChanging(doc(v.nullable(v.string()), "When it goes down without another ping")), orNull(time)).or(
    null,
  ),
  pingUrl: computed(doc(v.nullable(v.string()), "Secret; null for callers who may not write")),
  pushUrl: computed(doc(v.nullable(v.string()), "The same for clients of Uptime Kuma")),
  badgeUrl: computed(v.string()),
  recentPings: computed(
    v.optional(doc(v.array(RecentPing), "The last pings, newest first; only in lists with `pings`")),
  ),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  /** Keyed hash of the id in its ping URL; the plain id while `sealedPing` is null. */
  pingHash: column(v.string()),
  /** The id in its ping URL, sealed: its holder may ping. */
  sealedPing: column(v.nullable(bytes)),
  uniqueKey: column(v.nullable(v.string())),
  badgeUuid: column(v.string()),
  lastStartRid: column(v.nullable(v.string())).or(null),
  createdBy: column(v.nullable(v.string())).or(null),
}));
export type HeartbeatRow = RowOf<typeof Heartbeat>;
/** The columns that a caller sets. */
export type HeartbeatDefinition = ColumnsOf<typeof Heartbeat>;

export const HeartbeatFlip = resource("HeartbeatFlip", "A change of a heartbeat's status", "heartbeat_flips", () => ({
  id: stored(v.string()),
  at: stored(doc(v.string(), "When it changed; for an overdue heartbeat its due time"), time),
  foundAt: stored(v.string(), time),
  from: stored(v.picklist(STORED)).inColumn("fromStatus"),
  to: stored(v.picklist(STORED)).inColumn("status"),
  reason: stored(v.string()),
  heartbeatId: column(v.string()),
}));
