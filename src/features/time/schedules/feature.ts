import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { parseQueueName } from "../../../core/limits/queues.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { readPage } from "../../../http/api/pagination.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import { cancelWaiting } from "../../../store/commit/job-table.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { managed, ofServer, type WithIssued } from "../../access/index.ts";
import { type ScheduleRow, ScheduleTable, scheduleList } from "./schedule.ts";
import { type Schedule, scheduleOf } from "./schedule-definition.ts";
import { ListRuns, listRuns, ScheduleRun } from "./schedule-runs.ts";
import { Schedules } from "./schedules.ts";
import * as s from "./schema.ts";
import { scheduleView } from "./schema.ts";

type SchedulesContext = Context<"schedules" | "projects">;

const reads = { tag: "Schedules", access: { permission: "jobs:read" } } as const;
const manages = { tag: "Schedules", access: { permission: "jobs:manage" } } as const;
const PATH = "/api/v1/schedules";
const INVALID = ["INVALID_CRON", "INVALID_TIMEZONE", "NAME_TAKEN"] as const;
/** Errors of a timer's action. */
const ACTION = ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED"] as const;

const rows = ofServer(
  {
    async find(db, id): Promise<Schedule | undefined> {
      const row = await ScheduleTable.find(db, id);
      return row && scheduleOf(row);
    },
  },
  { read: "jobs:read", write: "jobs:manage", missing: "SCHEDULE_NOT_FOUND", noun: "schedule" },
);

/** For operators. A change and its audit row are one transaction. */
const schedules = managed({
  ...{ path: PATH, names: ["Schedule", "Schedules"], tag: "Schedules", params: s.ScheduleParams },
  access: rows,
  callers: { read: reads.access, write: manages.access },
  answer: () => ScheduleTable.View,
  list: {
    summary: "List schedules, newest first",
    errors: ["INVALID_CURSOR"],
    query: s.ListSchedules,
    answer: () => pageOf(ScheduleTable.View),
    page({ db, schedules: engine }: SchedulesContext, caller: PermissionHolder, { runs, ...query }) {
      const view = (row: ScheduleRow) => scheduleView(engine, scheduleOf(row), caller, runs);
      return scheduleList.page(db, { visible: sql`true`, state: undefined }, query, () => view);
    },
  },
  get: { summary: "Get a schedule with its next runs" },
  create: {
    summary: "Create a schedule that enqueues a job by a cron pattern or an interval",
    errors: [...INVALID, ...ACTION, "LIMIT_REACHED"],
    body: s.CreateSchedule,
    prepare({ storage }, _caller, body) {
      storage.requireSpace();
      return body;
    },
  },
  update: {
    method: "PUT",
    summary: "Update a schedule; a new pattern, interval or zone applies from now on",
    errors: [...INVALID, ...ACTION],
    body: s.UpdateSchedule,
    prepare: (_context, _caller, body) => body,
  },
  remove: { summary: "Delete a schedule; jobs that it enqueued continue" },
  view: ({ schedules: engine }, caller: PermissionHolder, row) => scheduleView(engine, row, caller),
  // Its times go on without a new version.
  state: ({ lastRunAt, nextRuns }) => ({ lastRunAt, nextRuns }),
  in: {
    async insert({ schedules: engine, audit }, trx, caller, input): Promise<WithIssued<Schedule>> {
      const { queue, resolve } = engine.requireKind(input.queue, input.kind);
      const payload = await resolve(input.payload ?? {}, caller, trx);
      const row = await engine.create({ ...input, queue, payload, createdBy: caller.userId }, { trx });
      await record(audit, "schedule.create", row, trx);
      return { row };
    },
    /** A user's schedule runs with the rights of the user who last changed its work. */
    async change({ schedules: engine, audit }, trx, old, input, caller) {
      const { queue = old.queue, kind = old.kind, payload, ...changes } = input;
      const isOtherWork =
        parseQueueName(queue) !== old.queue ||
        kind !== old.kind ||
        (payload !== undefined && JSON.stringify(payload) !== JSON.stringify(old.payload));
      const work = isOtherWork ? await newWork(engine, caller, old, { queue, kind, payload }, trx) : {};
      const row = await engine.update(old.id, { ...changes, ...work }, { trx });
      if (row.version !== old.version) await record(audit, "schedule.update", row, trx);
      return { row };
    },
    async remove({ schedules: engine, audit }, trx, row) {
      await engine.delete(row.id, { trx });
      await record(audit, "schedule.delete", row, trx);
    },
  },
});

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly schedules: Schedules;
  }
}

