import { currentCaller, type PermissionHolder } from "../../../core/caller.ts";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { type EpochMs, epochOf, type Moment } from "../../../core/time/clock.ts";
import { object } from "../../../http/api/shapes.ts";
import { checkShape } from "../../../http/body/input.ts";
import type { Uses } from "../../../module/feature.ts";
import type * as api from "../../../module/module-api.ts";
import { holdersOf, releaseKey } from "../../../store/commit/job-table.ts";
import type { InTransaction, Trx } from "../../../store/database.ts";
import { readBusNotify } from "../../notifications/index.ts";
import { requireSound } from "../../notifications/sounds/index.ts";
import type { EnqueuedJob } from "../jobs/index.ts";
import { type Schedule, scheduleOf } from "../schedules/index.ts";
import { labelled, type Owner, recurringTimers, TIMER_KIND, waitingTimers } from "./pending-timers.ts";
import {
  creatorIdOf,
  isBusNotify,
  readTimerAction,
  requireInterval,
  requireTimerRights,
  type StoredAction,
  TimerActionBody,
  type TimerActionInput,
  timerPriority,
} from "./timer-action.ts";
import { fireTimer, type TimerFiringContext, type TimerPayload } from "./timer-firing.ts";

/** Number of next runs among which the shortest interval is computed. */
const COMPARED_RUNS = 20;

/** An action as code of Prism or of a module writes it. */
type GivenAction = TimerActionInput | api.TimerAction;

/** A pending timer: the new one, or the one that holds the key. */
export interface Timer {
  /** Id to cancel it: its job's, or for a recurring one its schedule's. */
  readonly jobId: string;
  readonly label: string;
  /** Time of the next run; null for a recurring one without further runs. */
  readonly runAt: EpochMs | null;
  readonly state: string;
  readonly action: StoredAction;
  /** Whether this is an existing timer with another action or other times. */
  readonly differs: boolean;
}

export interface NewTimerOptions extends InTransaction {
  /** While a timer of this creator with this key waits, it is returned instead of a new one. */
  readonly dedupeKey?: string | undefined;
  /** The module that owns the timer; its label is then the key, unless `onConflict` is `add`. */
  readonly module?: string | undefined;
  /**
   * Handling of a key in use: keep the existing timer (default), replace it, add another one, or
   * fail. `keepSame` keeps a recurring timer with the same action and times, and adds any other.
   */
  readonly onConflict?: "keep" | "replace" | "add" | "fail" | "keepSame" | undefined;
}

export type TimersContext = TimerFiringContext &
  Uses<"audit" | "jobControl" | "schedules" | "pendingTimers" | "channels" | "settings">;

const ScheduledTimer = object({ action: TimerActionBody });

/**
 * Jobs and schedules with an action: `services.timer`. Rights are checked at creation and again at
 * each run ({@link fireTimer}).
 */
export function timerService(context: TimersContext) {
  context.runner.handle(TIMER_KIND, (job) => fireTimer(context, job), { notesBegin: true });
  // An operator's timer is checked like any other: form, recipients, its creator's rights.
  context.schedules.offer("timers", TIMER_KIND, async (payload, creator, trx) => {
    const { action } = checkShape(ScheduledTimer, payload, "body");
    return { action: await resolveReferences(context, readTimerAction(action, context.channels), creator, trx) };
  });
  return {
    /** Checks an action's input. @throws VALIDATION_FAILED, SOUND_NOT_FOUND, NOT_CONFIGURED */
    read: (input: unknown) => readTimerAction(input, context.channels),
    /** {@link runAt} after a delay in elapsed time, which clock changes do not affect. */
    after: (label: string, delayMs: number, action: GivenAction, options?: NewTimerOptions) =>
      runAt(context, label, context.clock.now() + delayMs, action, options),
    at: runAt.bind(null, context),
    every: runEvery.bind(null, context),
    cancel: cancelTimer.bind(null, context),
  };
}

export type Timers = ReturnType<typeof timerService>;

/**
 * Runs an action at an instant; past instants mean now.
 * @throws VALIDATION_FAILED, LIMIT_REACHED, UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND,
 * SOUND_NOT_FOUND, NOT_CONFIGURED, OVERLOADED
 */
