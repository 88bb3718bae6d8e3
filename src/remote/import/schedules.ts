import { yamlText } from "../../config/files/yaml-text.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { EnvReference, ImportedFiles } from "./files.ts";
import {
  bestForm,
  type FileOverride,
  type FileSchedule,
  type FileShift,
  type OldRendering,
  type ScheduleForm,
  scheduleDocument,
} from "./proof.ts";
import { type OldRotation, rotationShifts } from "./windows.ts";

/* Schedules of rotations. One is written exactly if the proof finds no difference, else it follows the old system's calendar. */

/** With the shifts of each rotation. */
export interface RotationForm extends ScheduleForm {
  readonly byRotation: readonly (readonly FileShift[])[];
}

/** The ways in which rotations may be meant: the old systems document them only in part. */
export function rotationForms(
  name: string,
  rotations: readonly OldRotation[],
  { timezone, now }: { readonly timezone: string; readonly now: EpochMs },
): RotationForm[] {
  const by = (zone: string, isCut: boolean) => (rotation: OldRotation) =>
    rotationShifts(rotation, { timezone: zone, now, isCut });
  const inUtc = (rotation: OldRotation) =>
    rotation.windows.length > 0
      ? by(timezone, true)(rotation)
      : (by("UTC", true)(rotation)?.map((shift) => ({ ...shift, timezone: "UTC" })) ?? null);
  const ways: readonly (readonly [string, (rotation: OldRotation) => FileShift[] | null])[] = [
    ["exact", by(timezone, true)],
    ["hand-overs at the end of a window", by(timezone, false)],
    ["hand-overs in UTC", inUtc],
  ];
  return ways.flatMap(([form, shiftsOf]) => {
    const all = rotations.map((rotation, at) => shiftsOf({ ...rotation, name: uniqueName(rotations, at) }));
    const byRotation = all.filter((each) => each !== null);
    const schedule = { name, timezone, shifts: byRotation.flat() };
    return byRotation.length < all.length ? [] : [{ form, schedule, byRotation }];
  });
}

function uniqueName(rotations: readonly OldRotation[], at: number): string {
  const { name = "" } = rotations[at] ?? {};
  return rotations.findIndex((each) => each.name === name) === at ? name : `${name} (${at + 1})`;
}

export interface ScheduleToProve<F extends ScheduleForm> {
  readonly name: string;
  readonly timezone: string;
  /** Null: the old system does not show it. */
  readonly old: OldRendering | null;
  /** The first one without a difference counts. */
  readonly forms: Iterable<F>;
  /** For each form, as what is replaced may depend on it. */
  readonly overrides: (form: F) => readonly FileOverride[];
  /** The address of the old system's calendar. */
  readonly calendar: () => EnvReference;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly isAccepted: boolean;
}

export interface ProvenSchedule {
  readonly document: object;
  /** The exact form of a schedule that follows. */
  readonly comments: readonly string[];
  /** Null: it follows the calendar of the old system. */
  readonly exact: FileSchedule | null;
  readonly overrides: readonly FileOverride[];
  /** Accepted ones. */
  readonly differences: readonly { readonly start: EpochMs; readonly end: EpochMs }[];
}

export function provenSchedule<F extends ScheduleForm>(
  files: ImportedFiles,
  given: ScheduleToProve<F>,
): ProvenSchedule {
  const { name, timezone, old, forms, from, to, isAccepted } = given;
  const best = bestForm(old ?? [], forms, given.overrides, { from, to });
  const isSame = old !== null && best !== null && best.differences.length === 0;
  if (best && (isSame || isAccepted)) {
    const { boundaries, differences, schedule, overrides } = best;
    const form = isSame || old === null ? best.form : `${best.form}, accepted`;
    if (old !== null) files.proofs.push({ name, form, boundaries, differences });
    else files.note("schedule", name, "to do", "was written without a comparison, as the old system shows none");
    const spans = differences.map(({ start, end }) => ({ start: Date.parse(start), end: Date.parse(end) }));
    return { document: scheduleDocument(schedule), comments: [], exact: schedule, overrides, differences: spans };
  }
  if (old === null)
    files.note("schedule", name, "not taken", "cannot be compared; it follows the calendar of the old system");
  else if (best)
    files.proofs.push({ name, form: "follow", boundaries: best.boundaries, differences: best.differences });
  else
    files.note(
      "schedule",
      name,
      "not taken",
      "has rotations of other forms; it follows the calendar of the old system",
    );
  files.note("schedule", name, "to do", "replace calendarUrl by shifts before the old system ends");
  const exact =
    best === null
      ? []
      : yamlText([scheduleDocument(best.schedule)])
          .trimEnd()
          .split("\n");
  return {
    document: { name, timezone, calendarUrl: given.calendar() },
    comments: best === null ? [] : ["", `The exact form of ${name}, for --accept:`, ...exact],
    exact: null,
    ...{ overrides: [], differences: [] },
  };
}
