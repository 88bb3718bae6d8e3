import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, integer, named, object, pattern, queryInteger, selfChanging, text } from "../../http/shapes.ts";
import type { Definition, ManageContext } from "./manage.ts";
import { kindOfSchedule, slugOf, urlsOf } from "./manage.ts";
import type { PingFilters } from "./pings.ts";
import { expectedAt, MAX_PERIOD_MS, MIN_PERIOD_MS } from "./status.ts";
import type { FlipRow, HeartbeatRow, PingListRow } from "./table.ts";

const KINDS = ["simple", "cron", "oncalendar"] as const;
const STATUSES = ["new", "up", "grace", "down", "paused"] as const;
const STORED = ["new", "up", "down", "paused"] as const;
const PING_KINDS = ["success", "start", "fail", "log", "ignored"] as const;

const period = integer(MIN_PERIOD_MS, MAX_PERIOD_MS);
const labelName = pattern(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, "must be a label name");
const keywords = doc(text(200), "Texts separated by commas; case counts");

const Filters = object({
  httpBody: v.optional(
    doc(v.boolean(), "Look for the keywords in request bodies; they then replace the URL's meaning"),
  ),
  subject: v.optional(doc(v.boolean(), "Look in the subjects of mails")),
  body: v.optional(doc(v.boolean(), "Look in the texts of mails")),
  startKeywords: v.optional(keywords),
  successKeywords: v.optional(keywords),
  failureKeywords: v.optional(keywords),
  defaultFail: v.optional(doc(v.boolean(), "A ping without any keyword is a failure, not ignored")),
});

const entries = {
  name: doc(text(100), "Name"),
  slug: v.optional(
    doc(
      pattern(/^[a-z0-9_-]{0,100}$/, "must have only a-z, 0-9, - and _"),
      "Part of ping URLs with the project's key; default: from the name",
    ),
  ),
  tags: v.optional(
    doc(
      v.pipe(v.array(pattern(/^[^\s,]{1,50}$/, "must be a word without commas")), v.maxLength(20)),
      "Words for badges and lists",
    ),
  ),
  description: v.optional(doc(text(2000), "Text for people")),
  kind: v.optional(doc(v.picklist(KINDS), "Default: by the schedule; `simple` without one")),
  timeoutMs: v.optional(doc(period, "Longest time between pings of a simple heartbeat; default one day")),
  graceMs: v.optional(doc(period, "Time that a ping may be late, or a run may take; default one hour")),
  schedule: v.optional(v.nullable(doc(text(500, 1), "Cron pattern, or calendar events of systemd, one per line"))),
  timezone: v.optional(doc(text(64, 1), "IANA time zone of the schedule; default UTC")),
  methods: v.optional(doc(v.picklist(["", "POST"]), "`POST`: pings by other methods are ignored")),
  filters: v.optional(doc(Filters, "Keywords that decide what a ping means")),
  manualResume: v.optional(doc(v.boolean(), "A ping does not end a pause")),
  channels: v.optional(
    doc(v.pipe(v.array(text(100, 1)), v.maxLength(50)), "Names of policies, as the alert's label `channels`"),
  ),
  labels: v.optional(doc(v.record(labelName, text(1000)), "Labels of its alert, for routes and silences")),
  severity: v.optional(v.nullable(doc(text(50, 1), "Severity of its alert"))),
  fedBy: v.optional(
    v.nullable(
      doc(
        text(1000, 1),
        'Matchers as in Alertmanager, such as `alertname="Watchdog"`: each report of a firing alert of the project that ' +
          "matches is a ping, its end a failure. Its default plan is a ping each 5 minutes with 1 minute of grace",
      ),
    ),
  ),
};

export const CreateHeartbeat = example(
  object({ projectId: v.optional(doc(text(128, 1), "Id or slug; default: the default project")), ...entries }),
  {
    name: "Nightly export",
    tags: ["backup"],
    schedule: "30 2 * * *",
    timezone: "Europe/Berlin",
    graceMs: 3_600_000,
  },
);
export type CreateHeartbeat = v.InferOutput<typeof CreateHeartbeat>;

