import { yamlText } from "../../config/files/yaml-text.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { EnvReference, ImportedFiles } from "./files.ts";
import {
  bestForm,
  type FileOverride,
  type FileSchedule,
  type OldRendering,
  type ScheduleForm,
  scheduleDocument,
} from "./proof.ts";

/* A schedule is written exactly if the proof finds no difference, else it follows the old system's calendar. */

export interface ScheduleToProve {
  readonly name: string;
  readonly timezone: string;
  /** Null: the old system does not show it. */
  readonly old: OldRendering | null;
  /** The first one without a difference counts. */
  readonly forms: readonly ScheduleForm[];
  /** For each form, as what is replaced may depend on it. */
  readonly overrides: (schedule: FileSchedule) => readonly FileOverride[];
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
}

export function provenSchedule(files: ImportedFiles, given: ScheduleToProve): ProvenSchedule {
  const { name, timezone, old, forms, from, to, isAccepted } = given;
  const compared = forms.flatMap((form) => {
    const overrides = given.overrides(form.schedule);
    const best = bestForm(old ?? [], [form], overrides, { from, to });
    return best ? [{ ...best, overrides, lost: lostMs(best.differences) }] : [];
  });
  const best = compared.reduce<(typeof compared)[number] | null>((a, b) => (!a || b.lost < a.lost ? b : a), null);
  const isSame = old !== null && best !== null && best.differences.length === 0;
  if (best && (isSame || isAccepted)) {
    const { form, boundaries, differences, schedule, overrides } = best;
    if (old !== null) files.proofs.push({ name, form, boundaries, differences });
    else files.note("schedule", name, "to do", "was written without a comparison, as the old system shows none");
    return { document: scheduleDocument(schedule), comments: [], exact: schedule, overrides };
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
    overrides: [],
  };
}

function lostMs(differences: readonly { readonly start: string; readonly end: string }[]): number {
  return differences.reduce((sum, { start, end }) => sum + Date.parse(end) - Date.parse(start), 0);
}
