import * as v from "valibot";
import type { CoreServices } from "../../app/module.ts";
import { toRfc3339OrNull } from "../../core/clock.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { IDEMPOTENCY_ERRORS } from "../../http/idempotency.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { pageOf } from "../../http/replies.ts";
import { Reply, type Route, route } from "../../http/route.ts";
import { userOf } from "../access/index.ts";
import { actionWithoutWords, mayReadWords } from "./hidden-words.ts";
import type { PendingRow } from "./pending-timers.ts";
import * as s from "./schema.ts";
import type { Timer, TimerOptions } from "./timers.ts";

const tag = "Time";

/** Making timers, seeing them, and calling them off. */
export function timerRoutes({ timer, idempotency, db, system }: CoreServices): Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/time/trigger",
      aliases: ["/time/trigger"],
      summary:
        "Notify somebody, emit an event or publish to a channel, later or again and again; it survives a restart",
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
        return idempotency.run(exchange, userOf(exchange), body, db, async (trx) => {
          system.storage.requireSpace();
          const made = await make(body, { trx, dedupeKey: body.dedupeKey });
          const { label, runAt, action, state, isOther: _, ...ids } = made;
          return new Reply(201, { ...ids, label, runAt: toRfc3339OrNull(runAt), action: { type: action.type }, state });
        });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/timers",
      summary: "Your timers that have not ended, newest first; everybody's with timers:any",
      tag,
      access: { tokenScopes: ["timers:create", "timers:any"] },
      query: s.TimersQuery,
      response: pageOf(s.TimerView),
      errors: ["INVALID_CURSOR"],
      async handle(exchange, { query }) {
        const principal = userOf(exchange);
        const page = readPage(query, ["string"]);
        const createdBy = seesAll(principal) ? null : principal.userId;
        const { rows, isCut, total } = await system.pendingTimers.list("timers", createdBy, page);
        const view = (row: PendingRow) => {
          const timer = s.timerView(row);
          return mayReadWords(principal, row.createdBy)
            ? timer
            : { ...timer, action: actionWithoutWords(timer.action) };
        };
        return pageBody({ ...page, isCut }, rows, view, (row) => [row.id], total);
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/timers/:jobId",
      summary: "Call a timer off; a recurring one goes by its schedule's id",
      tag,
      access: { tokenScopes: ["timers:create", "timers:any"] },
      params: s.TimerParams,
      response: v.object({ cancelled: v.boolean() }),
      errors: ["JOB_NOT_FOUND", "JOB_NOT_CANCELLABLE"],
      async handle(exchange, { params }) {
        const principal = userOf(exchange);
        const isOwn = ({ createdBy }: { createdBy: string | null }): boolean =>
          createdBy === principal.userId || seesAll(principal);
        await system.pendingTimers.cancel("timers", params.jobId, isOwn);
        return { cancelled: true };
      },
    }),
  ];

  function make(body: s.TriggerBody, options: TimerOptions): Promise<Timer> {
    const { label, delayMs, runAt, cron, timezone, action } = body;
    if (cron !== undefined) return timer.every(label, cron, action, { ...options, timezone });
    return runAt === undefined
      ? timer.after(label, delayMs ?? 0, action, options)
      : timer.at(label, runAt, action, options);
  }
}

function seesAll(principal: UserPrincipal): boolean {
  return principal.permissions.has("timers:any");
}