export const UpdateHeartbeat = example(object({ ...entries, name: v.optional(entries.name) }), { graceMs: 7_200_000 });
export type UpdateHeartbeat = v.InferOutput<typeof UpdateHeartbeat>;

export const ListHeartbeats = object({
  projectId: v.optional(doc(text(128, 1), "Id or slug; default: all projects that the caller may read")),
  status: v.optional(
    doc(
      v.picklist([...STORED, "grace"]),
      "Stored status: `up` has those in their grace time too; `grace` has only these",
    ),
  ),
  slug: v.optional(doc(text(100, 1), "Exact slug")),
  q: v.optional(doc(text(100, 1), "Part of the name or of the tags")),
  pings: v.optional(doc(queryInteger(1, 30), "Adds so many of the last pings of each heartbeat")),
  ...pageEntries(),
});

export const HeartbeatParams = object({ id: doc(v.string(), "Id of the heartbeat") });
export const PingParams = object({
  id: doc(v.string(), "Id of the heartbeat"),
  n: doc(v.string(), "Number of the ping"),
});
export const HistoryQuery = object({ ...pageEntries() });
export const NoBody = object({});
export const KeyQuery = object({
  projectId: v.optional(doc(text(128, 1), "Id or slug; default: the default project")),
});
export const RotateKey = example(object({ projectId: v.optional(doc(text(128, 1), "Id or slug")) }), {});

export const PreviewPlan = example(
  object({
    projectId: v.optional(doc(text(128, 1), "Id or slug; default: the default project")),
    kind: entries.kind,
    schedule: doc(text(500, 1), "Cron pattern, or calendar events of systemd, one per line"),
    timezone: entries.timezone,
  }),
  { schedule: "Mon..Fri 08:00", timezone: "Europe/Berlin" },
);

export const PlanPreview = named(
  "HeartbeatPlanPreview",
  "When a schedule expects pings",
  v.object({
    kind: v.picklist(["cron", "oncalendar"]),
    timezone: v.string(),
    times: doc(v.array(v.string()), "The next five times"),
  }),
);

