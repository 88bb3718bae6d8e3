import * as v from "valibot";
import { invalidField, PrismError } from "../../core/errors.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { doc, refersTo, text } from "../../http/api/shapes.ts";
import type { ConfigKind, Spec } from "../../module/config-kind.ts";
import { runtimeKind } from "../../module/runtime-kind.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { daysOffOf, insertDaysOff } from "./days-off-routes.ts";
import { type CreateDaysOff, DaysOff } from "./days-off-schema.ts";
import { onCallOverrides, onCallSwaps } from "./manage-shifts.ts";
import { spanOfDays } from "./model/away.ts";
import * as queries from "./queries.ts";
import { spanOf, turnsOf } from "./roster.ts";
import type { OnCallContext } from "./schedules.ts";
import { isOrdered, type OnCallRow, ORDER, reason, type ShiftRow, span, users } from "./schema.ts";
import { oneOf, requireWriter } from "./shifts.ts";

/* Overrides, swaps and days off in configuration files. They are made once. */

interface SpanSpec {
  readonly schedule: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly reason?: string;
}
type OverrideSpec = SpanSpec & { readonly users: readonly string[]; readonly replaces?: string };
type SwapSpec = SpanSpec & { readonly user: string; readonly takenBy?: string };
type DaysOffSpec = Omit<CreateDaysOff, "userId"> & { readonly user: string };

const RIGHTS = { read: "events:read", write: "oncall:write" };
const person = refersTo("people", text(128, 1));
const ofSchedule = { schedule: doc(refersTo("oncall", text(100, 1)), "Name of the on-call schedule"), ...span, reason };

export function onCallRuntimeKinds(context: OnCallContext): readonly ConfigKind[] {
  const { clock, projects, users: directory } = context;
  const ofSpan = {
    ...{ key: "schedule", rights: RIGHTS, end: (_db: ReadDb, { end }: SpanSpec) => end },
    check({ start, end }: SpanSpec) {
      if (!isOrdered(start, end)) throw invalidField("body", "end", ORDER);
    },
  };
  const overrides = runtimeKind<OverrideSpec>({
    ...ofSpan,
    ...{ kind: "overrides", noun: "override" },
    entries: () => ({
      ...ofSchedule,
      users: doc(v.pipe(users, v.minLength(1, "must name at least one user")), "Who is on call"),
      replaces: v.optional(doc(person, "Only this person is replaced; absent: everyone on call is")),
    }),
    list: async (db, projectId) => (await comingShifts(db, projectId, clock.now())).overrides,
    async make(trx, caller, projectId, { schedule, users, ...input }) {
      const { id } = await scheduleIn(trx, projectId, schedule);
      return onCallOverrides.insert(context, trx, caller, { id, input: { ...input, users: [...users] } });
    },
  });
  const swaps = runtimeKind<SwapSpec>({
    ...ofSpan,
    ...{ kind: "swaps", noun: "swap" },
    entries: () => ({
      ...ofSchedule,
      user: doc(person, "Whose shifts they are"),
      takenBy: v.optional(doc(person, "Who takes them; absent: it is open")),
    }),
    list: async (db, projectId) => (await comingShifts(db, projectId, clock.now())).swaps,
    async make(trx, caller, projectId, { schedule, user: userId, takenBy, ...input }) {
      const own = await scheduleIn(trx, projectId, schedule);
      const { row } = await onCallSwaps.insert(context, trx, caller, { id: own.id, input: { ...input, userId } });
      if (takenBy !== undefined)
        await onCallSwaps.change(context, trx, row, oneOf(context, caller, own, takenBy), caller);
    },
  });
  const daysOff = runtimeKind<DaysOffSpec>({
    ...{ kind: "daysOff", noun: "days off", key: "user", rights: RIGHTS },
    entries: () => ({ user: doc(person, "Who is away"), ...DaysOff.forCreate }),
    async list(db, projectId) {
      const rows = await daysOffOf(db, await scheduleIds(db, projectId), clock.now());
      return rows.map((row) => ({ id: row.id, spec: { user: row.userId, ...DaysOff.settable(row) } }));
    },
    masked: ({ note: _, ...spec }) => spec,
    async end(db, { user, firstDay, lastDay }) {
      const row = await db.selectFrom("users").select("timezone").where("id", "=", user).executeTakeFirst();
      const { end } = spanOfDays(firstDay, lastDay, row?.timezone ?? "UTC");
      return Number.isNaN(end) ? null : end;
    },
    async make(trx, caller, projectId, { user, ...input }) {
      const isOwn = user === caller.userId;
      if (!isOwn) requireWriter({ projects }, caller, { projectId });
      const userId = directory.existingOne(user, projectId, "user");
      return insertDaysOff(context, trx, { userId, createdBy: caller.userId }, input);
    },
  });
  return [overrides, swaps, daysOff];
}

async function scheduleIds(db: ReadDb | Trx, projectId: string): Promise<string[]> {
  return (await queries.schedulesOf(db, [projectId])).map(({ id }) => id);
}

/** @throws SCHEDULE_NOT_FOUND for one of another project, whose rights were not asked for */
async function scheduleIn(trx: Trx, projectId: string, id: string): Promise<OnCallRow> {
  const schedule = await queries.findSchedule(trx, id);
  if (schedule?.projectId === projectId) return schedule;
  const details = [{ path: "schedule", code: "SCHEDULE_NOT_FOUND", message: "is no schedule of this project" }];
  throw new PrismError("SCHEDULE_NOT_FOUND", "No such on-call schedule", { details });
}

/** Overrides and swaps that are not over. */
async function comingShifts(db: ReadDb | Trx, projectId: string, now: EpochMs) {
  const found = { overrides: [] as Entry[], swaps: [] as Entry[] };
  for (const id of await scheduleIds(db, projectId)) {
    const rows = (await queries.shiftsOf(db, id)).filter(
      (row) => (row.kind === "override" || row.kind === "swap") && row.validUntil === null && spanOf(row).end > now,
    );
    // They apply in the order in which they were made, and swaps are made after overrides: a swap before the
    // override of one person is the same as such an override.
    const last = rows.findLastIndex(({ kind, swapFor }) => kind === "override" && swapFor !== null);
    for (const [at, row] of rows.entries()) {
      const isOverride = row.kind === "override" || (at < last && turnsOf(row)[0]?.length !== 0);
      if (isOverride) found.overrides.push(overrideEntry(row));
      else found.swaps.push(swapEntry(row));
    }
  }
  return found;
}

interface Entry {
  readonly id: string;
  readonly spec: Spec;
}

function overrideEntry(row: ShiftRow): Entry {
  return { id: row.id, spec: { ...spanSpec(row), users: turnsOf(row)[0], replaces: row.swapFor ?? undefined } };
}

function swapEntry(row: ShiftRow): Entry {
  return { id: row.id, spec: { ...spanSpec(row), user: row.swapFor, takenBy: turnsOf(row)[0]?.[0] } };
}

function spanSpec(row: ShiftRow) {
  const { start, end } = spanOf(row);
  return { schedule: row.scheduleId, start, end, reason: row.name || undefined };
}
