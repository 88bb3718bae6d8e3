import { callerOf, holderOf } from "../../http/access.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/idempotency.ts";
import { versioned } from "../../http/route.ts";
import type { FeatureServer } from "../../module/feature.ts";
import { readConflicts } from "./conflicts.ts";
import { createOnce } from "./create-once.ts";
import * as daysOff from "./days-off.ts";
import * as s from "./days-off-schema.ts";
import { Range } from "./reading-schema.ts";
import type { OnCallContext } from "./schedules.ts";
import { ScheduleParams } from "./schema.ts";

const PATH = "/api/v1/oncall";
const tag = "On-call";
const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
/** One's own, and with `oncall:write` in a project those of its members. */
const keep = { tag, access: { tokenScopes: ["account:own", "oncall:write"] } } as const;
const one = { ...keep, path: `${PATH}/days-off/:id`, params: s.DaysOffParams } as const;

/** Days off of users, and when they are on call on them. */
export function serveDaysOff(server: FeatureServer, context: OnCallContext): void {
  server.route({
    ...keep,
    method: "GET",
    path: `${PATH}/days-off`,
    id: "listOnCallDaysOff",
    summary: "List the days off of a user, in order",
    query: s.ListDaysOff,
    response: s.DaysOffList,
    errors: ["USER_NOT_FOUND", "UNAUTHORIZED_ROLE"],
    handle: (exchange, { query }) => daysOff.listDaysOff(context, holderOf(exchange), query),
  });
  server.route({
    ...keep,
    method: "POST",
    path: `${PATH}/days-off`,
    id: "createOnCallDaysOff",
    summary: "Say on which days a user is away",
    details: "The user stays on call until a swap or override is taken; `warnings` names the shifts on these days.",
    body: s.CreateDaysOff,
    status: 201,
    response: s.DaysOffView,
    errors: ["USER_NOT_FOUND", "UNAUTHORIZED_ROLE", "PROJECT_NOT_FOUND", "LIMIT_REACHED", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { body }) {
      const principal = holderOf(exchange);
      return createOnce(context, exchange, body, (trx) => daysOff.createDaysOff(context, principal, body, trx));
    },
  });
  server.route({
    ...one,
    method: "GET",
    id: "getOnCallDaysOff",
    summary: "Get days off",
    response: s.DaysOffView,
    errors: ["DAYS_OFF_NOT_FOUND"],
    async handle(exchange, { params }) {
      const { version, body } = await daysOff.readDaysOff(context, holderOf(exchange), params.id);
      return versioned(version, body);
    },
  });
  server.route({
    ...one,
    method: "PUT",
    id: "updateOnCallDaysOff",
    summary: "Change days off",
    body: s.UpdateDaysOff,
    response: s.DaysOffView,
    errors: ["DAYS_OFF_NOT_FOUND", "UNAUTHORIZED_ROLE", "PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      const changed = await daysOff.updateDaysOff(context, holderOf(exchange), params.id, ifMatch, body);
      return versioned(changed.version, changed.body);
    },
  });
  server.route({
    ...one,
    method: "DELETE",
    id: "deleteOnCallDaysOff",
    summary: "Delete days off",
    errors: ["DAYS_OFF_NOT_FOUND", "UNAUTHORIZED_ROLE", "PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    handle: (exchange, { params }) =>
      daysOff.deleteDaysOff(context, holderOf(exchange), params.id, exchange.header("if-match")),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/schedules/:id/days-off`,
    params: ScheduleParams,
    id: "listOnCallScheduleDaysOff",
    summary: "The days off of all users whom a schedule names",
    query: Range,
    response: s.DaysOffOfSchedule,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: (exchange, { params, query }) => daysOff.daysOffOfSchedule(context, callerOf(exchange), params.id, query),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/conflicts`,
    id: "listOnCallConflicts",
    summary: "When users are on call on their days off",
    query: s.ConflictsQuery,
    response: s.Conflicts,
    errors: ["PROJECT_NOT_FOUND", "SCHEDULE_NOT_FOUND", "USER_NOT_FOUND"],
    handle: (exchange, { query }) => readConflicts(context, callerOf(exchange), query),
  });
}
