import { yamlText } from "../../../config/files/yaml-text.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs, instantOf, toRfc3339, zoneOffsetMs } from "../../../core/time/clock.ts";
import { WEEKDAYS } from "../../../features/oncall/model/recurrence.ts";
import { free, type ImportedFiles } from "../files.ts";
import * as proof from "../proof.ts";
import type { GrafanaOnCall, OldSchedule, OldShift, OldSwap } from "./read.ts";
import { fileShifts, type ShiftReading } from "./rotation.ts";

/* Schedules of OnCall as schedules of files, beside what OnCall itself says of the coming weeks. */

/** Who is on call in OnCall at an instant; null: the file has no shifts that would know it. */
export type OldOnCall = (at: EpochMs) => readonly string[] | null;

export interface WrittenSchedule {
  readonly document: object;
  /** Lines below the file. */
  readonly comments: readonly string[];
  /** Entries of `runtime.yaml`. */
  readonly overrides: readonly object[];
  readonly swaps: readonly object[];
  readonly at: OldOnCall;
  readonly people: ReadonlySet<string>;
}

export interface ScheduleOptions {
  readonly name: string;
  readonly project: string;
  /** The person of an id; undefined: OnCall does not list it. */
  readonly nameOf: (id: string) => string | undefined;
  /** OnCall notifies editors and administrators only. */
  readonly isNotified: (id: string) => boolean;
  readonly isAccepted: boolean;
  /** Write shifts of UTC by the clocks of the schedule's zone. */
  readonly hasLocalTimes: boolean;
}

