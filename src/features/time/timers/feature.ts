import type { DateTime } from "luxon";
import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { parseMoment, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { Reply, type Route, route } from "../../../http/api/route.ts";
import { pageBody, pageOf, readPage } from "../../../http/api/shapes.ts";
import { callerOf, holderOf } from "../../../http/server/access.ts";
import { type Context, feature } from "../../../module/feature.ts";
import type { Scheduling } from "../../notifications/index.ts";
import { type Owner, type Pending, type PendingRow, type PendingTimers, pendingTimers } from "./pending-timers.ts";
import * as s from "./schema.ts";
import { loadTimes, Times } from "./time.ts";
import { creatorIdOf } from "./timer-action.ts";
import { handleScheduledNotifications, scheduleNotification } from "./timer-firing.ts";
import { type NewTimerOptions, type Timer, type Timers, timerService } from "./timers.ts";

type TimeContext = Context<"pendingTimers" | "users" | "timer" | "time">;

const tag = "Timers";

/** The current time, here and in other zones. */
function clockRoutes({ time, users }: Pick<TimeContext, "time" | "users">): Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/time/now",
      aliases: ["/time/now"],
      id: "getTime",
      summary: "Get the current time in UTC and in a time zone",
      tag,
      access: { anyToken: true },
      query: s.NowQuery,
      response: s.NowView,
      errors: ["INVALID_TIMEZONE"],
      async handle(exchange, { query }) {
        holderOf(exchange);
        await loadTimes();
        const local = valid(time.now(query.zone));
        const epochMs = local.toMillis();
        const now = toRfc3339(epochMs);
        return {
          now,
          iso: now,
          epochMs,
          timezone: local.zoneName,
          local: local.toISO(),
          offsetMinutes: local.offset,
        };
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/time/convert",
      aliases: ["/time/convert"],
      id: "convertTime",
      summary: "Convert a time to the time zone of a user or to a named one",
      tag,
      access: { anyToken: true },
      query: s.ConvertQuery,
      response: s.ConvertView,
      errors: ["USER_NOT_FOUND", "INVALID_TIMEZONE"],
      async handle(exchange, { query }) {
        const at = readDatetime(query.datetime);
        await loadTimes();
        const userId = query.zone === undefined ? requireUser(holderOf(exchange), query.userId ?? "me") : null;
        const local = valid(userId === null ? time.convert(at, query.zone ?? "") : await time.forUser(at, userId));
        return {
          datetime: toRfc3339(local.toMillis()),
          userId,
          timezone: local.zoneName,
          converted: local.toISO(),
          offsetMinutes: local.offset,
          isDst: local.isInDST,
        };
      },
    }),
  ];

  /** @throws USER_NOT_FOUND, also for another user without `users:read` */
  function requireUser(principal: PermissionHolder, ref: string): string {
    const userId = users.findAny(ref);
    const isAllowed = userId === principal.userId || principal.permissions.has("users:read");
    if (userId === undefined || !isAllowed) throw new PrismError("USER_NOT_FOUND", "No such user");
    return userId;
  }
}

/** Luxon has no text for an invalid time; this has a checked zone and a year of four digits. */
function valid(local: DateTime): DateTime<true> {
  if (isValid(local)) return local;
  throw new TypeError("a time of a request is invalid");
}

function isValid(local: DateTime): local is DateTime<true> {
  return local.isValid;
}

/** @throws VALIDATION_FAILED */
function readDatetime(text: string): Date {
  const at = parseMoment(text);
  if (at !== undefined) return new Date(at);
  throw invalidField(
    "query",
    "datetime",
    "must be an RFC 3339 date-time such as 2026-01-31T08:00:00Z; in a URL the + of an offset is %2B",
  );
}

/** Making timers, seeing them, and calling them off. */
function timerRoutes({ timer, pendingTimers, storage, idempotency }: TimeContext): Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/time/trigger",
      aliases: ["/time/trigger"],
      id: "createTimer",
      summary: "Create a timer, one-shot or recurring, that notifies, emits an event or publishes",
      tag,
      access: { permission: "timers:create" },
      body: s.TriggerBody,
      status: 201,
      response: s.TriggerView,
      errors: [
        "RECIPIENT_NOT_FOUND",
        "INVALID_CRON",
        "INVALID_TIMEZONE",
        "SOUND_NOT_FOUND",
        "NOT_CONFIGURED",
        "LIMIT_REACHED",
        ...IDEMPOTENCY_ERRORS,
      ],
      handle(exchange, { body }) {
        timer.read(body.action);
        return idempotency.run(exchange, holderOf(exchange), body, async (trx) => {
          storage.requireSpace();
          const made = await make(body, { trx, dedupeKey: body.dedupeKey });
          const { label, runAt, action, state, differs: _, ...ids } = made;
          return new Reply(201, { ...ids, label, runAt: toRfc3339OrNull(runAt), action: { type: action.type }, state });
        });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/timers",
      id: "listTimers",
      summary: "List the caller's pending timers, newest first; with timers:any of all users",
      tag,
      access: { tokenScopes: ["timers:create", "timers:any"] },
      query: s.PendingQuery,
      response: pageOf(s.TimerView),
      errors: ["INVALID_CURSOR"],
      async handle(exchange, { query }) {
        const principal = holderOf(exchange);
        const createdBy = seesAll(principal) ? null : principal.userId;
        return listPage(pendingTimers, "timers", createdBy, query, (row) => s.timerView(row, principal));
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/timers/:jobId",
      id: "cancelTimer",
      summary: "Cancel a timer; a recurring one by the id of its schedule",
      returns: "Whether it was cancelled",
      tag,
      access: { tokenScopes: ["timers:create", "timers:any"] },
      params: s.PendingParams,
      response: v.object({ cancelled: v.boolean() }),
      errors: ["JOB_NOT_FOUND", "JOB_NOT_CANCELLABLE"],
      async handle(exchange, { params }) {
        const principal = holderOf(exchange);
        const isOwn = ({ createdBy }: Owner): boolean => seesAll(principal) || createdBy === principal.userId;
        await pendingTimers.cancel("timers", params.jobId, isOwn);
        return { cancelled: true };
      },
    }),
  ];

  function make(body: s.TriggerBody, options: NewTimerOptions): Promise<Timer> {
    const { label, delayMs, runAt, cron, timezone, action } = body;
    if (cron !== undefined) return timer.every(label, cron, action, { ...options, timezone });
    return runAt === undefined
      ? timer.after(label, delayMs ?? 0, action, options)
      : timer.at(label, runAt, action, options);
  }
}

