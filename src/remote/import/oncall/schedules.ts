import { countText } from "../../../core/text/clean-text.ts";
import { type EpochMs, instantOf, toRfc3339, zoneOffsetMs } from "../../../core/time/clock.ts";
import { free } from "../files.ts";
import type { FileOverride, FileShift, OldRendering, ScheduleForm } from "../proof.ts";
import type { TakenSchedule, TeamFiles, TeamProject } from "../team-files.ts";
import type { GrafanaOnCall, OldSchedule, OldShift } from "./read.ts";
import { fileShifts, movedBy, type ShiftReading, unwritable } from "./rotation.ts";

/* Schedules of OnCall as schedules of files, beside what OnCall itself says of the coming weeks. */

type NameOf = (id: string) => string | undefined;

export interface ScheduleOptions {
  readonly name: string;
  readonly nameOf: NameOf;
  /** OnCall notifies editors and administrators only. */
  readonly isNotified: (id: string) => boolean;
  /** Write shifts of UTC by the clocks of the schedule's zone. */
  readonly hasLocalTimes: boolean;
}

export function addSchedule(
  team: TeamFiles,
  project: TeamProject,
  { now, shifts: all, swaps }: Pick<GrafanaOnCall, "now" | "shifts" | "swaps">,
  schedule: OldSchedule,
  { name, nameOf, isNotified, hasLocalTimes }: ScheduleOptions,
): TakenSchedule {
  const note = (outcome: "not taken" | "changed", text: string) => team.files.note("schedule", name, outcome, text);
  const timezone = schedule.time_zone ?? "UTC";
  if (schedule.ical_url_overrides !== null)
    note("not taken", "Its calendar of overrides; enter those to come as overrides");
  const old = renderingOf(schedule, nameOf);
  project.needs(old.flatMap(({ users }) => users.filter((user) => isKnown(schedule, user, nameOf))));
  if (schedule.type === "ical") return addCalendar(team, project, schedule, { name, old });

  const ids = new Set(schedule.shifts ?? []);
  // Overrides of the web page are not among the shifts of a schedule of another type.
  const own = all.filter(({ id, type, schedule: of }) => ids.has(id) || (type === "override" && of === schedule.id));
  const listed = own.filter(({ id }) => ids.has(id)).length;
  if (listed < ids.size) note("not taken", `${countText(ids.size - listed, "shift")} that OnCall does not list`);
  for (const shift of own) noteShift(shift, nameOf, note);
  const people = own.flatMap(({ users, rolling_users }) => [users ?? [], rolling_users ?? []].flat(2));
  const hasSilent = people.some((id) => nameOf(id) !== undefined && !isNotified(id));
  if (hasSilent) note("changed", "Viewers in its shifts, whom OnCall does not notify, are left out where OnCall does");
  const notified: NameOf = (id) => (isNotified(id) ? nameOf(id) : undefined);

  const known = swapsOf(swaps, { id: schedule.id, nameOf, now }, note);
  const takenSwaps = known.flatMap(({ user, takenBy, ...span }): FileOverride[] =>
    takenBy === undefined ? [] : [{ ...span, users: [takenBy], replaces: user, isSwap: true }],
  );
  const changes = [...overridesOf(own, nameOf), ...takenSwaps];
  const readers = hasSilent ? [notified, nameOf] : [nameOf];
  const taken = team.addSchedule(project, {
    ...{ name, timezone, old, overrides: () => changes, isAccepted: hasLocalTimes },
    forms: (free) => formsOf(schedule, own, { name: free, readers, now, hasLocalTimes }),
    calendar: () =>
      team.files.toFill(`The iCal export link of ${name} in OnCall: Schedule, Export`, "calendar", project.slug, name),
  });
  for (const { start, end, user, takenBy } of known) {
    if (takenBy !== undefined) continue;
    project.needs([user]);
    team.add(project, "swaps", { schedule: taken.name, start: toRfc3339(start), end: toRfc3339(end), user });
  }
  const isUtc = timezone !== "UTC" && taken.exact?.shifts.some((shift) => shift.timezone === "UTC" && shift.recurrence);
  if (isUtc)
    note(
      "changed",
      `Its shifts run in UTC, as in OnCall: they begin an hour later or earlier by the clocks of ${timezone} after ` +
        `each change of the clocks. --local-times ${JSON.stringify(name)} writes them in that zone`,
    );
  return taken;
}

function addCalendar(
  { files }: TeamFiles,
  project: TeamProject,
  { ical_url_primary: url, time_zone }: OldSchedule,
  { name, old }: { readonly name: string; readonly old: OldRendering },
): TakenSchedule {
  const own = project.nameFor("oncall", name);
  if (url === null) files.note("schedule", name, "not taken", "It has no calendar: it is empty");
  else
    files.note(
      ...(["schedule", name, "changed"] as const),
      "It follows its calendar as before; people are found by username, name or verified address",
    );
  const calendarUrl = url === null ? {} : { calendarUrl: files.secret(url, "calendar", project.slug, name) };
  project.lists.oncall.push({ name: own, timezone: time_zone ?? "UTC", ...calendarUrl });
  files.count("schedules");
  return { project, name: own, old, exact: null, unlike: [] };
}