export function writeSchedule(
  files: ImportedFiles,
  { now, to, shifts: all, swaps: allSwaps }: GrafanaOnCall,
  schedule: OldSchedule,
  options: ScheduleOptions,
): WrittenSchedule {
  const { name, project, nameOf, isNotified, isAccepted, hasLocalTimes } = options;
  const note = (outcome: "not taken" | "changed" | "to do", text: string) =>
    files.note("schedule", name, outcome, text);
  const timezone = schedule.time_zone ?? "UTC";
  if (schedule.ical_url_overrides !== null)
    note("not taken", "Its calendar of overrides; enter those to come as overrides");
  const old = renderingOf(schedule, nameOf);
  const people = new Set(old.flatMap(({ users }) => users));
  const unproven = { comments: [], overrides: [], swaps: [], at: () => null, people };
  if (schedule.type === "ical") {
    if (schedule.ical_url_primary === null) {
      note("not taken", "It has no calendar: it is empty");
      return { ...unproven, document: { name, timezone } };
    }
    const calendarUrl = files.secret(schedule.ical_url_primary, "calendar", project, name);
    note("changed", "It follows its calendar as before; people are found by username, name or verified address");
    return { ...unproven, document: { name, timezone, calendarUrl } };
  }
  const ids = new Set(schedule.shifts ?? []);
  const own = all.filter((shift) => ids.has(shift.id));
  if (own.length < ids.size)
    note("not taken", `${countText(ids.size - own.length, "shift")} that OnCall does not list`);
  const named = own.flatMap(({ users, rolling_users }) => [users ?? [], rolling_users ?? []].flat(2));
  if (named.some((id) => nameOf(id) === undefined))
    note("not taken", "People in its shifts whom OnCall does not list any more: their turns are of nobody, as there");
  const hasSilent = named.some((id) => nameOf(id) !== undefined && !isNotified(id));
  const overrides = overridesOf(own, nameOf, now);
  const swaps = swapsOf(allSwaps, schedule.id, nameOf, now);
  const changes: readonly proof.FileOverride[] = [
    ...overrides,
    ...swaps.flatMap(({ start, end, user, takenBy }) =>
      takenBy === undefined ? [] : [{ start, end, users: [takenBy], replaces: user }],
    ),
  ];
  const rotating = own.filter(({ type }) => type !== "override");
  const notified = (id: string) => (isNotified(id) ? nameOf(id) : undefined);
  const readers = hasSilent ? [notified, nameOf] : [nameOf];
  const best = proof.bestForm(old, forms(schedule, rotating, { name, timezone, readers, now }), () => changes, {
    from: now,
    to,
  }) ?? { form: "exact", schedule: { name, timezone, shifts: [] }, boundaries: 0, differences: [] };
  const runtime = {
    overrides: overrides.map(({ start, end, users }) => ({ schedule: name, ...textsOf(start, end), users })),
    swaps: swaps.map(({ start, end, ...swap }) => ({ schedule: name, ...textsOf(start, end), ...swap })),
  };
  for (const shift of best.schedule.shifts) for (const user of shift.turns.flat()) people.add(user);
  for (const { users, replaces } of changes) for (const user of [...users, replaces ?? []].flat()) people.add(user);
  for (const { user } of swaps) people.add(user);
  // Tests run without overrides and swaps: they are made once, by apply --runtime.
  const at: OldOnCall = (instant) =>
    changes.some(({ start, end }) => start <= instant && end > instant)
      ? null
      : [...new Set(old.flatMap(({ start, end, users }) => (start <= instant && end > instant ? users : [])))].sort();
  const isEqual = best.differences.length === 0;
  if (hasSilent) note("changed", "Viewers in its shifts, whom OnCall does not notify, are left out where OnCall does");
  if (isEqual && timezone !== "UTC" && best.schedule.shifts.some((shift) => shift.timezone === "UTC")) {
    if (hasLocalTimes) {
      const local = localTimes(best.schedule, now);
      const compared = proof.compareSchedule(old, proof.rosterOfFile(local, changes), { from: now, to, timezone });
      files.proofs.push({ name, form: `local times, ${timezone}`, ...compared });
      return { ...unproven, ...runtime, people, document: documentOf(local) };
    }
    note(
      "changed",
      `Its shifts run in UTC, as in OnCall: they begin an hour later or earlier by the clocks of ${timezone} after ` +
        `each change of the clocks. --local-times ${JSON.stringify(name)} writes them in that zone`,
    );
  }
  const { form, boundaries, differences } = best;
  if (isEqual || isAccepted) {
    files.proofs.push({ name, form: isEqual ? form : `${form}, accepted`, boundaries, differences });
    return { ...runtime, document: documentOf(best.schedule), comments: [], at: isEqual ? at : () => null, people };
  }
  files.proofs.push({ name, form: "follow", boundaries, differences });
  note(
    "to do",
    "It differs, so it follows the calendar of OnCall while that lives: make an export link there (Schedule, " +
      "Export) and fill it in; or write the form in the comment of the file, by --accept",
  );
  const calendarUrl = files.toFill(`The iCal export link of ${name} in OnCall`, "calendar", project, name);
  const comments = [`The exact form of ${name}, with --accept:`, ...yamlText(documentOf(best.schedule)).split("\n")];
  return { ...unproven, document: { name, timezone, calendarUrl }, comments };
}

function textsOf(start: EpochMs, end: EpochMs) {
  return { start: toRfc3339(start), end: toRfc3339(end) };
}

function documentOf(schedule: proof.FileSchedule): object {
  const { timezone } = schedule;
  const shifts = schedule.shifts.map(({ timezone: zone, ...shift }) =>
    zone === undefined || zone === timezone ? shift : { ...shift, timezone: zone },
  );
  return proof.scheduleDocument({ ...schedule, shifts });
}

function renderingOf({ final }: OldSchedule, nameOf: ScheduleOptions["nameOf"]): proof.OldRendering {
  return final.map(({ user_pk, user_username, shift_start, shift_end }) => ({
    ...{ start: shift_start, end: shift_end },
    users: [nameOf(user_pk) ?? user_username ?? user_pk],
  }));
}