async function runAt(
  context: TimersContext,
  label: string,
  at: Moment | EpochMs,
  input: GivenAction,
  { trx, ...options }: NewTimerOptions = {},
): Promise<Timer> {
  const { db, jobs, clock, channels, settings } = context;
  const runAt = Math.max(epochOf(at), clock.now());
  const action = readTimerAction(input, channels);
  const creator = creatorNow(options.module);
  const key = keyOf(label, creator, options);
  return db.writeIn({ trx }, async (inner) => {
    const payload: TimerPayload = { action: await resolveReferences(context, action, creator, inner) };
    const held = await heldByLabel(context, label, options, inner);
    if (held) return timerOfJob(held, label, payload);
    if (key !== null && isNewWanted(options)) await releaseHeldKey(context, key, inner);
    const createdBy = creatorIdOf(creator);
    const priority = await timerPriority(inner, { createdBy, dedupeKey: key }, settings.limits);
    const job = await jobs.enqueue(
      {
        queue: "timers",
        kind: TIMER_KIND,
        payload,
        runAt,
        label,
        dedupeKey: key,
        module: options.module ?? null,
        priority,
        createdBy,
        correlationId: currentCaller().correlationId ?? uuidv7(),
      },
      { trx: inner },
    );
    return timerOfJob(job, label, payload);
  });
}

/** Runs an action by a cron pattern. @throws INVALID_CRON, INVALID_TIMEZONE, as {@link runAt} */
async function runEvery(
  context: TimersContext,
  label: string,
  cron: string,
  input: GivenAction,
  { trx, timezone, ...options }: NewTimerOptions & { readonly timezone?: string | undefined } = {},
): Promise<Timer & { readonly scheduleId: string }> {
  const { db, schedules, audit, channels, settings } = context;
  const action = readTimerAction(input, channels);
  const creator = creatorNow(options.module);
  if (creator && !creator.permissions.has("jobs:manage"))
    requireInterval(schedules.preview(cron, timezone, COMPARED_RUNS), settings.limits.minRepeatMs);
  const key = keyOf(label, creator, options);
  // The label is for people; the name must only be unique, or derived from the key.
  const name = `timer:${key === null ? uuidv7() : sha256Hex(key).slice(0, 32)}`;
  return db.writeIn({ trx }, async (inner) => {
    const payload: TimerPayload = { action: await resolveReferences(context, action, creator, inner) };
    const given = { cron, timezone: timezone ?? schedules.timezone, payload };
    const held = await schedulesHolding(context, name, label, options, inner);
    const kept = held.find((each) => options.onConflict !== "keepSame" || isSame(each, given));
    if (kept && !isNewWanted(options)) return timerOfSchedule(kept, given);
    if (kept && options.onConflict === "fail") throw labelTaken(label);
    const schedule = {
      ...given,
      name,
      queue: "timers",
      kind: TIMER_KIND,
      label,
      module: options.module ?? null,
      createdBy: creatorIdOf(creator),
    } as const;
    if (kept) {
      for (const { id } of held) if (id !== kept.id) await schedules.delete(id, { trx: inner });
      const updated = await schedules.update(kept.id, { ...schedule, name: kept.name }, { trx: inner });
      return timerOfSchedule(updated, given);
    }
    const made = await schedules.create(schedule, { trx: inner });
    const metadata = { kind: TIMER_KIND, cron };
    await audit.record(
      { action: "schedule.create", resourceType: "schedule", resourceId: made.id, metadata },
      { trx: inner },
    );
    return timerOfSchedule(made, given);
  });
}

/**
 * Cancels a timer by id, or all pending ones with a label. Modules cancel their own, other code
 * those of its user.
 * @returns whether any was pending
 */
async function cancelTimer(
  { db, pendingTimers }: TimersContext,
  jobIdOrLabel: string,
  { trx, module }: InTransaction & { readonly module?: string | undefined } = {},
): Promise<boolean> {
  const owner: Owner = { createdBy: creatorIdOf(creatorNow(module)), module: module ?? null };
  const isOwn = (of: Owner): boolean => of.module === owner.module && of.createdBy === owner.createdBy;
  return db.writeIn({ trx }, async (inner) => {
    const ids = isUuid(jobIdOrLabel) ? [jobIdOrLabel] : await labelled(jobIdOrLabel, owner, inner);
    let cancelled = false;
    for (const id of ids)
      cancelled = (await pendingTimers.cancelIfWaiting("timers", id, isOwn, { trx: inner })) || cancelled;
    return cancelled;
  });
}

/**
 * The action as stored, with resolved recipients and sound.
 * @throws VALIDATION_FAILED, UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND, SOUND_NOT_FOUND
 */
async function resolveReferences(
  { users }: TimersContext,
  action: StoredAction,
  creator: PermissionHolder | null,
  trx: Trx,
): Promise<StoredAction> {
  // Before an unknown reference creates a user, who is another user in any case.
  if (creator) requireTimerRights(creator, action, users);
  if (isBusNotify(action)) {
    // The event is emitted as given; Prism's own handling of it is checked now.
    const [ref = ""] = readBusNotify(action.payload).recipients;
    await users.recipient(ref, trx, null, "action.payload.userId");
  }
  if (action.type !== "notify") return action;
  const recipients = await users.recipients(action.payload.recipients, trx, null);
  const sound = await requireSound(action.payload.sound, trx);
  return { ...action, payload: { ...action.payload, recipients, sound } };
}

