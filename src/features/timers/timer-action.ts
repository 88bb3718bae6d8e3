import { sql } from "kysely";
import * as v from "valibot";
import type { Config } from "../../config/load.ts";
import type { EpochMs } from "../../core/clock.ts";
import { limitReached, PrismError } from "../../core/errors.ts";
import type { Permission } from "../../core/permissions.ts";
import type { PermissionHolder, Principal } from "../../core/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { checkShape } from "../../http/input.ts";
import {
  Action,
  ChannelList,
  doc,
  integer,
  jsonObject,
  jsonValue,
  object,
  requireServed,
  type ServedChannels,
  text,
} from "../../http/shapes.ts";
import { CHANNEL_NAME } from "../../live/stream.ts";
import { holdersOf } from "../../store/commit/job-table.ts";
import type { Trx } from "../../store/database.ts";
import type { Principals, UserDirectory } from "../access/index.ts";
import { NOTIFY_EVENT } from "../notifications/index.ts";

const KEY = "key:";

/**
 * How a row names who made it (`createdBy`): a user by id, an API key as `key:<id>`, the program
 * and its modules as null.
 */
export function creatorIdOf(principal: Principal | null): string | null {
  if (!principal) return null;
  return principal.kind === "apiKey" ? principal.key : principal.userId;
}

/**
 * {@link creatorIdOf} the other way, with the rights of this moment. @throws ACCOUNT_DISABLED and
 * its like, TOKEN_INVALID, INVALID_API_KEY
 */
export function creatorOf(createdBy: string | null, principals: Principals): Principal | null {
  if (createdBy === null) return null;
  return createdBy.startsWith(KEY) ? principals.ofKey(createdBy.slice(KEY.length)) : principals.ofUser(createdBy);
}

/** Timers of one creator that have the same priority. */
const TIMERS_PER_LEVEL = 50;

export type TimerSettings = Config["limits"];

/**
 * Checks that one more timer may wait, and says where it queues: the more unfinished timers a
 * creator has, the later his next one comes among those that are due, so that the many timers of
 * one do not delay the few of another.
 * @param createdBy null: the program and its modules, which have no limit. @param dedupeKey of a
 * timer that may wait already
 * @returns the priority of its job. @throws LIMIT_REACHED
 */
export async function timerPriority(
  trx: Trx,
  { createdBy, dedupeKey }: { readonly createdBy: string | null; readonly dedupeKey: string | null },
  { timersPerUser }: Pick<TimerSettings, "timersPerUser">,
): Promise<number> {
  if (createdBy === null) return 0;
  const count = await countUnfinished(trx, createdBy, timersPerUser);
  if (count >= timersPerUser && !(dedupeKey !== null && (await holdersOf(trx, "timers", [dedupeKey])).length > 0))
    throw limitReached("You have too many unfinished timers", "limits.timersPerUser", timersPerUser);
  // A literal 0 for the first level: -0 is no integer for SQLite.
  return 0 - Math.floor(count / TIMERS_PER_LEVEL);
}

/**
 * Checks the next runs of a recurring timer: a pattern that runs more often than once a minute does
 * so in any minute it runs.
 * @param runs instants, ascending. @throws VALIDATION_FAILED
 */
export function requireInterval(runs: readonly { readonly at: EpochMs }[], minRepeatMs: number): void {
  if (!runs.some(({ at }, i) => i > 0 && at - (runs[i - 1]?.at ?? 0) < minRepeatMs)) return;
  const message = `runs must be ${minRepeatMs} ms apart without jobs:manage (setting limits.minRepeatMs)`;
  throw new PrismError("VALIDATION_FAILED", `cron: ${message}`, {
    details: [{ path: "cron", code: "TOO_OFTEN", message }],
  });
}

/** Counts to the limit only. */
async function countUnfinished(trx: Trx, createdBy: string, limit: number): Promise<number> {
  const jobs = trx
    .selectFrom("jobs")
    .select("id")
    // As in the partial index; a bound value would not be known to be in it.
    .where("queue", "=", sql.lit("timers"))
    .where("finishedAt", "is", null)
    .where("createdBy", "=", createdBy)
    .limit(limit);
  const row = await trx
    .selectFrom(jobs.as("j"))
    .select((e) => e.fn.countAll<number>().as("n"))
    .executeTakeFirst();
  return row?.n ?? 0;
}

const MAX_PAYLOAD_BYTES = 65_536;
const MAX_DATA_BYTES = 16_384;

const notifyEntries = {
  title: doc(text(255, 1), "Title"),
  body: v.optional(doc(text(4000, 1), "Another name of `message`")),
  message: v.optional(doc(text(4000, 1), "Text; this or `body`")),
  data: v.optional(doc(v.nullable(jsonObject(MAX_DATA_BYTES)), "Data for the app")),
  sound: v.optional(doc(v.nullable(text(255, 1)), "Id or file name of a sound")),
  channels: v.optional(ChannelList),
};

/** An event's or a message's own. */
const eventName = v.pipe(
  v.string("must be a string"),
  v.regex(/^[A-Za-z0-9_.:\-/]{1,100}$/, "must be 1 to 100 letters, digits or any of _ . : - /"),
);
const channelName = v.pipe(
  v.string("must be a string"),
  v.regex(CHANNEL_NAME, "must be 1 to 128 letters, digits or any of _ - = @ , . ; :"),
);