/** In the order in which they are tried; that of OnCall's code first. */
function* forms(
  schedule: OldSchedule,
  shifts: readonly OldShift[],
  {
    name,
    timezone,
    readers,
    now,
  }: { name: string; timezone: string; readers: readonly ScheduleOptions["nameOf"][]; now: EpochMs },
): Generator<proof.ScheduleForm, undefined> {
  const isWeb = schedule.type === "web";
  const tried = new Set<string>();
  // Shifts without a zone are in UTC in a schedule of the web page, else in that of the schedule.
  const zones = isWeb ? ["UTC", timezone] : [timezone, "UTC"];
  const ways: [string, (shift: OldShift) => string][] = [
    ...zones.map((zone): [string, (shift: OldShift) => string] => [zone, (shift) => shift.time_zone ?? zone]),
    ...[timezone, "UTC"].map((zone): [string, () => string] => [`all in ${zone}`, () => zone]),
  ];
  for (const [zone, zoneOf] of ways)
    for (const [endsByClock, isSplit] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const)
      for (const [isCut, nameOf] of readers.flatMap((each) => [isWeb, !isWeb].map((cut) => [cut, each] as const))) {
        const names = new Set<string>();
        const made = shifts.flatMap((shift) => {
          const reading: ShiftReading = { zone: zoneOf(shift), isWeb: isCut, isSplit, endsByClock, now };
          return fileShifts(shift, reading, nameOf);
        });
        const named = made.map((shift) => ({ ...shift, name: free(shift.name.slice(0, 90), names) }));
        const key = JSON.stringify(named);
        if (tried.has(key)) continue;
        tried.add(key);
        yield { form: `exact, ${zone}`, schedule: { name, timezone, shifts: named } };
      }
}

function overridesOf(shifts: readonly OldShift[], nameOf: ScheduleOptions["nameOf"], now: EpochMs) {
  return shifts.flatMap(({ type, start: wall, duration, time_zone, users, rolling_users }) => {
    if (type !== "override") return [];
    const start = instantOf(Date.parse(`${wall}Z`), time_zone ?? "UTC");
    const end = start + duration * 1000;
    const ids = users?.length ? users : (rolling_users ?? []).flat();
    const names = [...new Set(ids.flatMap((id) => nameOf(id) ?? []))];
    return end > now && end > start && names.length > 0 ? [{ start, end, users: names }] : [];
  });
}

function swapsOf(swaps: readonly OldSwap[], schedule: string, nameOf: ScheduleOptions["nameOf"], now: EpochMs) {
  return swaps.flatMap(({ schedule: of, swap_start: start, swap_end: end, beneficiary, benefactor }) => {
    const [user, takenBy] = [nameOf(beneficiary), benefactor === null ? undefined : nameOf(benefactor)];
    if (of !== schedule || end <= now || end <= start || user === undefined) return [];
    return [{ start, end, user, ...(takenBy !== undefined && { takenBy }) }];
  });
}

/** Shifts of UTC by the clocks of the schedule, as they are now. */
function localTimes(schedule: proof.FileSchedule, now: EpochMs): proof.FileSchedule {
  const { timezone } = schedule;
  const shifts = schedule.shifts.map((shift) => {
    const { recurrence } = shift;
    if (shift.timezone !== "UTC" || recurrence?.frequency === "monthly") return shift;
    const start = Date.parse(`${shift.start}Z`);
    const wall = start + zoneOffsetMs(timezone, now);
    const days = Math.floor(wall / DAY_MS) - Math.floor(start / DAY_MS);
    const moved = <T extends string>(day: T) => (WEEKDAYS[(WEEKDAYS.indexOf(day as never) + days + 7) % 7] ?? day) as T;
    const rule = recurrence && {
      ...recurrence,
      ...(recurrence.byDay && { byDay: recurrence.byDay.map(moved) }),
      ...(recurrence.frequency === "weekly" && { weekStart: moved(recurrence.weekStart ?? "MO") }),
    };
    return { ...shift, timezone, start: new Date(wall).toISOString().slice(0, 19), ...(rule && { recurrence: rule }) };
  });
  return { ...schedule, shifts };
}
