import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import type { Principal, UserPrincipal } from "../../core/principal.ts";
import { callerOf, userOf } from "../../http/access.ts";
import { pageBody, pageEntries, readPage } from "../../http/pagination.ts";
import { type Route, route } from "../../http/route.ts";
import { object, pageOf } from "../../http/shapes.ts";
import { MASK, mayReadWords } from "../jobs/index.ts";
import type { PendingRow, PendingTimers } from "./pending-timers.ts";
import { creatorIdOf } from "./timer-creator.ts";

const ScheduledQuery = object(pageEntries());

const JobParams = object({ jobId: v.string() });

const ScheduledView = v.object({
  jobId: v.string(),
  scheduleId: v.nullable(v.string()),
  kind: v.picklist(["direct", "timer"]),
  label: v.nullable(v.string()),
  runAt: v.nullable(v.string()),
  cron: v.nullable(v.string()),
  timezone: v.nullable(v.string()),
  state: v.string(),
  title: v.string(),
  message: v.string(),
  recipients: v.array(v.string()),
  createdBy: v.nullable(v.string()),
  createdAt: v.string(),
});

const tag = "Notifications";
const PATH = "/api/v1/notifications/scheduled";

/** Notifications that are still to be sent, also those of timers. */
export function scheduledRoutes(pendingTimers: PendingTimers): Route[] {
  return [
    route({
      method: "GET",
      path: PATH,
      summary: "What you have scheduled to notify somebody, newest first; everybody's with jobs:read",
      tag,
      access: { tokenScopes: ["notifications:send", "timers:create", "jobs:read"] },
      query: ScheduledQuery,
      response: pageOf(ScheduledView),
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
      params: JobParams,
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

function scheduledView(row: PendingRow, caller: UserPrincipal): v.InferOutput<typeof ScheduledView> {
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
