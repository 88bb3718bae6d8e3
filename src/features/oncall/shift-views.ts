import { type EpochMs, toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { spanOf, timesOf, turnsOf } from "./roster.ts";
import { Shift, type ShiftRow } from "./schema.ts";

function shiftView(row: ShiftRow) {
  const { recurrence } = timesOf(row);
  const until = recurrence?.until === undefined ? undefined : toRfc3339(recurrence.until);
  const kind = row.kind as "rotation" | "single";
  return Shift.view(row, { kind, recurrence: recurrence && { ...recurrence, until } });
}

function overrideView(row: ShiftRow) {
  const { start, end } = spanOf(row);
  return {
    id: row.id,
    scheduleId: row.scheduleId,
    start: toRfc3339(start),
    end: toRfc3339(end),
    users: turnsOf(row)[0] ?? [],
    replaces: row.swapFor,
    reason: row.name,
    ...effectOf(row),
    ...changedOf(row),
  };
}

export function swapView(row: ShiftRow, now: EpochMs) {
  const { start, end } = spanOf(row);
  const takenBy = turnsOf(row)[0]?.[0] ?? null;
  return {
    id: row.id,
    scheduleId: row.scheduleId,
    userId: row.swapFor ?? "",
    takenBy,
    state: takenBy !== null ? ("taken" as const) : end <= now ? ("expired" as const) : ("open" as const),
    start: toRfc3339(start),
    end: toRfc3339(end),
    reason: row.name,
    version: row.version,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
  };
}

function effectOf({ validFrom, validUntil }: ShiftRow) {
  return { validFrom: toRfc3339OrNull(validFrom), validUntil: toRfc3339OrNull(validUntil) };
}

function changedOf({ version, createdBy, createdAt, updatedAt }: ShiftRow) {
  return { version, createdBy, createdAt: toRfc3339(createdAt), updatedAt: toRfc3339(updatedAt) };
}

const OLDEST = Date.UTC(2000, 0, 1);

/** A wall time as text; empty for a time that is none, and for one before 2000. */
export function localText(wall: number): string {
  return wall >= OLDEST ? new Date(wall).toISOString().slice(0, 19) : "";
}

/** How rows of `oncall_shifts` are shown: as shifts, overrides or swaps. */
export interface ShiftForm<V> {
  readonly kinds: readonly ShiftRow["kind"][];
  view(row: ShiftRow, now: EpochMs): V;
}

export const SHIFTS: ShiftForm<ReturnType<typeof shiftView>> = { kinds: ["rotation", "single"], view: shiftView };
export const OVERRIDES: ShiftForm<ReturnType<typeof overrideView>> = { kinds: ["override"], view: overrideView };
export const SWAPS: ShiftForm<ReturnType<typeof swapView>> = { kinds: ["swap"], view: swapView };
