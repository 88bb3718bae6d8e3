import * as v from "valibot";
import { ANSWERS_LATER } from "../../http/api/route.ts";
import { doc } from "../../http/api/shapes.ts";
import { isAmongTags, stateOf } from "../../http/body/negotiation.ts";
import { callerOf, holderOf, userOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { FeatureServer } from "../../module/feature.ts";
import * as links from "./links.ts";
import * as reading from "./reading.ts";
import * as s from "./reading-schema.ts";
import type { OnCallContext } from "./schedules.ts";
import * as schedules from "./schedules.ts";
import { ScheduleParams } from "./schema.ts";

const PATH = "/api/v1/oncall";
const tag = "On-call";
const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
const member = { tag, access: { permission: "events:read", within: "project" } } as const;
const write = { tag, access: { permission: "oncall:write", within: "project" } } as const;
const own = { tag, access: { tokenScopes: ["account:own"] } } as const;
const ofSchedule = { params: ScheduleParams } as const;

/** Who is on call now and when. */
export function serveReading(server: FeatureServer, context: OnCallContext): void {
  server.route({
    ...read,
    ...ofSchedule,
    method: "GET",
    path: `${PATH}/schedules/:id/final-shifts`,
    id: "listOnCallFinalShifts",
    summary: "List who is on call when, after priorities, overrides and swaps",
    query: s.Range,
    response: s.FinalShifts,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: (exchange, { params, query }) => reading.readFinalShifts(context, callerOf(exchange), params.id, query),
  });
  server.route({
    ...read,
    ...ofSchedule,
    method: "GET",
    path: `${PATH}/schedules/:id/layers`,
    id: "listOnCallLayers",
    summary: "List shifts by layer, before priorities and swaps",
    query: s.Range,
    response: s.Layers,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: (exchange, { params, query }) => reading.readLayers(context, callerOf(exchange), params.id, query),
  });
  server.route({
    ...read,
    ...ofSchedule,
    method: "GET",
    path: `${PATH}/schedules/:id/gaps`,
    id: "listOnCallGaps",
    summary: "List times without an active user on call",
    query: s.Range,
    response: s.Gaps,
    errors: ["SCHEDULE_NOT_FOUND"],
    handle: (exchange, { params, query }) => reading.readGaps(context, callerOf(exchange), params.id, query),
  });
  server.route({
    ...read,
    method: "GET",
    path: `${PATH}/now`,
    id: "getOnCallNow",
    summary: "List who is on call now, until when, and who is next",
    query: s.NowQuery,
    response: s.NowView,
    errors: ["PROJECT_NOT_FOUND", "SCHEDULE_NOT_FOUND", "USER_NOT_FOUND"],
    handle: (exchange, { query }) => reading.readNow(context, callerOf(exchange), query),
  });
  server.route({
    ...member,
    method: "GET",
    path: `${PATH}/shifts`,
    id: "listOwnOnCallShifts",
    summary: "List the times at which a user is on call, on all schedules",
    query: s.OwnShiftsQuery,
    response: s.OwnShifts,
    errors: ["USER_NOT_FOUND"],
    handle: (exchange, { query }) => reading.readOwnShifts(context, holderOf(exchange), query),
  });
}

export function servePreferences(server: FeatureServer, context: OnCallContext): void {
  const path = `${PATH}/preferences`;
  server.route({
    ...own,
    method: "GET",
    path,
    id: "getOnCallPreferences",
    summary: "Get the caller's settings for hand-overs",
    response: s.Preferences,
    handle: (exchange) => links.readPreferences(context, userOf(exchange)),
  });
  server.route({
    ...own,
    method: "PUT",
    path,
    id: "updateOnCallPreferences",
    summary: "Change the caller's settings for hand-overs",
    body: s.UpdatePreferences,
    response: s.Preferences,
    handle: (exchange, { body }) => links.updatePreferences(context, userOf(exchange), body),
  });
}

/** Calendars for calendar programs, and the links that open them. */
export function serveCalendars(server: FeatureServer, context: OnCallContext): void {
  const response = { contentType: "text/calendar", description: "Shifts from 15 days ago to 180 days ahead" } as const;
  const calendar = { tag, access: "public", query: s.CalendarQuery, response, errors: ["NOT_FOUND"] } as const;
  const linkOfSchedule = { ...write, ...ofSchedule, path: `${PATH}/schedules/:id/calendar-link` } as const;
  const ownLink = { ...own, path: `${PATH}/preferences/calendar-link` } as const;
  server.route({
    ...calendar,
    ...ofSchedule,
    method: "GET",
    path: `${PATH}/schedules/:id/calendar.ics`,
    id: "getOnCallCalendar",
    summary: "The calendar of a schedule, for calendar programs",
    handle: async (exchange, { params, query }) =>
      answerText(exchange, await links.scheduleCalendar(context, params.id, query.token)),
  });
  server.route({
    ...calendar,
    method: "GET",
    path: `${PATH}/users/:id/calendar.ics`,
    params: v.object({ id: doc(v.string(), "Id of the user") }),
    id: "getOnCallUserCalendar",
    summary: "The shifts of a user on all schedules, for calendar programs",
    handle: async (exchange, { params, query }) =>
      answerText(exchange, await links.userCalendar(context, params.id, query.token)),
  });
  server.route({
    ...linkOfSchedule,
    method: "POST",
    id: "createOnCallCalendarLink",
    summary: "Create the calendar link of a schedule; an earlier one ends",
    status: 201,
    response: s.CalendarLink,
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE"],
    handle: (exchange, { params }) => schedules.createLink(context, holderOf(exchange), params.id),
  });
  server.route({
    ...linkOfSchedule,
    method: "DELETE",
    id: "revokeOnCallCalendarLink",
    summary: "End the calendar link of a schedule",
    errors: ["SCHEDULE_NOT_FOUND", "UNAUTHORIZED_ROLE"],
    handle: (exchange, { params }) => schedules.revokeLink(context, holderOf(exchange), params.id),
  });
  server.route({
    ...ownLink,
    method: "POST",
    id: "createOwnOnCallCalendarLink",
    summary: "Create the link of the caller's own calendar; an earlier one ends",
    status: 201,
    response: s.CalendarLink,
    handle: (exchange) => links.createOwnLink(context, userOf(exchange)),
  });
  server.route({
    ...ownLink,
    method: "DELETE",
    id: "revokeOwnOnCallCalendarLink",
    summary: "End the link of the caller's own calendar",
    handle: (exchange) => links.revokeOwnLink(context, userOf(exchange)),
  });
}

function answerText(exchange: Exchange, text: string): typeof ANSWERS_LATER {
  const cached = { ETag: `"${stateOf(text)}"`, "Cache-Control": "private, no-cache" };
  if (isAmongTags(cached.ETag, exchange.header("if-none-match"))) exchange.send(304, null, cached);
  else exchange.send(200, text, { "Content-Type": "text/calendar; charset=utf-8", ...cached });
  return ANSWERS_LATER;
}