/** The recurring work. */
export const schedulesFeature = feature("schedules", {
  needs: ["runner", "ingest", "defaultProjectId", "projects"],
  open: (context) => ({ schedules: new Schedules({ ...context, log: context.log.namespace("schedules") }) }),
  effects: ({ schedules }) => ({ "schedules-changed": () => schedules.changed() }),
  register: serve,
  onUserDeleted: endWorkOf,
  dueWork: ({ schedules }) => [schedules.due],
  start: ({ schedules }) => schedules.start(),
});

/** Cancels the timers and scheduled notifications of a deleted account; its schedules of jobs belong to the server. */
async function endWorkOf(trx: Trx, userId: string, now: EpochMs): Promise<void> {
  const waiting = await trx
    .selectFrom("jobs")
    .select("seq")
    // A literal, to match the partial index.
    .where("queue", "=", sql.lit("timers"))
    .where("finishedAt", "is", null)
    .where("createdBy", "=", userId)
    .execute();
  const seqs = waiting.map(({ seq }) => seq);
  const ended = seqs.length === 0 ? [] : await cancelWaiting(trx, "timers", seqs, now);
  if (ended.length > 0) addEffect(trx, { type: "jobs-removed", queue: "timers", count: ended.length });
  await trx.deleteFrom("schedules").where("createdBy", "=", userId).where("queue", "=", "timers").execute();
  await trx.updateTable("schedules").set({ createdBy: null }).where("createdBy", "=", userId).execute();
  addEffect(trx, { type: "schedules-changed" });
}

function serve(server: FeatureServer, context: SchedulesContext): void {
  const { schedules: engine } = context;
  for (const each of schedules.routes(context)) server.route(each);
  server.route({
    method: "POST",
    path: `${PATH}/preview`,
    id: "previewSchedule",
    summary: "Preview the next runs of a cron pattern, with daylight-saving changes; nothing is stored",
    ...reads,
    body: s.PreviewBody,
    response: s.PreviewView,
    errors: ["INVALID_CRON", "INVALID_TIMEZONE"],
    handle(_exchange, { body: { cron, timezone = context.config.timezone, count = 10 } }) {
      return { cron, timezone, nextRuns: engine.preview(cron, timezone, count).map(s.nextRunView) };
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/kinds`,
    id: "listScheduleKinds",
    summary: "List the kinds of jobs that can be scheduled, with their queues",
    ...reads,
    response: s.KindsView,
    handle: () => ({ data: [...engine.kinds()] }),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id/runs`,
    id: "listScheduleRuns",
    summary: "List the runs of a schedule, newest first, with skipped ones and the reason",
    details: "Runs are kept as long as their jobs: a week, and a month if they are dead.",
    ...reads,
    params: s.ScheduleParams,
    query: ListRuns,
    response: pageOf(ScheduleRun),
    errors: ["SCHEDULE_NOT_FOUND", "INVALID_CURSOR"],
    async handle(exchange, { params, query }) {
      const { db, projects } = context;
      const { id } = await rows.visible(projects, holderOf(exchange), params.id, db.read);
      return listRuns(db.read, id, readPage(query, ["number"]));
    },
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/run`,
    id: "runSchedule",
    summary: "Run a schedule now",
    ...manages,
    params: s.ScheduleParams,
    status: 201,
    response: s.RunView,
    errors: ["SCHEDULE_NOT_FOUND", "INVALID_STATE", "OVERLOADED"],
    handle: (exchange, { params }) => runSchedule(context, holderOf(exchange), params.id),
  });
}

async function runSchedule(context: SchedulesContext, caller: PermissionHolder, id: string) {
  const { db, storage, schedules, projects, audit } = context;
  storage.requireSpace();
  return db.write(async (trx) => {
    const schedule = await rows.writable(projects, caller, id, trx);
    const { jobId, runAt, state } = await schedules.run(id, { trx });
    await record(audit, "schedule.run", schedule, trx, { jobId });
    return { jobId, runAt: toRfc3339(runAt), state };
  });
}

async function newWork(
  schedules: Schedules,
  principal: PermissionHolder,
  old: Schedule,
  { queue: name, kind, payload }: { queue: string; kind: string; payload: unknown },
  trx: Trx,
) {
  if (old.module !== null)
    throw new PrismError("VALIDATION_FAILED", "Only the module can change the jobs of its schedule", {
      details: [{ path: "", code: "VALUE", message: `queue, kind and payload are set by the module ${old.module}` }],
    });
  const { queue, resolve } = schedules.requireKind(name, kind);
  const resolved = await resolve(payload ?? old.payload, principal, trx);
  return { queue, kind, payload: resolved, createdBy: principal.userId };
}

async function record(
  audit: CoreServices["audit"],
  action: "schedule.create" | "schedule.update" | "schedule.delete" | "schedule.run",
  { id, version, queue, kind }: Schedule,
  trx: Trx,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const metadata = { version, queue, kind, ...more };
  await audit.record({ action, resourceType: "schedule", resourceId: id, metadata }, { trx });
}
