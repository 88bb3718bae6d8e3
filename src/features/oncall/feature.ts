import { callerOf, holderOf } from "../../http/access.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/idempotency.ts";
import { stateOf } from "../../http/negotiation.ts";
import { versioned } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { MAX_CALENDAR_BYTES } from "./calendars.ts";
import { createOnce } from "./create-once.ts";
import { serveDaysOff } from "./days-off-routes.ts";
import { serveCalendars, servePreferences, serveReading } from "./reading-routes.ts";
import type { OnCallContext } from "./schedules.ts";
import * as schedules from "./schedules.ts";
import * as s from "./schema.ts";
import * as views from "./shift-views.ts";
import * as shifts from "./shifts.ts";
import { OnCallWatch } from "./watch.ts";

const PATH = "/api/v1/oncall";
const tag = "On-call";
const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
/** Members may do it for their own shifts. */
const member = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "oncall:write", within: "project" } } as const;
const ofSchedule = { params: s.ScheduleParams } as const;
const ofShift = { params: s.ShiftParams } as const;
const CHANGE_ERRORS = ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "RECIPIENT_NOT_FOUND"] as const;

/** Who is on call: schedules with shifts, overrides, swaps and calendars. */
export const onCallFeature = feature("oncall", {
  needs: ["projects", "principals", "users", "notify", "drills", "policiesWithSchedule", "outside"],
  register(server, given) {
    const context: OnCallContext = { ...given, fetch: given.outside({ maxBodyBytes: MAX_CALENDAR_BYTES }) };
    new OnCallWatch(context);
    serveSchedules(server, context);
    serveShifts(server, context);
    serveOverrides(server, context);
    serveSwaps(server, context);
    serveDaysOff(server, context);
    serveReading(server, context);
    servePreferences(server, context);
    serveCalendars(server, context);
  },
});

