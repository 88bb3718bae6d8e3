import { IDEMPOTENCY_ERRORS } from "../../http/api/idempotency.ts";
import { withVersion } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { callerOf, holderOf } from "../../http/server/access.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import { MAX_CALENDAR_BYTES } from "./calendars.ts";
import { createOnce } from "./create-once.ts";
import { serveDaysOff } from "./days-off-routes.ts";
import { onCallSchedules } from "./manage.ts";
import { serveCalendars, servePreferences, serveReading } from "./reading-routes.ts";
import { type GapsPort, gapsBetween, namedOnCall, type OnCallPort, onCall } from "./roster.ts";
import type { OnCallContext } from "./schedules.ts";
import { ON_CALL_CHANGED } from "./schedules.ts";
import * as s from "./schema.ts";
import { OVERRIDES, SHIFTS, SWAPS } from "./shift-views.ts";
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
/** What the routes of shifts, overrides and swaps have in common. */
const list = {
  ...read,
  ...ofSchedule,
  method: "GET",
  query: s.ListShifts,
  errors: ["SCHEDULE_NOT_FOUND", "INVALID_CURSOR"],
} as const;
const create = {
  ...ofSchedule,
  method: "POST",
  status: 201,
  errors: [...CHANGE_ERRORS, "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
} as const;
const get = { ...read, ...ofShift, method: "GET", errors: ["SCHEDULE_NOT_FOUND", "SHIFT_NOT_FOUND"] } as const;
const update = {
  ...ofShift,
  method: "PUT",
  errors: [...CHANGE_ERRORS, "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
} as const;
const remove = {
  ...ofShift,
  method: "DELETE",
  errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE", "SHIFT_NOT_FOUND", "VERSION_CONFLICT"],
} as const;

declare module "../../module/feature.ts" {
  interface Offers {
    readonly onCall: OnCallPort;
    /** The times without anyone on call on a schedule. */
    readonly gapsOf: GapsPort;
    /** Whom the on-call schedules of a project name from an instant on. */
    readonly namedOnCall: typeof namedOnCall;
  }
}

/** Who is on call: schedules with shifts, overrides, swaps and calendars. */
export const onCallFeature = feature("oncall", {
  needs: ["users"],
  uses: ["projects", "principals", "notify", "drills", "policiesWithSchedule", "outside", "incidents"],
  open: ({ users }) => ({
    onCall: (...parameters) => onCall(users, ...parameters),
    gapsOf: (...parameters) => gapsBetween(users, ...parameters),
    namedOnCall,
  }),
  register(server, given) {
    const context: OnCallContext = { ...given, fetch: given.outside({ maxBodyBytes: MAX_CALENDAR_BYTES }) };
    new OnCallWatch(context);
    // Incidents that reached no one look again when others are on call.
    context.events.on(ON_CALL_CHANGED, (data) => {
      const { id: scheduleId } = data as { readonly id: string };
      given.incidents.tryUnreached((_row, { steps }) =>
        steps.some((step) => step.type === "notify" && step.schedules.some(({ id }) => id === scheduleId)),
      );
    });
    for (const each of onCallSchedules.routes(context)) server.route(each);
    serveShifts(server, context);
    serveOverrides(server, context);
    serveSwaps(server, context);
    serveDaysOff(server, context);
    serveReading(server, context);
    servePreferences(server, context);
    serveCalendars(server, context);
  },
  async onUserDeleted(trx, userId) {
    await trx.deleteFrom("oncall_days_off").where("userId", "=", userId).execute();
  },
  /** With their shifts and calendars, by the foreign keys. */
  async onProjectDeleted(trx, projectId) {
    const gone = trx.deleteFrom("oncall_schedules").where("projectId", "=", projectId).returning(["id", "version"]);
    return { resourceType: "oncall_schedule", rows: await gone.execute() };
  },
});

function serveShifts(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules/:id/shifts`;
  const one = { path: `${path}/:shiftId`, response: () => s.Shift.View } as const;
  server.route({
    ...list,
    path,
    id: "listOnCallShifts",
    summary: "List the shifts and rotations of a schedule, newest first",
    response: () => pageOf(s.Shift.View),
    handle: (exchange, { params, query }) => shifts.listShifts(context, callerOf(exchange), params.id, SHIFTS, query),
  });
  server.route({
    ...write,
    ...create,
    path,
    id: "createOnCallShift",
    summary: "Create a shift or a rotation",
    body: s.CreateShift,
    response: () => s.Shift.View,
    handle: (exchange, { params: { id }, body }) =>
      createOnce(context, exchange, { id, body }, (trx, principal) =>
        shifts.createShift(context, principal, id, body, trx),
      ),
  });
  server.route({
    ...get,
    ...one,
    id: "getOnCallShift",
    summary: "Get a shift or a rotation",
    handle: async (exchange, { params }) =>
      withVersion(await shifts.readShift(context, callerOf(exchange), params, SHIFTS)),
  });
  server.route({
    ...write,
    ...update,
    ...one,
    id: "updateOnCallShift",
    summary: "Change a shift or a rotation from now on; past times do not change",
    body: s.UpdateShift,
    handle: async (exchange, { params, body }) =>
      withVersion(await shifts.updateShift(context, holderOf(exchange), params, exchange.header("if-match"), body)),
  });
  server.route({
    ...write,
    ...remove,
    path: one.path,
    id: "deleteOnCallShift",
    summary: "Delete a shift or a rotation from now on; past times do not change",
    handle: (exchange, { params }) =>
      shifts.deleteShift(context, holderOf(exchange), params, SHIFTS, exchange.header("if-match")),
  });
}

function serveOverrides(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules/:id/overrides`;
  const one = { path: `${path}/:shiftId`, response: s.OverrideView } as const;
  server.route({
    ...list,
    path,
    id: "listOnCallOverrides",
    summary: "List the overrides of a schedule, newest first",
    response: pageOf(s.OverrideView),
    handle: (exchange, { params, query }) =>
      shifts.listShifts(context, callerOf(exchange), params.id, OVERRIDES, query),
  });
  server.route({
    ...member,
    ...create,
    path,
    id: "createOnCallOverride",
    summary: "Put other users on call for a span of time",
    details: "Members may replace themselves; to replace others `oncall:write` is needed.",
    body: s.CreateOverride,
    response: s.OverrideView,
    handle: (exchange, { params: { id }, body }) =>
      createOnce(context, exchange, { id, body }, (trx, principal) =>
        shifts.createOverride(context, principal, id, body, trx),
      ),
  });
  server.route({
    ...get,
    ...one,
    id: "getOnCallOverride",
    summary: "Get an override",
    handle: async (exchange, { params }) =>
      withVersion(await shifts.readShift(context, callerOf(exchange), params, OVERRIDES)),
  });
  server.route({
    ...member,
    ...update,
    ...one,
    id: "updateOnCallOverride",
    summary: "Change an override from now on; past times do not change",
    body: s.UpdateOverride,
    handle: async (exchange, { params, body }) =>
      withVersion(await shifts.updateOverride(context, holderOf(exchange), params, exchange.header("if-match"), body)),
  });
  server.route({
    ...member,
    ...remove,
    path: one.path,
    id: "deleteOnCallOverride",
    summary: "Delete an override from now on; past times do not change",
    handle: (exchange, { params }) =>
      shifts.deleteShift(context, holderOf(exchange), params, OVERRIDES, exchange.header("if-match")),
  });
}

function serveSwaps(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/schedules/:id/swaps`;
  server.route({
    ...list,
    path,
    id: "listOnCallSwaps",
    summary: "List the swaps of a schedule, newest first",
    response: pageOf(s.SwapView),
    handle: (exchange, { params, query }) => shifts.listShifts(context, callerOf(exchange), params.id, SWAPS, query),
  });
  server.route({
    ...member,
    ...create,
    path,
    id: "createOnCallSwap",
    summary: "Ask another user to take over the shifts of a span of time",
    body: s.CreateSwap,
    response: s.SwapView,
    handle: (exchange, { params: { id }, body }) =>
      createOnce(context, exchange, { id, body }, (trx, principal) =>
        shifts.createSwap(context, principal, id, body, trx),
      ),
  });
  server.route({
    ...get,
    path: `${path}/:shiftId`,
    id: "getOnCallSwap",
    summary: "Get a swap",
    response: s.SwapView,
    async handle(exchange, { params }) {
      const swap = await shifts.readShift(context, callerOf(exchange), params, SWAPS);
      return withVersion(swap, { state: swap.state });
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
    handle: async (exchange, { params, body }) =>
      withVersion(await shifts.takeSwap(context, holderOf(exchange), params, body)),
  });
  server.route({
    ...member,
    ...remove,
    path: `${path}/:shiftId`,
    id: "cancelOnCallSwap",
    summary: "Cancel a swap from now on",
    handle: (exchange, { params }) =>
      shifts.deleteShift(context, holderOf(exchange), params, SWAPS, exchange.header("if-match")),
  });
}
