import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { doc, example, instant, integer, named, object, pageEntries, pattern, text } from "../../../http/api/shapes.ts";
import { actionWithoutWords, MASK, mayReadWords } from "../jobs/index.ts";
import type { PendingRow } from "./pending-timers.ts";
import { TimerActionBody } from "./timer-action.ts";
import type { TimerPayload } from "./timer-firing.ts";

export const MAX_DELAY_MS = 31_536_000_000;

const zone = doc(v.pipe(v.string(), v.maxLength(64)), "IANA zone, such as Europe/Berlin");

export const NowQuery = object({ zone: v.optional(zone) });

export const NowView = named(
  "CurrentTime",
  "The current time",
  v.object({
    now: v.string(),
    iso: v.string(),
    epochMs: v.number(),
    timezone: v.string(),
    local: v.string(),
    offsetMinutes: v.number(),
  }),
);

export const ConvertQuery = v.pipe(
  object({
    datetime: doc(pattern(/^.{1,64}$/, "must be a date-time"), "RFC 3339 date-time; without an offset UTC"),
    userId: v.optional(doc(text(128, 1), "Use the time zone of this user; default: the caller")),
    zone: v.optional(zone),
  }),
  v.check((value) => value.userId === undefined || value.zone === undefined, "give userId or zone"),
);

export const ConvertView = named(
  "ConvertedTime",
  "The converted time",
  v.object({
    datetime: v.string(),
    userId: v.nullable(v.string()),
    timezone: v.string(),
    converted: v.string(),
    offsetMinutes: v.number(),
    isDst: v.boolean(),
  }),
);

export const TriggerBody = example(
  v.pipe(
    object({
      label: doc(text(128, 1), "Name shown in lists; need not be unique"),
      delayMs: v.optional(doc(integer(0, MAX_DELAY_MS), "Delay from now, up to a year")),
      runAt: v.optional(doc(instant, "Time to run; a past time means now")),
      cron: v.optional(doc(text(128, 1), "Cron pattern of 5 or 6 fields; makes the timer recurring")),
      timezone: v.optional(doc(zone, "Time zone of `cron`; default: that of the server")),
      action: doc(TimerActionBody, "What the timer does"),
      dedupeKey: v.optional(doc(text(256, 1), "Key of the caller; a repeated key returns the pending timer")),
    }),
    v.check(
      ({ delayMs, runAt, cron }) => [delayMs, runAt, cron].filter((value) => value !== undefined).length === 1,
      "give exactly one of delayMs, runAt and cron",
    ),
    v.check(({ timezone, cron }) => timezone === undefined || cron !== undefined, "timezone belongs to cron"),
  ),
  {
    label: "Stand-up",
    delayMs: 600_000,
    action: { type: "notify", payload: { userId: "me", title: "Stand-up", message: "In ten minutes" } },
  },
);
export type TriggerBody = v.InferOutput<typeof TriggerBody>;

const type = v.picklist(["notify", "event", "message"]);

export const TriggerView = named(
  "CreatedTimer",
  "The timer",
  v.object({
    jobId: v.string(),
    scheduleId: v.optional(v.string()),
    label: v.string(),
    runAt: v.nullable(v.string()),
    action: v.object({ type }),
    state: v.string(),
  }),
);

/** Members that timers and scheduled notifications share. */
const pendingEntries = {
  jobId: v.string(),
  scheduleId: v.nullable(v.string()),
  runAt: v.nullable(v.string()),
  cron: v.nullable(v.string()),
  timezone: v.nullable(v.string()),
  everyMs: doc(v.nullable(v.number()), "Interval of a recurring one without a cron pattern"),
  state: v.string(),
  createdBy: v.nullable(v.string()),
  createdAt: v.string(),
};

export const PendingQuery = object(pageEntries());

export const PendingParams = object({
  jobId: doc(v.string(), "Id of the job, or of the schedule of a recurring timer"),
});

export const TimerView = named(
  "Timer",
  "A pending timer",
  v.object({
    ...pendingEntries,
    label: v.string(),
    action: v.variant("type", [
      v.object({ type: v.literal("notify"), payload: v.record(v.string(), v.unknown()) }),
      v.object({ type: v.literal("event"), event: v.string(), payload: v.unknown(), persist: v.boolean() }),
      v.object({ type: v.literal("message"), channel: v.string(), payload: v.unknown() }),
    ]),
    module: v.nullable(v.string()),
  }),
);

export const ScheduledView = named(
  "ScheduledNotification",
  "A scheduled notification",
  v.object({
    ...pendingEntries,
    kind: v.picklist(["direct", "timer"]),
    label: v.nullable(v.string()),
    title: v.string(),
    message: v.string(),
    recipients: v.array(v.string()),
  }),
);

export type TimerView = v.InferOutput<typeof TimerView>;

/** A timer as the caller sees it. */
export function timerView(row: PendingRow, caller: PermissionHolder): TimerView {
  const { action } = row.payload as TimerPayload;
  const isRead = mayReadWords(caller, row.createdBy);
  return {
    ...pendingView(row),
    label: isRead ? (row.label ?? "") : MASK,
    action: isRead ? action : actionWithoutWords(action),
    module: row.module,
  };
}

/** A scheduled notification as the caller sees it. */
export function scheduledView(row: PendingRow, caller: PermissionHolder): v.InferOutput<typeof ScheduledView> {
  const { title, message, recipients } = wordsOf(row.payload);
  const isRead = mayReadWords(caller, row.createdBy);
  return {
    ...pendingView(row),
    kind: "notification" in row.payload ? "direct" : "timer",
    label: isRead || row.label === null ? row.label : MASK,
    ...(isRead ? { title, message } : { title: MASK, message: MASK }),
    recipients: [...recipients],
  };
}

/** A recurring one goes by its schedule's id. */
function pendingView({ id, runAt, cron, timezone, everyMs, state, createdBy, createdAt }: PendingRow) {
  return {
    jobId: id,
    scheduleId: cron === null && everyMs === null ? null : id,
    runAt: toRfc3339OrNull(runAt),
    cron,
    timezone,
    everyMs,
    state,
    createdBy,
    createdAt: toRfc3339(createdAt),
  };
}

function wordsOf(payload: PendingRow["payload"]) {
  if ("notification" in payload) return payload.notification;
  if (payload.action.type === "notify") return payload.action.payload;
  throw new TypeError("a scheduled notification has an action that does not notify");
}
