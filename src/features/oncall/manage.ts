import type { PermissionHolder, Principal } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { toRfc3339OrNull } from "../../core/time/clock.ts";
import { ofProjects } from "../../http/api/listing.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { managed, reauthorize, type WithIssued } from "../access/index.ts";
import { recordAction } from "../records/audit/index.ts";
import type { CalendarRow } from "./queries.ts";
import * as queries from "./queries.ts";
import { DUE_EVENT, noteChange, type OnCallContext, projectsOf, putCalendar, scheduleAccess } from "./schedules.ts";
import * as s from "./schema.ts";
import { type OnCallRow, OnCallSchedule } from "./schema.ts";

const PATH = "/api/v1/oncall/schedules";

/** A schedule to store, of a project that was found. */
interface NewSchedule {
  readonly input: s.CreateOnCallSchedule;
  readonly projectId: string;
  readonly calendarUrl: string | null;
  /** Default: one is drawn. */
  readonly id?: string;
}

/** On-call schedules, without their shifts. */
export const onCallSchedules = managed({
  ...{ path: PATH, names: ["OnCallSchedule", "OnCallSchedules"], tag: "On-call" },
  params: s.ScheduleParams,
  access: scheduleAccess,
  callers: {
    read: { permission: "events:read", within: "project", keyScope: "events:read" },
    write: { permission: "oncall:write", within: "project" },
  },
  answer: () => OnCallSchedule.View,
  list: {
    summary: "List on-call schedules, newest first",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListOnCallSchedules,
    answer: () => pageOf(OnCallSchedule.View),
    page(context: OnCallContext, caller, query) {
      const { db } = context;
      const scope = { visible: ofProjects(projectsOf(context, caller, query.projectId)), state: undefined };
      return s.scheduleList.page(db, scope, query, async (rows) => {
        const calendars = new Map<string, CalendarRow | undefined>();
        for (const { id } of rows) calendars.set(id, await queries.calendarOf(db.read, id));
        return (row) => viewFor(context, caller, row, calendars.get(row.id));
      });
    },
  },
  get: { summary: "Get an on-call schedule" },
  create: {
    summary: "Create an on-call schedule",
    errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN", "URL_REFUSED", "LIMIT_REACHED"],
    body: s.CreateOnCallSchedule,
    storesAnswer: {},
    async prepare(context, caller, input): Promise<NewSchedule> {
      const projectId = context.projects.requireOrDefault(caller, input.projectId, "oncall:write");
      return { input, projectId, calendarUrl: await checkedUrl(context, input.calendarUrl ?? null) };
    },
    async admit(context, trx, caller, spec) {
      await reauthorize(context, caller, spec.projectId, "oncall:write", trx);
      return spec;
    },
  },
  update: {
    method: "PUT",
    summary: "Change an on-call schedule",
    errors: ["UNAUTHORIZED_ROLE", "NAME_TAKEN", "URL_REFUSED", "LIMIT_REACHED"],
    body: s.UpdateOnCallSchedule,
    prepare: async (context, _caller, input) => ({
      input,
      calendarUrl: input.calendarUrl === undefined ? undefined : await checkedUrl(context, input.calendarUrl),
    }),
  },
  remove: {
    summary: "Delete an on-call schedule with its shifts and its past, if no policy names it",
    errors: ["UNAUTHORIZED_ROLE", "VERSION_CONFLICT", "ON_CALL_SCHEDULE_IN_USE"],
    query: s.DeleteSchedule,
  },
  view: async (context, caller, row, db) => viewFor(context, caller, row, await queries.calendarOf(db, row.id)),
  // The state of the calendar and its link change without a new version.
  state: ({ calendar, hasCalendarLink, calendarUrl }) => ({ calendar, hasCalendarLink, calendarUrl }),
  in: {
    async insert(
      context,
      trx,
      caller,
      { input, projectId, calendarUrl, id = uuidv7() },
    ): Promise<WithIssued<OnCallRow>> {
      const { projects, storage, config } = context;
      storage.requireSpace();
      await requireFreeName(trx, projectId, input.name);
      const now = context.clock.now();
      const maker = { projectId, createdBy: caller.userId };
      await projects.quotas.requireRoom(trx, "onCallSchedules", maker);
      if (calendarUrl !== null) await projects.quotas.requireRoom(trx, "calendars", maker);
      const row = OnCallSchedule.newRow(
        { ...input, timezone: input.timezone ?? config.timezone },
        { id, ...maker, checkedAt: now, createdAt: now, updatedAt: now },
      );
      await trx.insertInto("oncall_schedules").values(row).execute();
      await putCalendar(trx, row.id, calendarUrl, now);
      await recordAction(context, trx, "oncall_schedule.create", row.id, { projectId, version: 1 });
      await noteChange(trx, row.id, now);
      return { row };
    },
    async change(context, trx, old, { input, calendarUrl }) {
      context.storage.requireSpace();
      const { calendarUrl: _, ...given } = input;
      const now = context.clock.now();
      const changes = { ...OnCallSchedule.columns(given), version: old.version + 1, updatedAt: now };
      const row: OnCallRow = { ...old, ...changes };
      if (row.name !== old.name) await requireFreeName(trx, old.projectId, row.name);
      await queries.updateSchedule(trx, old.id, changes);
      const isNewCalendar = (calendarUrl ?? null) !== null && !(await queries.calendarOf(trx, old.id))?.url;
      if (isNewCalendar) await context.projects.quotas.requireRoom(trx, "calendars", old);
      if (calendarUrl !== undefined) await putCalendar(trx, old.id, calendarUrl, now);
      const metadata = { version: row.version, members: Object.keys(input) };
      await recordAction(context, trx, "oncall_schedule.update", old.id, metadata);
      await noteChange(trx, old.id, now);
      return { row };
    },
    async remove(context, trx, { id, projectId, version }, caller, { force }) {
      context.storage.requireSpace();
      const policies = await context.policiesWithSchedule(trx, id);
      if (policies.length > 0 && force !== true) throw inUse(context, caller, policies);
      await trx.deleteFrom("oncall_schedules").where("id", "=", id).execute();
      const metadata = { projectId, version, policies: policies.map((each) => each.id) };
      await recordAction(context, trx, "oncall_schedule.delete", id, metadata);
      addEffect(trx, { type: "oncall-due", id, dueAt: null, calendarAt: null });
      addEffect(trx, { type: "announced", event: DUE_EVENT, data: { id } });
    },
  },
});

