import { invalidField, PrismError } from "../../../core/errors.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { isTimezone } from "../../../core/time/clock.ts";
import { MAX_PAYLOAD_BYTES } from "../jobs/index.ts";
import { Recurrence, recurrenceOf } from "./cron/recurrence.ts";
import { MAX_EVERY_MS, MIN_EVERY_MS, type ScheduleRow } from "./schedule.ts";

/** A requested schedule. */
export interface ScheduleInput {
  /** Of a new one; default: a random one. */
  readonly id?: string;
  readonly name: string;
  /** Either this or {@link everyMs}. */
  readonly cron?: string | null | undefined;
  readonly everyMs?: number | null | undefined;
  /** Default: the server's. */
  readonly timezone?: string | undefined;
  readonly queue: QueueName;
  readonly kind: string;
  /** JSON; default an empty object. */
  readonly payload?: unknown;
  readonly label?: string | null | undefined;
  readonly missed?: ScheduleRow["missed"] | undefined;
  readonly overlap?: ScheduleRow["overlap"] | undefined;
  readonly active?: boolean | undefined;
  /** Default: the queue's, at the time of each run. */
  readonly maxAttempts?: number | null | undefined;
  /** The creator, also recorded in its jobs. */
  readonly createdBy?: string | null | undefined;
  readonly module?: string | null | undefined;
}

/** Changes of a schedule; missing members stay. */
export type ScheduleChanges = { readonly [K in keyof ScheduleInput]?: ScheduleInput[K] | undefined };

export interface Schedule extends Omit<ScheduleRow, "payload" | "active"> {
  readonly payload: unknown;
  readonly active: boolean;
}

export function scheduleOf({ payload, active, ...row }: ScheduleRow): Schedule {
  return { ...row, payload: JSON.parse(payload) as unknown, active: active === 1 };
}

type Definition = Omit<ScheduleRow, "id" | "version" | "lastRunAt" | "nextRunAt" | "createdAt" | "updatedAt">;

/**
 * Merges changes into a definition; missing members stay. A pattern replaces an interval, and the
 * other way round.
 * @throws VALIDATION_FAILED, INVALID_TIMEZONE, PAYLOAD_TOO_LARGE
 */
export function definitionOf(input: ScheduleChanges, old: ScheduleRow | null, timezone: string): Definition {
  const { name = old?.name, queue = old?.queue, kind = old?.kind } = input;
  if (name === undefined || queue === undefined || kind === undefined)
    throw new TypeError("a schedule has a name, a queue and a kind");
  const payload = input.payload === undefined ? (old?.payload ?? "{}") : JSON.stringify(input.payload);
  if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES)
    throw new PrismError("PAYLOAD_TOO_LARGE", `The payload of a job exceeds ${MAX_PAYLOAD_BYTES} bytes`);
  return {
    name,
    ...timesOf(input, old),
    timezone: requireTimezone(input.timezone ?? old?.timezone ?? timezone),
    queue,
    kind,
    payload,
    label: input.label === undefined ? (old?.label ?? null) : input.label,
    missed: input.missed ?? old?.missed ?? "once",
    overlap: input.overlap ?? old?.overlap ?? "skip",
    active: input.active === undefined ? (old?.active ?? 1) : input.active ? 1 : 0,
    maxAttempts: input.maxAttempts === undefined ? (old?.maxAttempts ?? null) : input.maxAttempts,
    module: input.module === undefined ? (old?.module ?? null) : input.module,
    createdBy: input.createdBy === undefined ? (old?.createdBy ?? null) : input.createdBy,
  };
}

/** Exactly one of the two. */
function timesOf(input: ScheduleChanges, old: ScheduleRow | null): Pick<ScheduleRow, "cron" | "everyMs"> {
  const cron = input.cron ?? null;
  const everyMs = input.everyMs ?? null;
  if (cron !== null && everyMs !== null) throw invalidField("schedule", "everyMs", "give either this or cron");
  if (everyMs !== null && !(Number.isInteger(everyMs) && everyMs >= MIN_EVERY_MS && everyMs <= MAX_EVERY_MS))
    throw invalidField("schedule", "everyMs", `must be a whole number from ${MIN_EVERY_MS} to ${MAX_EVERY_MS}`);
  if (cron !== null || everyMs !== null) return { cron, everyMs };
  const kept = {
    cron: input.cron === undefined ? (old?.cron ?? null) : null,
    everyMs: input.everyMs === undefined ? (old?.everyMs ?? null) : null,
  };
  if (kept.cron === null && kept.everyMs === null)
    throw invalidField("schedule", "cron", "give either this or everyMs");
  return kept;
}

/** @throws INVALID_TIMEZONE */
export function requireTimezone(timezone: string): string {
  if (isTimezone(timezone)) return timezone;
  throw new PrismError("INVALID_TIMEZONE", "The time zone is not one of the IANA database, such as Europe/Berlin", {
    details: [{ path: "timezone", code: "INVALID_TIMEZONE", message: "is not a time zone of the IANA database" }],
  });
}

/** Time of the first run. @throws INVALID_CRON */
export function firstRunAt({ cron, everyMs, timezone, active }: Definition, now: EpochMs): EpochMs | null {
  if (cron !== null) {
    const recurrence = recurrenceOf({ cron, timezone }, now);
    return active ? recurrence.next(now) : null;
  }
  return active ? now + (everyMs ?? 0) : null;
}

type Times = Pick<ScheduleRow, "cron" | "everyMs" | "timezone">;

/**
 * The schedule's times. @param from start of its intervals: one of its times. @throws INVALID_CRON
 * for an unchecked pattern
 */
export function timesFrom({ cron, everyMs, timezone }: Times, from: EpochMs): Recurrence {
  if (cron !== null) return new Recurrence({ cron, timezone });
  if (everyMs !== null) return new Recurrence({ everyMs, timezone, from });
  throw new TypeError("a schedule has a pattern or an interval");
}

/** {@link timesFrom}; null if this version cannot read them, which the firing reports. */
export function readableTimes(times: Times, from: EpochMs): Recurrence | null {
  try {
    const recurrence = timesFrom(times, from);
    recurrence.next(from);
    return recurrence;
  } catch {
    return null;
  }
}
