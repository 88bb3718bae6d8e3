import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import { parseQueueName } from "../../../core/limits/queues.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { readPage } from "../../../http/api/pagination.ts";
import { versioned } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { stateOf } from "../../../http/body/negotiation.ts";
import { holderOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import { cancelWaiting } from "../../../store/commit/job-table.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { type ScheduleRow, ScheduleTable, scheduleList } from "./schedule.ts";
import { type Schedule, scheduleOf } from "./schedule-definition.ts";
import { ListRuns, listRuns, ScheduleRun } from "./schedule-runs.ts";
import { Schedules } from "./schedules.ts";
import * as s from "./schema.ts";
import { type CreateSchedule, scheduleView, type UpdateSchedule } from "./schema.ts";

type SchedulesContext = Context<"schedules">;

/*
 * The operators' routes for schedules. A change and its audit row are one transaction.
 */

async function createSchedule(
  { db, storage, schedules, audit }: SchedulesContext,
  principal: PermissionHolder,
  input: CreateSchedule,
): Promise<Schedule> {
  storage.requireSpace();
  return db.write(async (trx) => {
    const { queue, resolve } = schedules.requireKind(input.queue, input.kind);
    const payload = await resolve(input.payload ?? {}, principal, trx);
    const schedule = await schedules.create({ ...input, queue, payload, createdBy: principal.userId }, { trx });
    await record(audit, "schedule.create", schedule, trx);
    return schedule;
  });
}

/** A user who changes what a user's schedule does becomes the one in whose name it runs. */
async function updateSchedule(
  { db, schedules, audit }: SchedulesContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateSchedule,
): Promise<Schedule> {
  return db.write(async (trx) => {
    const old = await requireSchedule(schedules, id, trx);
    const { queue = old.queue, kind = old.kind, payload, ...changes } = input;
    const isOtherWork =
      parseQueueName(queue) !== old.queue ||
      kind !== old.kind ||
      (payload !== undefined && JSON.stringify(payload) !== JSON.stringify(old.payload));
    const work = isOtherWork ? await newWork(schedules, principal, old, { queue, kind, payload }, trx) : {};
    const schedule = await schedules.update(id, { ...changes, ...work }, { trx, ifMatch });
    if (schedule.version !== old.version) await record(audit, "schedule.update", schedule, trx);
    return schedule;
  });
}

async function deleteSchedule({ db, schedules, audit }: SchedulesContext, id: string): Promise<void> {
  await db.write(async (trx) => {
    const schedule = await requireSchedule(schedules, id, trx);
    await schedules.delete(id, { trx });
    await record(audit, "schedule.delete", schedule, trx);
  });
}

async function runSchedule({ db, storage, schedules, audit }: SchedulesContext, id: string) {
  storage.requireSpace();
  return db.write(async (trx) => {
    const schedule = await requireSchedule(schedules, id, trx);
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

/** @throws SCHEDULE_NOT_FOUND */
async function requireSchedule(schedules: Schedules, id: string, trx?: Trx): Promise<Schedule> {
  const schedule = await schedules.find(id, { trx });
  if (!schedule) throw new PrismError("SCHEDULE_NOT_FOUND", "No such schedule");
  return schedule;
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

const reads = { tag: "Schedules", access: { permission: "jobs:read" } } as const;
const manages = { tag: "Schedules", access: { permission: "jobs:manage" } } as const;
const PATH = "/api/v1/schedules";
const INVALID = ["INVALID_CRON", "INVALID_TIMEZONE", "NAME_TAKEN"] as const;
/** Errors of a timer's action. */
const ACTION = ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED"] as const;

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly schedules: Schedules;
  }
}

/** The recurring work. */
export const schedulesFeature = feature("schedules", {
  needs: ["runner", "ingest", "defaultProjectId"],
  open: (context) => ({ schedules: new Schedules({ ...context, log: context.log.namespace("schedules") }) }),
  effects: ({ schedules }) => ({ "schedules-changed": () => schedules.changed() }),
  register: serve,
  onUserDeleted: endWorkOf,
  start: ({ schedules }) => schedules.start(),
  stop: ({ schedules }) => schedules.stop(),
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
  const reply = (exchange: Exchange, schedule: Schedule, status = 200) => {
    const view = s.scheduleView(engine, schedule, holderOf(exchange));
    // Its times go on without a new version.
    const { lastRunAt, nextRuns } = view;
    return versioned(schedule.version, view, { status, state: stateOf({ lastRunAt, nextRuns }) });
  };

  server.route({
    method: "GET",
    path: PATH,
    id: "listSchedules",
    summary: "List schedules, newest first",
    ...reads,
    query: s.ListSchedules,
    response: () => pageOf(ScheduleTable.View),
    errors: ["INVALID_CURSOR"],
    handle(exchange, { query: { runs, ...query } }) {
      const caller = holderOf(exchange);
      const view = (row: ScheduleRow) => scheduleView(engine, scheduleOf(row), caller, runs);
      return scheduleList.page(context.db, { visible: sql`true`, state: undefined }, query, () => view);
    },
  });
  server.route({
    method: "POST",
    path: PATH,
    id: "createSchedule",
    summary: "Create a schedule that enqueues a job by a cron pattern or an interval",
    ...manages,
    body: s.CreateSchedule,
    status: 201,
    response: () => ScheduleTable.View,
    errors: [...INVALID, ...ACTION, "LIMIT_REACHED"],
    handle: async (exchange, { body }) => reply(exchange, await createSchedule(context, holderOf(exchange), body), 201),
  });
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
    path: `${PATH}/:id`,
    id: "getSchedule",
    summary: "Get a schedule with its next runs",
    ...reads,
    params: s.ScheduleParams,
    response: () => ScheduleTable.View,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: async (exchange, { params }) => reply(exchange, await requireSchedule(engine, params.id)),
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
    async handle(_exchange, { params, query }) {
      const { id } = await requireSchedule(engine, params.id);
      return listRuns(context.db.read, id, readPage(query, ["number"]));
    },
  });
  server.route({
    method: "PUT",
    path: `${PATH}/:id`,
    id: "updateSchedule",
    summary: "Update a schedule; a new pattern, interval or zone applies from now on",
    ...manages,
    params: s.ScheduleParams,
    body: s.UpdateSchedule,
    response: () => ScheduleTable.View,
    errors: ["SCHEDULE_NOT_FOUND", "VERSION_CONFLICT", ...INVALID, ...ACTION],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      return reply(exchange, await updateSchedule(context, holderOf(exchange), params.id, ifMatch, body));
    },
  });
  server.route({
    method: "DELETE",
    path: `${PATH}/:id`,
    id: "deleteSchedule",
    summary: "Delete a schedule; jobs that it enqueued continue",
    ...manages,
    params: s.ScheduleParams,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: (_exchange, { params }) => deleteSchedule(context, params.id),
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
    handle: (_exchange, { params }) => runSchedule(context, params.id),
  });
}
