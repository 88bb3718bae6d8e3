import type { OnCallSchedule, OnCallShift } from "../../../src/client/api-types.gen.ts";
import { fromWallClock, toWallClock } from "../../ui/index.ts";
import { dateOf, nextMonday } from "./calendar-time.ts";
import type { Frequency, Recurrence } from "./oncall-types.ts";

const HOUR_MS = 3_600_000;
const UNIT_MS = { hourly: HOUR_MS, daily: 24 * HOUR_MS, weekly: 168 * HOUR_MS, monthly: 0 } as const;
/** A rotation as its form has it. */
export interface ShiftDraft {
  readonly name: string;
  readonly level: string;
  /** Instant of the first start. */
  readonly start: string;
  readonly timezone: string;
  readonly frequency: Frequency | "once";
  readonly interval: string;
  readonly coverage: string;
  readonly hours: string;
  readonly days: readonly string[];
  readonly until: string;
  readonly turns: readonly (readonly string[])[];
  readonly startTurn: number;
}

/** From next Monday at 09:00, each user for a week. */
export function emptyDraft({ timezone }: OnCallSchedule): ShiftDraft {
  const monday = nextMonday(dateOf(Date.now(), timezone));
  return {
    name: "",
    level: "0",
    start: new Date(fromWallClock(`${monday}T09:00`, timezone)).toISOString(),
    timezone,
    frequency: "weekly",
    interval: "1",
    coverage: "all",
    hours: "8",
    days: [],
    until: "",
    turns: [[]],
    startTurn: 0,
  };
}

export function draftOf(shift: OnCallShift): ShiftDraft {
  const { name, level, start, timezone, recurrence, durationMs, turns, startTurn } = shift;
  const period = recurrence === null ? 0 : UNIT_MS[recurrence.frequency] * recurrence.interval;
  return {
    name,
    level: String(level),
    start: new Date(fromWallClock(start, timezone)).toISOString(),
    timezone,
    frequency: recurrence?.frequency ?? "once",
    interval: String(recurrence?.interval ?? 1),
    coverage: period === durationMs && !recurrence?.byDay ? "all" : "hours",
    hours: String(durationMs / HOUR_MS),
    days: recurrence?.byDay ?? [],
    until: recurrence?.until ?? "",
    turns,
    startTurn,
  };
}

/** Body of the request; members that the form does not show stay as they are. */
export function bodyOf(draft: ShiftDraft, known: Recurrence | null | undefined) {
  const { frequency, coverage, turns, startTurn } = draft;
  const interval = Number(draft.interval);
  const isAll = coverage === "all" && frequency !== "once" && frequency !== "monthly";
  const kept = known && known.frequency === frequency ? known : undefined;
  const { byDay: _days, until: _until, ...rest } = kept ?? {};
  const recurrence =
    frequency === "once"
      ? null
      : {
          ...rest,
          frequency,
          interval,
          ...(!isAll && draft.days.length > 0 ? { byDay: draft.days } : {}),
          ...(draft.until === "" ? {} : { until: draft.until }),
        };
  return {
    name: draft.name,
    level: Number(draft.level),
    start: toWallClock(Date.parse(draft.start), draft.timezone),
    timezone: draft.timezone,
    durationMs: isAll ? UNIT_MS[frequency] * interval : Math.round(Number(draft.hours) * HOUR_MS),
    recurrence,
    turns,
    startTurn: Math.min(startTurn, turns.length - 1),
  };
}
