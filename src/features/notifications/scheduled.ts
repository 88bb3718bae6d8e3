import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { Principal, UserPrincipal } from "../../core/principal.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { pageOf } from "../../http/replies.ts";
import { type Route, route } from "../../http/route.ts";
import { callerOf, userOf } from "../access/index.ts";
import type { PendingRow } from "../timers/index.ts";
import { creatorIdOf, MASK, mayReadWords } from "../timers/index.ts";
import type { NotificationsContext } from "./context.ts";
import type { When } from "./notifier.ts";
import * as s from "./schema.ts";

const tag = "Notifications";
const PATH = "/api/v1/notifications/scheduled";

/** Notifications that are still to be sent, also those of timers. */
export function scheduledRoutes({ pendingTimers }: NotificationsContext): Route[] {
  return [
    route({
      method: "GET",
      path: PATH,
      summary: "What you have scheduled to notify somebody, newest first; everybody's with jobs:read",
      tag,
      access: { tokenScopes: ["notifications:send", "timers:create", "jobs:read"] },
      query: s.ScheduledQuery,
      response: pageOf(s.ScheduledView),
      errors: ["INVALID_CURSOR"],
      async handle(exchange, { query }) {
        const principal = userOf(exchange);
        const page = readPage(query, ["string"]);
        const createdBy = principal.permissions.has("jobs:read") ? null : principal.userId;
        const { rows, isCut, total } = await pendingTimers.list("notifications", createdBy, page);
        return pageBody(
          { ...page, isCut },
          rows,
          (row) => scheduledView(row, principal),
          (row) => [row.id],
          total,
        );
      },
    }),
    route({
      method: "DELETE",
      path: `${PATH}/:jobId`,
      // Called as the GET of the same path calls it, for OpenAPI knows a path by one text; the handler is given `jobId`.
      aliases: ["/notifications/:userId"],
      summary: "Call a scheduled notification off, or a timer that will notify somebody",
      tag,
      access: {
        keyScope: "notifications:send",
        tokenScopes: ["notifications:send", "timers:create", "jobs:manage"],
      },
      params: s.JobParams,
      response: v.object({ cancelled: v.boolean(), jobId: v.string() }),
      errors: ["JOB_NOT_FOUND", "JOB_NOT_CANCELLABLE"],
      async handle(exchange, { params: { jobId } }) {
        const principal = callerOf(exchange);
        const isOwn = ({ createdBy }: { createdBy: string | null }): boolean =>
          createdBy === creatorIdOf(principal) || seesAll(principal);
        await pendingTimers.cancel("notifications", jobId, isOwn);
        return { cancelled: true, jobId };
      },
    }),
  ];
}

function seesAll(principal: Principal): boolean {
  return principal.kind !== "apiKey" && principal.permissions.has("jobs:manage");
}

/** When a request wants its notification sent; null for now. @throws VALIDATION_FAILED for an instant too far ahead */
export function readWhen({ sendAt, delayMs }: Pick<s.SendBody, "sendAt" | "delayMs">, now: number): When | null {
  if (sendAt === undefined && delayMs === undefined) return null;
  if (sendAt !== undefined && sendAt > now + s.MAX_DELAY_MS) {
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
      details: [{ path: "sendAt", code: "VALUE", message: "must be within 365 days" }],
    });
  }
  return { at: sendAt, delayMs };
}

function scheduledView(row: PendingRow, caller: UserPrincipal): v.InferOutput<typeof s.ScheduledView> {
  const { id, label, runAt, cron, timezone, state, createdBy, createdAt } = row;
  const { title, message, recipients } = wordsOf(row.payload);
  return {
    jobId: id,
    scheduleId: cron === null ? null : id,
    kind: "notification" in row.payload ? "direct" : "timer",
    label,
    runAt: toRfc3339OrNull(runAt),
    cron,
    timezone,
    state,
    ...(mayReadWords(caller, createdBy) ? { title, message } : { title: MASK, message: MASK }),
    recipients: [...recipients],
    createdBy,
    createdAt: toRfc3339(createdAt),
  };
}

function wordsOf(payload: PendingRow["payload"]) {
  if ("notification" in payload) return payload.notification;
  if (payload.action.type === "notify") return payload.action.payload;
  throw new TypeError("a timer that notifies nobody stands among scheduled notifications");
}