function noteShift(shift: OldShift, nameOf: NameOf, note: (outcome: "not taken" | "changed", text: string) => void) {
  const name = `The shift ${shift.name ?? shift.id}`;
  const people = [...(shift.users ?? []), ...(shift.rolling_users ?? []).flat()];
  const gone = people.filter((id) => nameOf(id) === undefined).length;
  const why = unwritable(shift) ?? (gone === people.length ? "it has nobody whom OnCall lists" : null);
  if (why !== null) note("not taken", `${name}: ${why}`);
  else if (gone > 0)
    note("changed", `${name} has people whom OnCall does not list any more: their turns are of nobody, as there`);
  if ((shift.level ?? 0) > 9 && shift.type !== "override")
    note("changed", `${name} has the level ${shift.level}; it is written with 9, the highest`);
}

function isKnown({ final }: OldSchedule, user: string, nameOf: NameOf): boolean {
  return final.some(({ user_pk }) => nameOf(user_pk) === user);
}

function renderingOf({ final }: OldSchedule, nameOf: NameOf): OldRendering {
  return final.map(({ user_pk, user_username, shift_start, shift_end }) => ({
    ...{ start: shift_start, end: shift_end },
    // Who is not known differs from everyone in the files.
    users: [nameOf(user_pk) ?? `${user_username ?? user_pk}, whom OnCall does not list`],
  }));
}

interface FormOptions {
  readonly name: string;
  readonly readers: readonly NameOf[];
  readonly now: EpochMs;
  readonly hasLocalTimes: boolean;
}

/** In the order in which they are tried; that of OnCall's code first. */
function* formsOf(
  schedule: OldSchedule,
  shifts: readonly OldShift[],
  { name, readers, now, hasLocalTimes }: FormOptions,
): Generator<ScheduleForm, undefined> {
  const timezone = schedule.time_zone ?? "UTC";
  const isPage = schedule.type === "web";
  const tried = new Set<string>();
  // Shifts without a zone are in UTC in a schedule of the web page, else in that of the schedule.
  for (const zone of isPage ? ["UTC", timezone] : [timezone, "UTC"])
    for (const endsByClock of [false, true])
      for (const isWeb of [isPage, !isPage])
        for (const nameOf of readers) {
          const names = new Set<string>();
          const made = shifts.flatMap((shift) => {
            const reading: ShiftReading = { zone: shift.time_zone ?? zone, isWeb, endsByClock, now };
            return shift.type === "override" ? [] : fileShifts(shift, reading, nameOf);
          });
          const named = made.map((shift): FileShift => {
            const local = hasLocalTimes ? inZone(shift, timezone, now) : shift;
            const { timezone: own, ...rest } = { ...local, name: free(local.name.slice(0, 90), names) };
            return own === undefined || own === timezone ? rest : { ...rest, timezone: own };
          });
          const key = JSON.stringify(named);
          if (tried.has(key)) continue;
          tried.add(key);
          const form = hasLocalTimes ? `local times, ${timezone}` : `exact, ${zone}`;
          yield { form, schedule: { name, timezone, shifts: named } };
        }
}

/** A shift of UTC by the clocks of the schedule, as they are now. */
function inZone(shift: FileShift, timezone: string, now: EpochMs): FileShift {
  const moved = shift.timezone === "UTC" && shift.recurrence ? movedBy(shift, zoneOffsetMs(timezone, now)) : null;
  return moved ? { ...moved, timezone } : shift;
}

function overridesOf(shifts: readonly OldShift[], nameOf: NameOf): FileOverride[] {
  return shifts.flatMap(({ type, start: wall, duration, time_zone, users, rolling_users }) => {
    if (type !== "override") return [];
    const start = instantOf(Date.parse(`${wall}Z`), time_zone ?? "UTC");
    const ids = users?.length ? users : (rolling_users ?? []).flat();
    const names = [...new Set(ids.flatMap((id) => nameOf(id) ?? []))];
    return names.length > 0 ? [{ start, end: start + duration * 1000, users: names }] : [];
  });
}

/** Those that are not over; `takenBy` is undefined: it is open. */
function swapsOf(
  swaps: GrafanaOnCall["swaps"],
  { id, nameOf, now }: { readonly id: string; readonly nameOf: NameOf; readonly now: EpochMs },
  note: (outcome: "not taken", text: string) => void,
) {
  return swaps.flatMap(({ schedule, swap_start: start, swap_end: end, beneficiary, benefactor }) => {
    if (schedule !== id || end <= now || end <= start) return [];
    const [user, takenBy] = [nameOf(beneficiary), benefactor === null ? undefined : nameOf(benefactor)];
    if (user !== undefined && (benefactor === null || takenBy !== undefined)) return [{ start, end, user, takenBy }];
    note("not taken", `The swap from ${toRfc3339(start)} to ${toRfc3339(end)}: OnCall does not list one of both`);
    return [];
  });
}