function seesAll(principal: PermissionHolder): boolean {
  return principal.permissions.has("timers:any");
}

const SCHEDULED_PATH = "/api/v1/notifications/scheduled";

/** Notifications that are still to be sent, also those of timers. */
export function scheduledRoutes(pendingTimers: PendingTimers): Route[] {
  return [
    route({
      method: "GET",
      path: SCHEDULED_PATH,
      id: "listScheduledNotifications",
      summary: "List the caller's scheduled notifications, newest first; with jobs:read of all users",
      tag: "Notifications",
      access: { tokenScopes: ["notifications:send", "timers:create", "jobs:read"] },
      query: s.PendingQuery,
      response: pageOf(s.ScheduledView),
      errors: ["INVALID_CURSOR"],
      async handle(exchange, { query }) {
        const principal = holderOf(exchange);
        const createdBy = principal.permissions.has("jobs:read") ? null : principal.userId;
        return listPage(pendingTimers, "notifications", createdBy, query, (row) => s.scheduledView(row, principal));
      },
    }),
    route({
      method: "DELETE",
      path: `${SCHEDULED_PATH}/:jobId`,
      // OpenAPI knows a path by one text, so its GET names the parameter alike.
      aliases: ["/notifications/:id"],
      id: "cancelScheduledNotification",
      summary: "Cancel a scheduled notification, or a timer that notifies",
      details: "The segment `scheduled` takes precedence over the id of a notification.",
      returns: "The cancelled job",
      tag: "Notifications",
      access: {
        keyScope: "notifications:send",
        tokenScopes: ["notifications:send", "timers:create", "jobs:manage"],
      },
      params: s.PendingParams,
      response: v.object({ cancelled: v.boolean(), jobId: v.string() }),
      errors: ["JOB_NOT_FOUND", "JOB_NOT_CANCELLABLE"],
      async handle(exchange, { params: { jobId } }) {
        const caller = callerOf(exchange);
        const isOperator = caller.kind !== "apiKey" && caller.permissions.has("jobs:manage");
        const isOwn = ({ createdBy }: Owner): boolean => isOperator || createdBy === creatorIdOf(caller);
        await pendingTimers.cancel("notifications", jobId, isOwn);
        return { cancelled: true, jobId };
      },
    }),
  ];
}

/** @param createdBy by whom; null: by anyone. */
async function listPage<V>(
  pendingTimers: PendingTimers,
  pending: Pending,
  createdBy: string | null,
  query: v.InferOutput<typeof s.PendingQuery>,
  view: (row: PendingRow) => V,
) {
  const page = readPage(query, ["string"]);
  const { rows, isCut, total } = await pendingTimers.list(pending, createdBy, page);
  return pageBody({ ...page, isCut }, rows, view, (row) => [row.id], total);
}

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly time: Times;
    readonly timer: Timers;
    readonly pendingTimers: PendingTimers;
    /** Notifications that are sent later. */
    readonly scheduling: Scheduling;
    readonly scheduledRoutes: readonly Route[];
  }
}

/** Routes for the current time, and for timers. */
export const timeFeature = feature("time", {
  needs: [
    "jobs",
    "runner",
    "jobControl",
    "principals",
    "users",
    "notify",
    "realtime",
    "ingest",
    "bus",
    "defaultProjectId",
    "schedules",
    "channels",
  ],
  open(context) {
    const { reader, clock, config } = context;
    const pending = pendingTimers(context);
    handleScheduledNotifications(context);
    return {
      time: new Times({ reader, clock, timezone: config.timezone }),
      timer: timerService({ ...context, pendingTimers: pending }),
      pendingTimers: pending,
      scheduling: {
        schedule: (input, runAt, options) => scheduleNotification(context, input, runAt, options),
        cancel: (jobId, options) => pending.cancelIfWaiting("notifications", jobId, () => true, options),
      },
      scheduledRoutes: scheduledRoutes(pending),
    };
  },
  register(server, context) {
    for (const route of [...clockRoutes(context), ...timerRoutes(context)]) server.route(route);
  },
});