function viewFor({ projects }: OnCallContext, caller: Principal, row: OnCallRow, calendar: CalendarRow | undefined) {
  return OnCallSchedule.view(row, {
    // The URL of a calendar is often its only secret.
    calendarUrl: calendar?.url && projects.has(caller, row.projectId, "oncall:write") ? calendar.url : null,
    calendar: calendar?.url
      ? {
          checkedAt: toRfc3339OrNull(calendar.checkedAt),
          changedAt: toRfc3339OrNull(calendar.changedAt),
          error: calendar.error,
        }
      : null,
    hasCalendarLink: row.tokenHash !== null,
  });
}

/** Policies of projects that the caller does not read are counted, but not named. */
function inUse(
  { projects }: OnCallContext,
  principal: PermissionHolder,
  policies: Awaited<ReturnType<OnCallContext["policiesWithSchedule"]>>,
): PrismError {
  const code = "ON_CALL_SCHEDULE_IN_USE";
  const shown = policies.filter(({ projectId }) => projects.has(principal, projectId, "events:read"));
  const details: { readonly code: string; readonly message: string; readonly policyId?: string }[] = shown.map(
    ({ id, name }) => ({ code, message: `the policy ${name} names the schedule`, policyId: id }),
  );
  const hidden = policies.length - shown.length;
  if (hidden > 0) details.push({ code, message: `policies of other projects that name the schedule: ${hidden}` });
  const named = [...shown.map(({ name }) => name), ...(hidden > 0 ? [`${hidden} of other projects`] : [])].join(", ");
  const message = `Policies name this schedule: ${named}. Change them first; force=true deletes it anyway`;
  return new PrismError(code, message, { details });
}

async function requireFreeName(trx: Trx, projectId: string, name: string): Promise<void> {
  if (!(await queries.isNameTaken(trx, projectId, name))) return;
  const message = "the project has an on-call schedule of this name";
  throw new PrismError("NAME_TAKEN", `name: ${message}`, { details: [{ path: "name", code: "NAME_TAKEN", message }] });
}

/** Calendar programs write `webcal:` for https. Outside the transaction: it resolves a name. */
export async function checkedUrl({ fetch }: OnCallContext, url: string | null): Promise<string | null> {
  if (url === null) return null;
  const https = url.replace(/^webcals?:/i, "https:");
  await fetch.check(https);
  return https;
}
