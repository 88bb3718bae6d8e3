import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import type { AnswerOf } from "../../http/api/resource.ts";
import { doc, example, named, object, pageEntries, queryInteger, text } from "../../http/api/shapes.ts";
import { type HeartbeatsContext, kindOfSchedule, slugOf, urlsOf } from "./changes.ts";
import { Heartbeat, type HeartbeatDefinition, type HeartbeatRow, PING_KINDS } from "./heartbeat.ts";
import { expectedAt } from "./status.ts";
import { heartbeatList, type PingListRow } from "./table.ts";

export const CreateHeartbeat = () =>
  example(
    object({
      projectId: v.optional(doc(text(128, 1), "Id or slug; default: the default project")),
      ...Heartbeat.forCreate,
    }),
    {
      name: "Nightly export",
      tags: ["backup"],
      schedule: "30 2 * * *",
      timezone: "Europe/Berlin",
      graceMs: 3_600_000,
    },
  );
export type CreateHeartbeat = v.InferOutput<ReturnType<typeof CreateHeartbeat>>;

export const UpdateHeartbeat = () => example(object(Heartbeat.forUpdate), { graceMs: 7_200_000 });
export type UpdateHeartbeat = v.InferOutput<ReturnType<typeof UpdateHeartbeat>>;

export const ListHeartbeats = () =>
  object({
    projectId: v.optional(doc(text(128, 1), "Id or slug; default: all projects that the caller may read")),
    ...heartbeatList.entries,
    pings: v.optional(doc(queryInteger(1, 30), "Adds so many of the last pings of each heartbeat")),
    ...pageEntries(),
  });
export type ListHeartbeats = v.InferOutput<ReturnType<typeof ListHeartbeats>>;

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

export const PreviewPlan = () =>
  example(
    object({
      projectId: v.optional(doc(text(128, 1), "Id or slug; default: the default project")),
      kind: Heartbeat.forUpdate.kind,
      schedule: doc(text(500, 1), "Cron pattern, or calendar events of systemd, one per line"),
      timezone: Heartbeat.forUpdate.timezone,
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

export function heartbeatView(
  ctx: HeartbeatsContext,
  row: HeartbeatRow,
  isWriter: boolean,
): AnswerOf<typeof Heartbeat> {
  const { pingUrl, pushUrl, badgeUrl } = urlsOf(ctx, row, isWriter);
  return Heartbeat.view(row, {
    status: ctx.heartbeats.shownOf(row),
    isStarted: row.lastStartAt !== null,
    nextPingAt: toRfc3339OrNull(expectedAt(row, row)),
    pingUrl,
    pushUrl,
    badgeUrl,
  });
}

/** The columns of a request; absent members are left out. @throws INVALID_CRON */
export function definitionOf({ schedule, kind, name, slug, ...same }: UpdateHeartbeat): HeartbeatDefinition {
  const planned = schedule ? { schedule, kind: kind ?? kindOfSchedule(schedule) } : undefined;
  const simple = schedule === null || kind === "simple" ? ({ schedule: null, kind: "simple" } as const) : undefined;
  return Heartbeat.columns({
    ...same,
    ...(planned ?? simple ?? { kind }),
    name,
    slug: slug ?? (name === undefined ? undefined : slugOf(name)),
  });
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