/**
 * Applies `onConflict` to a module's pending timers with the label, including those without its
 * key. @returns the one that is kept.
 * @throws NAME_TAKEN
 */
async function heldByLabel(
  { jobControl }: TimersContext,
  label: string,
  { module, dedupeKey, onConflict = "keep" }: NewTimerOptions,
  trx: Trx,
) {
  if (module === undefined || dedupeKey !== undefined || onConflict === "add") return undefined;
  const waiting = await waitingTimers(trx, { createdBy: null, module }, label)
    .select(["id as jobId", "runAt", "state", "label", "payload"])
    .orderBy("id")
    .execute();
  if (onConflict === "fail" && waiting.length > 0) throw labelTaken(label);
  if (onConflict === "replace") for (const { jobId } of waiting) await jobControl.cancel(jobId, { trx });
  return onConflict === "keep" ? waiting[0] : undefined;
}

/** The recurring timers with the key: the schedule of this name, then the label's. */
async function schedulesHolding(
  { schedules }: TimersContext,
  name: string,
  label: string,
  { module, dedupeKey, onConflict }: NewTimerOptions,
  trx: Trx,
): Promise<Schedule[]> {
  const named = await schedules.findByName(name, { trx });
  if (module === undefined || dedupeKey !== undefined || onConflict === "add") return named ? [named] : [];
  const rows = await recurringTimers(trx, { createdBy: null, module }, label).selectAll().orderBy("id").execute();
  return [...(named ? [named] : []), ...rows.filter(({ id }) => id !== named?.id).map(scheduleOf)];
}

/** Takes the key from its timer: a pending one is cancelled, a running one loses it. */
async function releaseHeldKey({ jobControl }: TimersContext, key: string, trx: Trx): Promise<void> {
  const [held] = await holdersOf(trx, "timers", [key]);
  if (held?.state === "running") await releaseKey(trx, held.id);
  else if (held) await jobControl.cancel(held.id, { trx });
}

/** The user for whom code runs; null for modules and Prism itself. */
function creatorNow(module: string | undefined): PermissionHolder | null {
  const { principal } = currentCaller();
  return module === undefined && principal && principal.kind !== "apiKey" ? principal : null;
}

/** Keys are scoped to their creator, so that they neither reveal nor block timers of others. */
function keyOf(
  label: string,
  creator: PermissionHolder | null,
  { module, dedupeKey, onConflict }: Omit<NewTimerOptions, "trx">,
): string | null {
  if (onConflict === "add" || onConflict === "keepSame") return null;
  if (module === undefined) return dedupeKey === undefined ? null : `${creator?.key ?? "system"} ${dedupeKey}`;
  return dedupeKey === undefined ? `module:${module} label ${label}` : `module:${module} ${dedupeKey}`;
}

/** Whether a pending timer is replaced or causes an error; otherwise it is kept. */
function isNewWanted({ onConflict }: NewTimerOptions): boolean {
  return onConflict === "replace" || onConflict === "fail";
}

function labelTaken(label: string): PrismError {
  return new PrismError("NAME_TAKEN", `A timer of the module waits under the label ${JSON.stringify(label)}`);
}

/** @param given the requested timer. */
function timerOfJob(job: EnqueuedJob, label: string, given: TimerPayload): Timer {
  const { action } = JSON.parse(job.payload) as TimerPayload;
  const differs = job.payload !== JSON.stringify(given);
  return { jobId: job.jobId, label: job.label ?? label, runAt: job.runAt, state: job.state, action, differs };
}

interface Recurrence {
  readonly cron: string | null;
  readonly timezone: string;
  readonly payload: unknown;
}

function isSame(held: Recurrence, given: Recurrence): boolean {
  const { cron, timezone, payload } = given;
  return held.cron === cron && held.timezone === timezone && JSON.stringify(held.payload) === JSON.stringify(payload);
}

/** @param given the requested timer. */
function timerOfSchedule(schedule: Schedule, given: Recurrence): Timer & { readonly scheduleId: string } {
  const { id, label, nextRunAt, payload } = schedule;
  const { action } = payload as TimerPayload;
  const timer = { jobId: id, label: label ?? "", runAt: nextRunAt, state: "scheduled", action };
  return { ...timer, scheduleId: id, differs: !isSame(schedule, given) };
}
