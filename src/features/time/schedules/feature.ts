import { sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { pageOf, readPage } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { cancelWaiting } from "../../../store/commit/job-table.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { manages, PATH, reads, record, rows, type SchedulesContext, schedules } from "./manage.ts";
import { ListRuns, listRuns, ScheduleRun } from "./schedule-runs.ts";
import { Schedules } from "./schedules.ts";
import * as s from "./schema.ts";

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
  configKinds: async (context) => (await import("./config-kind.ts")).jobKinds(context),
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
