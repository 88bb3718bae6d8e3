import { userOf } from "../../http/access.ts";
import { stateOf } from "../../http/negotiation.ts";
import { route, versioned } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import type { Feature, FeatureServer } from "../../module/feature.ts";
import type { Schedule } from "./schedule-definition.ts";
import * as s from "./schema.ts";
import {
  createSchedule,
  deleteSchedule,
  listSchedules,
  requireSchedule,
  runSchedule,
  type SchedulesContext,
  type SchedulesOwn,
  updateSchedule,
} from "./service.ts";

const reads = { tag: "Schedules", access: { permission: "jobs:read" } } as const;
const manages = { tag: "Schedules", access: { permission: "jobs:manage" } } as const;
const PATH = "/api/v1/schedules";
const INVALID = ["INVALID_CRON", "INVALID_TIMEZONE", "NAME_TAKEN"] as const;
/** Of what a timer's action may be refused for. */
const ACTION = ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED"] as const;

/** What recurs. */
export function schedulesFeature(own: SchedulesOwn): Feature {
  return {
    name: "schedules",
    version: "1.0.0",
    register: (server, { audit }) => serve(server, { ...own, audit }),
  };
}

function serve(server: FeatureServer, context: SchedulesContext): void {
  const { schedules: engine } = context;
  const reply = (schedule: Schedule, status = 200) => {
    const view = s.scheduleView(engine, schedule);
    // Its times go on without a new version.
    const { lastRunAt, nextRuns } = view;
    return versioned(schedule.version, view, { status, state: stateOf({ lastRunAt, nextRuns }) });
  };

  server.route(
    route({
      method: "GET",
      path: PATH,
      summary: "Schedules, newest first",
      ...reads,
      query: s.ListSchedules,
      response: pageOf(s.ScheduleView),
      errors: ["INVALID_CURSOR"],
      handle: (_exchange, { query }) => listSchedules(context, query),
    }),
  );
  server.route(
    route({
      method: "POST",
      path: PATH,
      summary: "Make a schedule: a job again and again, by a cron pattern or an interval",
      ...manages,
      body: s.CreateSchedule,
      status: 201,
      response: s.ScheduleView,
      errors: [...INVALID, ...ACTION, "LIMIT_REACHED"],
      handle: async (exchange, { body }) => reply(await createSchedule(context, userOf(exchange), body), 201),
    }),
  );
  server.route(
    route({
      method: "POST",
      path: `${PATH}/preview`,
      summary: "The next times of a cron pattern, and what the setting of clocks does to them; nothing is stored",
      ...reads,
      body: s.PreviewBody,
      response: s.PreviewView,
      errors: ["INVALID_CRON", "INVALID_TIMEZONE"],
      handle(_exchange, { body: { cron, timezone = context.config.timezone, count = 10 } }) {
        return { cron, timezone, nextRuns: engine.preview(cron, timezone, count).map(s.nextRunView) };
      },
    }),
  );
  server.route(
    route({
      method: "GET",
      path: `${PATH}/:id`,
      summary: "A schedule with its next times",
      ...reads,
      params: s.ScheduleParams,
      response: s.ScheduleView,
      errors: ["SCHEDULE_NOT_FOUND"],
      handle: async (_exchange, { params }) => reply(await requireSchedule(engine, params.id)),
    }),
  );
  server.route(
    route({
      method: "PUT",
      path: `${PATH}/:id`,
      summary: "Change a schedule; members that are missing stay. Another pattern, interval or zone counts from now on",
      ...manages,
      params: s.ScheduleParams,
      body: s.UpdateSchedule,
      response: s.ScheduleView,
      errors: ["SCHEDULE_NOT_FOUND", "VERSION_CONFLICT", ...INVALID, ...ACTION],
      async handle(exchange, { params, body }) {
        return reply(await updateSchedule(context, userOf(exchange), params.id, exchange.header("if-match"), body));
      },
    }),
  );
  server.route(
    route({
      method: "DELETE",
      path: `${PATH}/:id`,
      summary: "Delete a schedule; jobs that it has made go on",
      ...manages,
      params: s.ScheduleParams,
      errors: ["SCHEDULE_NOT_FOUND"],
      handle: (_exchange, { params }) => deleteSchedule(context, params.id),
    }),
  );
  server.route(
    route({
      method: "POST",
      path: `${PATH}/:id/run`,
      summary: "Make a job of the schedule now",
      ...manages,
      params: s.ScheduleParams,
      status: 201,
      response: s.RunView,
      errors: ["SCHEDULE_NOT_FOUND", "INVALID_STATE", "OVERLOADED"],
      handle: (_exchange, { params }) => runSchedule(context, params.id),
    }),
  );
}
