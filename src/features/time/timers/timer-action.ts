import { sql } from "kysely";
import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { invalidField, limitReached, PrismError } from "../../../core/errors.ts";
import type { Permission } from "../../../core/permissions.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import {
  Action,
  ChannelList,
  doc,
  integer,
  jsonObject,
  jsonValue,
  type KnownChannels,
  object,
  requireServed,
  text,
} from "../../../http/api/shapes.ts";
import { checkShape } from "../../../http/body/input.ts";
import { missingPermission } from "../../../http/server/access.ts";
import { CHANNEL_NAME } from "../../../live/stream.ts";
import { holdersOf } from "../../../store/commit/job-table.ts";
import type { Trx } from "../../../store/database.ts";
import type { Principals, UserDirectory } from "../../access/index.ts";
import { NOTIFY_EVENT } from "../../notifications/index.ts";

const KEY = "key:";

/** The `createdBy` of a row: a user's id, `key:<id>` for an API key, null for Prism itself. */
export function creatorIdOf(principal: Principal | null): string | null {
  if (!principal) return null;
  return principal.kind === "apiKey" ? principal.key : principal.userId;
}

/**
 * Resolves {@link creatorIdOf} with current rights. @throws ACCOUNT_DISABLED and similar,
 * TOKEN_INVALID, INVALID_API_KEY
 */
export function creatorOf(createdBy: string | null, principals: Principals): Principal | null {
  if (createdBy === null) return null;
  return createdBy.startsWith(KEY) ? principals.ofKey(createdBy.slice(KEY.length)) : principals.ofUser(createdBy);
}

/** Number of a creator's timers with the same priority. */
const TIMERS_PER_LEVEL = 50;

export type TimerSettings = Config["limits"];

/**
 * Checks the limit of timers and returns the priority of one more. The more unfinished timers a
 * creator has, the later the next one runs among due timers, so that many timers of one do not
 * delay the few of another.
 * @param createdBy null: Prism and its modules, which have no limit. @param dedupeKey of a timer
 * that may already wait
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
  // A literal 0 for the first level: SQLite does not accept -0 as an integer.
  return 0 - Math.floor(count / TIMERS_PER_LEVEL);
}

/**
 * Checks the next runs of a recurring timer against the minimum interval.
 * @param runs instants, ascending. @throws VALIDATION_FAILED
 */
export function requireInterval(runs: readonly { readonly at: EpochMs }[], minRepeatMs: number): void {
  if (!runs.some(({ at }, i) => i > 0 && at - (runs[i - 1]?.at ?? 0) < minRepeatMs)) return;
  const message = `runs must be ${minRepeatMs} ms apart without jobs:manage (setting limits.minRepeatMs)`;
  throw new PrismError("VALIDATION_FAILED", `cron: ${message}`, {
    details: [{ path: "cron", code: "TOO_OFTEN", message }],
  });
}

/** Counts up to the limit. */
async function countUnfinished(trx: Trx, createdBy: string, limit: number): Promise<number> {
  const jobs = trx
    .selectFrom("jobs")
    .select("id")
    // A literal, to match the partial index.
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

/** Name of an event or message. */
const eventName = v.pipe(
  v.string("must be a string"),
  v.regex(/^[A-Za-z0-9_.:\-/]{1,100}$/, "must be 1 to 100 letters, digits or any of _ . : - /"),
);
const channelName = v.pipe(
  v.string("must be a string"),
  v.regex(CHANNEL_NAME, "must be 1 to 128 letters, digits or any of _ - = @ , . ; :"),
);

/** A timer's action in a request. */
export const TimerActionBody = v.variant("type", [
  object({
    type: doc(v.literal("notify"), "Sends a notification"),
    payload: doc(
      object({
        userId: doc(text(128, 1), "Id, external id, username or mail address; `me` for the caller"),
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

/** A timer's action in code: a notification has all members of an immediate one. */
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

/** A timer's action as stored (docs/timers.md). */
export type StoredAction = NotifyAction | EventAction | MessageAction;

type NotifyInput = Extract<v.InferOutput<typeof AnyTimerAction>, { type: "notify" }>["payload"];

export interface NotifyAction {
  readonly type: "notify";
  readonly payload: Omit<NotifyInput, "userId" | "recipients" | "body" | "message"> & {
    /** User references (docs/http.md) when the timer is created; stored as ids. */
    readonly recipients: readonly string[];
    readonly message: string;
  };
}

export interface EventAction {
  readonly type: "event";
  readonly event: string;
  readonly payload: unknown;
  /** Also stores an event in the default project. */
  readonly persist: boolean;
}

export interface MessageAction {
  readonly type: "message";
  readonly channel: string;
  readonly payload: unknown;
}

/** Recipients and sound are checked later. @throws VALIDATION_FAILED, NOT_CONFIGURED */
export function readTimerAction(input: unknown, channels: KnownChannels): StoredAction {
  const action = checkShape(AnyTimerAction, input, "body");
  if (action.type === "event") return { ...action, payload: action.payload ?? {}, persist: action.persist === true };
  if (action.type === "message") return { ...action, payload: action.payload ?? {} };
  const { userId, recipients, body, message, ...rest } = action.payload;
  const text = requireOne({ body, message }, "message");
  const people = requireOne({ userId: userId === undefined ? undefined : [userId], recipients }, "recipients");
  requireServed(rest.channels, channels);
  return { type: "notify", payload: { ...rest, recipients: people, message: text } };
}

/** Exactly one of two members that name the same thing. @throws VALIDATION_FAILED */
function requireOne<T>(members: Readonly<Record<string, T | undefined>>, other: string): T {
  const given = Object.values(members).filter((value) => value !== undefined);
  const [first] = given;
  if (first !== undefined && given.length === 1) return first;
  const [name] = Object.keys(members);
  throw invalidField("body", `action.payload.${name}`, `give either this or ${other}`, "REQUIRED");
}

/** An event that sends a notification needs the notification's rights. @throws UNAUTHORIZED_ROLE */
export function requireTimerRights(principal: PermissionHolder, action: StoredAction, directory: UserDirectory): void {
  const need = (permission: Permission): void => {
    if (!principal.permissions.has(permission)) throw missingPermission(permission);
  };
  need("timers:create");
  if (action.type !== "notify") need("events:emit");
  const isOthers = (ref: string | null): boolean =>
    ref === null || (ref !== "me" && directory.find(ref) !== principal.userId);
  if (recipientsOf(action).some(isOthers)) need("notifications:send");
}

/** Recipients of an action; null for one that this server cannot notify. */
function recipientsOf(action: StoredAction): readonly (string | null)[] {
  if (action.type === "notify") return action.payload.recipients;
  if (action.type !== "event" || action.event !== NOTIFY_EVENT) return [];
  const { userId } = asObject(action.payload);
  return [typeof userId === "string" ? userId : null];
}

/** Whether Prism itself handles the event: it notifies the user named in the payload. */
export function isBusNotify(action: StoredAction): action is EventAction {
  return action.type === "event" && action.event === NOTIFY_EVENT;
}

/** An event's payload is an object. */
export function asObject(payload: unknown): Record<string, unknown> {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload)
    ? (payload as Record<string, unknown>)
    : { value: payload };
}