/** What a timer is asked to do in a request. */
export const TimerActionBody = v.variant("type", [
  object({
    type: doc(v.literal("notify"), "Sends a notification"),
    payload: doc(
      object({
        userId: doc(text(128, 1), "Id, external id or username; `me` for the caller"),
        ...notifyEntries,
      }),
      "The notification",
    ),
  }),
  object({
    type: doc(v.literal("event"), "Emits an event"),
    event: doc(eventName, "Name on the event bus; `notify` notifies the user of its payload"),
    payload: v.optional(doc(jsonObject(MAX_PAYLOAD_BYTES), "Payload of the event")),
    persist: v.optional(doc(v.boolean(), "Also stores it in the default project, where rules evaluate it")),
  }),
  object({
    type: doc(v.literal("message"), "Publishes to a channel"),
    channel: doc(channelName, "Channel: bus event `msg:<channel>` and stream `channel:<channel>`"),
    payload: v.optional(doc(jsonObject(MAX_PAYLOAD_BYTES), "Payload of the message")),
  }),
]);

/**
 * The same of code: a notification can go to several people and be everything that one which is
 * sent at once can.
 */
const AnyTimerAction = v.variant("type", [
  object({
    type: v.literal("notify"),
    payload: object({
      userId: v.optional(text(128, 1)),
      recipients: v.optional(v.pipe(v.array(text(128, 1)), v.minLength(1), v.maxLength(1000))),
      ...notifyEntries,
      action: v.optional(v.nullable(Action)),
      priority: v.optional(integer(0, 1000)),
      dedupeKey: v.optional(text(256, 1)),
    }),
  }),
  object({
    type: v.literal("event"),
    event: eventName,
    payload: v.optional(jsonValue(MAX_PAYLOAD_BYTES)),
    persist: v.optional(v.boolean()),
  }),
  object({ type: v.literal("message"), channel: channelName, payload: v.optional(jsonValue(MAX_PAYLOAD_BYTES)) }),
]);
export type TimerActionInput = v.InferInput<typeof AnyTimerAction>;

/** What a timer does when its time has come (docs/timers.md), as it is stored. */
export type TimerAction = NotifyAction | EventAction | MessageAction;

type NotifyInput = Extract<v.InferOutput<typeof AnyTimerAction>, { type: "notify" }>["payload"];

export interface NotifyAction {
  readonly type: "notify";
  readonly payload: Omit<NotifyInput, "userId" | "recipients" | "body" | "message"> & {
    /** User references (docs/http.md) when the timer is made; stored as ids. */
    readonly recipients: readonly string[];
    readonly message: string;
  };
}

export interface EventAction {
  readonly type: "event";
  readonly event: string;
  readonly payload: unknown;
  /** Also an event of the default project. */
  readonly persist: boolean;
}

export interface MessageAction {
  readonly type: "message";
  readonly channel: string;
  readonly payload: unknown;
}

/**
 * Whether its people and its sound are there is asked in a transaction. @throws VALIDATION_FAILED,
 * NOT_CONFIGURED
 */
export function readTimerAction(input: unknown, channels: ServedChannels): TimerAction {
  const action = checkShape(AnyTimerAction, input, "body");
  if (action.type === "event") return { ...action, payload: action.payload ?? {}, persist: action.persist === true };
  if (action.type === "message") return { ...action, payload: action.payload ?? {} };
  const { userId, recipients, body, message, ...rest } = action.payload;
  const text = requireOne({ body, message }, "message");
  const people = requireOne({ userId: userId === undefined ? undefined : [userId], recipients }, "recipients");
  requireServed(rest.channels, channels);
  return { type: "notify", payload: { ...rest, recipients: people, message: text } };
}

/** What two members may say, and one must. @throws VALIDATION_FAILED */
function requireOne<T>(members: Readonly<Record<string, T | undefined>>, other: string): T {
  const given = Object.values(members).filter((value) => value !== undefined);
  const [first] = given;
  if (first !== undefined && given.length === 1) return first;
  const [name] = Object.keys(members);
  throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [{ path: `action.payload.${name}`, code: "REQUIRED", message: `give either this or ${other}` }],
  });
}

/**
 * An event that makes a notification needs what the notification needs. @throws
 * UNAUTHORIZED_ROLE
 */
export function requireTimerRights(principal: PermissionHolder, action: TimerAction, directory: UserDirectory): void {
  const need = (permission: Permission): void => {
    if (!principal.permissions.has(permission)) throw missingPermission(permission);
  };
  need("timers:create");
  if (action.type !== "notify") need("events:emit");
  const isOthers = (ref: string | null): boolean =>
    ref === null || (ref !== "me" && directory.find(ref) !== principal.userId);
  if (recipientsOf(action).some(isOthers)) need("notifications:send");
}

/** Whom an action tells something; null is somebody who cannot be told from here. */
function recipientsOf(action: TimerAction): readonly (string | null)[] {
  if (action.type === "notify") return action.payload.recipients;
  if (action.type !== "event" || action.event !== NOTIFY_EVENT) return [];
  const { userId } = asObject(action.payload);
  return [typeof userId === "string" ? userId : null];
}

/** Whether the program itself acts on the event: it notifies the user that the payload names. */
export function isBusNotify(action: TimerAction): action is EventAction {
  return action.type === "event" && action.event === NOTIFY_EVENT;
}

/** An event's payload is an object. */
export function asObject(payload: unknown): Record<string, unknown> {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload)
    ? (payload as Record<string, unknown>)
    : { value: payload };
}