export const HeartbeatView = named(
  "Heartbeat",
  "A heartbeat",
  v.object({
    id: v.string(),
    projectId: v.string(),
    name: v.string(),
    slug: v.string(),
    tags: v.array(v.string()),
    description: v.string(),
    kind: v.picklist(KINDS),
    timeoutMs: v.number(),
    graceMs: v.number(),
    schedule: v.nullable(v.string()),
    timezone: v.string(),
    methods: v.string(),
    filters: Filters,
    manualResume: v.boolean(),
    channels: v.array(v.string()),
    labels: v.record(v.string(), v.string()),
    severity: v.nullable(v.string()),
    fedBy: doc(v.nullable(v.string()), "Matchers of the alerts that feed it"),
    status: selfChanging(v.picklist(STATUSES)),
    isStarted: selfChanging(v.boolean()),
    pingCount: selfChanging(v.number()),
    lastPingAt: selfChanging(v.nullable(v.string())),
    lastStartAt: selfChanging(v.nullable(v.string())),
    lastDurationMs: selfChanging(v.nullable(v.number())),
    nextPingAt: selfChanging(doc(v.nullable(v.string()), "When the next ping is expected")),
    dueAt: selfChanging(doc(v.nullable(v.string()), "When it goes down without another ping")),
    pingUrl: doc(v.nullable(v.string()), "Secret; null for callers who may not write"),
    pushUrl: doc(v.nullable(v.string()), "The same for clients of Uptime Kuma"),
    badgeUrl: v.string(),
    recentPings: v.optional(
      doc(
        v.array(v.object({ at: v.string(), kind: v.picklist(PING_KINDS), durationMs: v.nullable(v.number()) })),
        "The last pings, newest first; only in lists with `pings`",
      ),
    ),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);

export function heartbeatView(
  ctx: ManageContext,
  row: HeartbeatRow,
  isWriter: boolean,
): v.InferOutput<typeof HeartbeatView> {
  const { pingUrl, pushUrl, badgeUrl } = urlsOf(ctx, row, isWriter);
  const { id, projectId, name, slug, description, kind, timeoutMs, graceMs, schedule, timezone, methods, severity } =
    row;
  return {
    ...{
      id,
      projectId,
      name,
      slug,
      tags: tagsOf(row),
      description,
      kind,
      timeoutMs,
      graceMs,
      schedule,
      timezone,
      methods,
    },
    filters: JSON.parse(row.filters) as PingFilters,
    manualResume: row.manualResume === 1,
    channels: JSON.parse(row.channels) as string[],
    labels: JSON.parse(row.labels) as Record<string, string>,
    severity,
    fedBy: row.fedBy,
    status: ctx.heartbeats.shownOf(row),
    isStarted: row.lastStartAt !== null,
    pingCount: row.pingCount,
    lastPingAt: toRfc3339OrNull(row.lastPingAt),
    lastStartAt: toRfc3339OrNull(row.lastStartAt),
    lastDurationMs: row.lastDurationMs,
    nextPingAt: toRfc3339OrNull(expectedAt(row, row)),
    dueAt: toRfc3339OrNull(row.dueAt),
    pingUrl,
    pushUrl,
    badgeUrl,
    version: row.version,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
  };
}

export function tagsOf({ tags }: Pick<HeartbeatRow, "tags">): string[] {
  return tags.split(" ").filter((tag) => tag !== "");
}

/** The columns of a request; absent members are left out. @throws INVALID_CRON */
export function definitionOf(input: UpdateHeartbeat): Partial<Definition> {
  const { tags, schedule, filters, manualResume, channels, labels, kind, name, slug, ...same } = input;
  const planned = schedule ? { schedule, kind: kind ?? kindOfSchedule(schedule) } : undefined;
  const simple = schedule === null || kind === "simple" ? ({ schedule: null, kind: "simple" } as const) : undefined;
  return withoutUndefined({
    ...same,
    ...(planned ?? simple ?? (kind === undefined ? {} : { kind })),
    name,
    slug: slug ?? (name === undefined ? undefined : slugOf(name)),
    tags: tags?.join(" "),
    filters: filters && JSON.stringify(filters),
    manualResume: manualResume === undefined ? undefined : manualResume ? 1 : 0,
    channels: channels && JSON.stringify(channels),
    labels: labels && JSON.stringify(labels),
  });
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Defined<T>;
}

export const PingView = named(
  "HeartbeatPing",
  "A ping",
  v.object({
    n: v.number(),
    at: v.string(),
    kind: v.picklist(PING_KINDS),
    exitStatus: v.nullable(v.number()),
    rid: doc(v.nullable(v.string()), "Id of the run"),
    durationMs: doc(v.nullable(v.number()), "Duration of the run that it ended"),
    scheme: v.string(),
    method: v.string(),
    userAgent: v.string(),
    address: v.nullable(v.string()),
    hasBody: v.boolean(),
  }),
);

export function recentPingView({ at, kind, durationMs }: Pick<PingListRow, "at" | "kind" | "durationMs">) {
  return { at: toRfc3339(at), kind, durationMs };
}

export function pingView({ hasBody, at, ...row }: PingListRow): v.InferOutput<typeof PingView> {
  return { ...row, at: toRfc3339(at), hasBody: hasBody === 1 };
}

export const FlipView = named(
  "HeartbeatFlip",
  "A change of a heartbeat's status",
  v.object({
    id: v.string(),
    at: doc(v.string(), "When it changed; for an overdue heartbeat its due time"),
    foundAt: v.string(),
    from: v.picklist(STORED),
    to: v.picklist(STORED),
    reason: v.string(),
  }),
);

export function flipView({ id, at, foundAt, fromStatus, status, reason }: FlipRow): v.InferOutput<typeof FlipView> {
  return { id, at: toRfc3339(at), foundAt: toRfc3339(foundAt), from: fromStatus, to: status, reason };
}

export const KeyView = named(
  "HeartbeatKey",
  "The ping key of a project",
  v.object({
    projectId: v.string(),
    pingKey: doc(v.nullable(v.string()), "Secret; null until it is rotated for the first time"),
    pingUrl: doc(v.nullable(v.string()), "Append a slug"),
    badgeUrl: doc(v.nullable(v.string()), "Badge of all heartbeats of the project"),
  }),
);