function serveSchedules(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules`;
  const one = { ...ofSchedule, path: `${path}/:id`, response: s.ScheduleView } as const;
  server.route({
    ...read,
    method: "GET",
    path,
    id: "listOnCallSchedules",
    summary: "List on-call schedules, newest first",
    query: s.ListSchedules,
    response: pageOf(s.ScheduleView),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => schedules.listSchedules(context, callerOf(exchange), query),
  });
  server.route({
    ...write,
    method: "POST",
    path,
    id: "createOnCallSchedule",
    summary: "Create an on-call schedule",
    body: s.CreateSchedule,
    status: 201,
    response: s.ScheduleView,
    errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN", "URL_REFUSED", "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
    async handle(exchange, { body }) {
      const principal = holderOf(exchange);
      const calendarUrl = await schedules.newCalendarUrl(context, principal, body);
      return createOnce(context, exchange, body, (trx) =>
        schedules.createSchedule(context, principal, body, calendarUrl, trx),
      );
    },
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getOnCallSchedule",
    summary: "Get an on-call schedule",
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: async (exchange, { params }) =>
      scheduleReply(await schedules.readSchedule(context, callerOf(exchange), params.id)),
  });
  server.route({
    ...write,
    ...one,
    method: "PUT",
    id: "updateOnCallSchedule",
    summary: "Change an on-call schedule",
    body: s.UpdateSchedule,
    errors: [
      "SCHEDULE_NOT_FOUND",
      "UNAUTHORIZED_ROLE",
      "VERSION_CONFLICT",
      "NAME_TAKEN",
      "URL_REFUSED",
      "LIMIT_REACHED",
    ],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      return scheduleReply(await schedules.updateSchedule(context, holderOf(exchange), params.id, ifMatch, body));
    },
  });
  server.route({
    ...write,
    ...ofSchedule,
    method: "DELETE",
    path: one.path,
    id: "deleteOnCallSchedule",
    summary: "Delete an on-call schedule with its shifts and its past, if no policy names it",
    query: s.DeleteSchedule,
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "VERSION_CONFLICT", "ON_CALL_SCHEDULE_IN_USE"],
    handle(exchange, { params, query }) {
      const ifMatch = exchange.header("if-match");
      return schedules.deleteSchedule(context, holderOf(exchange), params.id, ifMatch, query.force === true);
    },
  });
}

/** The state of the calendar and its link change without a new version. */
function scheduleReply({ version, body }: Awaited<ReturnType<typeof schedules.readSchedule>>) {
  const { calendar, hasCalendarLink, calendarUrl } = body;
  return versioned(version, body, { state: stateOf({ calendar, hasCalendarLink, calendarUrl }) });
}

function serveShifts(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules/:id/shifts`;
  const one = { ...ofShift, path: `${path}/:shiftId`, response: s.ShiftView } as const;
  server.route({
    ...read,
    ...ofSchedule,
    method: "GET",
    path,
    id: "listOnCallShifts",
    summary: "List the shifts and rotations of a schedule, newest first",
    query: s.ListShifts,
    response: pageOf(s.ShiftView),
    errors: ["SCHEDULE_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) =>
      shifts.listShifts(context, callerOf(exchange), params.id, shifts.SHIFT_KINDS, query, views.shiftView),
  });
  server.route({
    ...write,
    ...ofSchedule,
    method: "POST",
    path,
    id: "createOnCallShift",
    summary: "Create a shift or a rotation",
    body: s.CreateShift,
    status: 201,
    response: s.ShiftView,
    errors: [...CHANGE_ERRORS, "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { params: { id }, body }) {
      const principal = holderOf(exchange);
      return createOnce(context, exchange, { id, body }, (trx) =>
        shifts.createShift(context, principal, id, body, trx),
      );
    },
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getOnCallShift",
    summary: "Get a shift or a rotation",
    errors: ["SCHEDULE_NOT_FOUND", "SHIFT_NOT_FOUND"],
    async handle(exchange, { params }) {
      const kinds = shifts.SHIFT_KINDS;
      const found = await shifts.readShift(context, callerOf(exchange), params, kinds, views.shiftView);
      return versioned(found.version, found.body);
    },
  });
  server.route({
    ...write,
    ...one,
    method: "PUT",
    id: "updateOnCallShift",
    summary: "Change a shift or a rotation from now on; past times do not change",
    body: s.UpdateShift,
    errors: [...CHANGE_ERRORS, "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      const changed = await shifts.updateShift(context, holderOf(exchange), params, ifMatch, body);
      return versioned(changed.version, changed.body);
    },
  });
  server.route({
    ...write,
    ...ofShift,
    method: "DELETE",
    path: one.path,
    id: "deleteOnCallShift",
    summary: "Delete a shift or a rotation from now on; past times do not change",
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
    handle: (exchange, { params }) =>
      shifts.deleteShift(context, holderOf(exchange), params, shifts.SHIFT_KINDS, exchange.header("if-match")),
  });
}

function serveOverrides(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules/:id/overrides`;
  const one = { ...ofShift, path: `${path}/:shiftId`, response: s.OverrideView } as const;
  server.route({
    ...read,
    ...ofSchedule,
    method: "GET",
    path,
    id: "listOnCallOverrides",
    summary: "List the overrides of a schedule, newest first",
    query: s.ListShifts,
    response: pageOf(s.OverrideView),
    errors: ["SCHEDULE_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) =>
      shifts.listShifts(context, callerOf(exchange), params.id, ["override"], query, views.overrideView),
  });
  server.route({
    ...member,
    ...ofSchedule,
    method: "POST",
    path,
    id: "createOnCallOverride",
    summary: "Put other users on call for a span of time",
    details: "Members may replace themselves; to replace others `oncall:write` is needed.",
    body: s.CreateOverride,
    status: 201,
    response: s.OverrideView,
    errors: [...CHANGE_ERRORS, "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { params: { id }, body }) {
      const principal = holderOf(exchange);
      return createOnce(context, exchange, { id, body }, (trx) =>
        shifts.createOverride(context, principal, id, body, trx),
      );
    },
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getOnCallOverride",
    summary: "Get an override",
    errors: ["SCHEDULE_NOT_FOUND", "SHIFT_NOT_FOUND"],
    async handle(exchange, { params }) {
      const found = await shifts.readShift(context, callerOf(exchange), params, ["override"], views.overrideView);
      return versioned(found.version, found.body);
    },
  });
  server.route({
    ...member,
    ...one,
    method: "PUT",
    id: "updateOnCallOverride",
    summary: "Change an override from now on; past times do not change",
    body: s.UpdateOverride,
    errors: [...CHANGE_ERRORS, "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      const changed = await shifts.updateOverride(context, holderOf(exchange), params, ifMatch, body);
      return versioned(changed.version, changed.body);
    },
  });
  server.route({
    ...member,
    ...ofShift,
    method: "DELETE",
    path: one.path,
    id: "deleteOnCallOverride",
    summary: "Delete an override from now on; past times do not change",
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
    handle: (exchange, { params }) =>
      shifts.deleteShift(context, holderOf(exchange), params, ["override"], exchange.header("if-match")),
  });
}

function serveSwaps(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules/:id/swaps`;
  const view = (row: Parameters<typeof views.swapView>[0]) => views.swapView(row, context.clock.now());
  server.route({
    ...read,
    ...ofSchedule,
    method: "GET",
    path,
    id: "listOnCallSwaps",
    summary: "List the swaps of a schedule, newest first",
    query: s.ListShifts,
    response: pageOf(s.SwapView),
    errors: ["SCHEDULE_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) =>
      shifts.listShifts(context, callerOf(exchange), params.id, ["swap"], query, view),
  });
  server.route({
    ...member,
    ...ofSchedule,
    method: "POST",
    path,
    id: "createOnCallSwap",
    summary: "Ask that another user takes over shifts of a span of time",
    body: s.CreateSwap,
    status: 201,
    response: s.SwapView,
    errors: [...CHANGE_ERRORS, "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { params: { id }, body }) {
      const principal = holderOf(exchange);
      return createOnce(context, exchange, { id, body }, (trx) => shifts.createSwap(context, principal, id, body, trx));
    },
  });
  server.route({
    ...read,
    ...ofShift,
    method: "GET",
    path: `${path}/:shiftId`,
    id: "getOnCallSwap",
    summary: "Get a swap",
    response: s.SwapView,
    errors: ["SCHEDULE_NOT_FOUND", "SHIFT_NOT_FOUND"],
    async handle(exchange, { params }) {
      const { version, body } = await shifts.readShift(context, callerOf(exchange), params, ["swap"], view);
      return versioned(version, body, { state: body.state });
    },
  });
  server.route({
    ...member,
    ...ofShift,
    method: "POST",
    path: `${path}/:shiftId/take`,
    id: "takeOnCallSwap",
    summary: "Take over the shifts of an open swap",
    body: s.TakeSwap,
    response: s.SwapView,
    errors: [...CHANGE_ERRORS, "SHIFT_NOT_FOUND", "INVALID_STATE"],
    async handle(exchange, { params, body }) {
      const taken = await shifts.takeSwap(context, holderOf(exchange), params, body);
      return versioned(taken.version, taken.body);
    },
  });
  server.route({
    ...member,
    ...ofShift,
    method: "DELETE",
    path: `${path}/:shiftId`,
    id: "cancelOnCallSwap",
    summary: "Cancel a swap from now on",
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
    handle: (exchange, { params }) =>
      shifts.deleteShift(context, holderOf(exchange), params, ["swap"], exchange.header("if-match")),
  });
}
