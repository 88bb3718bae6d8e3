import { sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { parseQueueName } from "../../../core/limits/queues.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import type { Context } from "../../../module/feature.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import type { Trx } from "../../../store/database.ts";
import { managed, ofServer, type WithIssued } from "../../access/index.ts";
import { type ScheduleRow, ScheduleTable, scheduleList } from "./schedule.ts";
import { type Schedule, scheduleOf } from "./schedule-definition.ts";
import type { Schedules } from "./schedules.ts";
import * as s from "./schema.ts";
import { scheduleView } from "./schema.ts";

export type SchedulesContext = Context<"schedules" | "projects">;

export const reads = { tag: "Schedules", access: { permission: "jobs:read" } } as const;
export const manages = { tag: "Schedules", access: { permission: "jobs:manage" } } as const;
export const PATH = "/api/v1/schedules";
const INVALID = ["INVALID_CRON", "INVALID_TIMEZONE", "NAME_TAKEN"] as const;
/** Errors of a timer's action. */
const ACTION = ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED"] as const;

export const rows = ofServer(
  {
    async find(db, id): Promise<Schedule | undefined> {
      const row = await ScheduleTable.find(db, id);
      return row && scheduleOf(row);
    },
  },
  { read: "jobs:read", write: "jobs:manage", missing: "SCHEDULE_NOT_FOUND", noun: "schedule" },
);

/** @param id default: a new one */
type NewSchedule = s.CreateSchedule & { readonly id?: string };

/** For operators. A change and its audit row are one transaction. */
export const schedules = managed({
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
    prepare({ storage }, _caller, body): NewSchedule {
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

export async function record(
  audit: CoreServices["audit"],
  action: "schedule.create" | "schedule.update" | "schedule.delete" | "schedule.run",
  { id, version, queue, kind }: Schedule,
  trx: Trx,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const metadata = { version, queue, kind, ...more };
  await audit.record({ action, resourceType: "schedule", resourceId: id, metadata }, { trx });
}
