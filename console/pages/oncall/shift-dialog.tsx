import { useState } from "preact/hooks";
import type { CreateOnCallShift, OnCallSchedule, OnCallShift, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { controlsOf } from "../../app/controls.ts";
import { ZONES } from "../../app/zones.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { onCallShift } from "../../forms/on-call-shift.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { Combobox, DateTimeInput, Dialog, displayZone, Field, Input, RadioGroup, Select } from "../../ui/index.ts";
import { schedulePath, type Warned } from "./oncall-types.ts";
import { showSaved } from "./saved.ts";
import { bodyOf, draftOf, emptyDraft, type ShiftDraft } from "./shift-draft.ts";
import { Days, Turns } from "./shift-turns.tsx";

type Named = Pick<CreateOnCallShift, "name">;

const NAME: readonly FieldOf<Named>[] = [{ name: "name", hint: "", placeholder: "Weeks" }];
const FREQUENCIES = [
  { value: "once", label: "no turns: happens once" },
  { value: "hourly", label: "hours" },
  { value: "daily", label: "days" },
  { value: "weekly", label: "weeks" },
  { value: "monthly", label: "months" },
];
const LEVELS = Array.from({ length: 10 }, (_, level) => ({
  value: String(level),
  label: level === 0 ? "0 (lowest)" : String(level),
}));
const COVERAGE = [
  { value: "all", label: "Around the clock", hint: "until the next turn starts" },
  { value: "hours", label: "Some hours", hint: "on chosen days" },
];

interface Props {
  readonly schedule: OnCallSchedule;
  /** Undefined: a new one. */
  readonly known?: OnCallShift;
  readonly people: readonly OnCallUser[];
}

/** People, turn length, start, days, hours, zone and level of a rotation. */
export function ShiftDialog({ schedule, known, people }: Props) {
  const [draft, setDraft] = useState<ShiftDraft>(() => (known ? draftOf(known) : emptyDraft(schedule)));
  const set = (change: Partial<ShiftDraft>) => setDraft({ ...draft, ...change });
  const { bind } = controlsOf(draft, set);
  const save = async () => {
    const path = `${schedulePath(schedule.id)}/shifts`;
    const body = bodyOf(draft, known?.recurrence);
    const saved = known ? await api.put<Warned>(`${path}/${known.id}`, body) : await api.post<Warned>(path, body);
    showSaved("Rotation saved. It is in effect from now on.", saved);
  };
  const { frequency } = draft;
  const hasHours = draft.coverage === "hours" || frequency === "once" || frequency === "monthly";
  return (
    <Dialog
      title={known ? `Change ${known.name || "the shift"}` : "New rotation"}
      subtitle={known ? "The past stays as it was." : undefined}
      size="lg"
      onSubmit={save}
      action="Save rotation"
      blocked={draft.turns.flat().length === 0}
    >
      <div class="two">
        <div class="stack">
          <Fields of={editedOf<Named>(onCallShift, { name: draft.name }, set)} show={NAME} />
          <div class="grid2">
            <Field label="A turn lasts" required>
              <Input type="number" min={1} max={1000} {...bind("interval")} disabled={frequency === "once"} />
            </Field>
            <Field label="Unit">
              <Select
                value={frequency}
                onChange={(value) => set({ frequency: value as ShiftDraft["frequency"] })}
                options={FREQUENCIES}
              />
            </Field>
          </div>
          <Field label="First start" required>
            <DateTimeInput {...bind("start")} zone={draft.timezone} />
          </Field>
          {frequency !== "once" && frequency !== "monthly" && (
            <RadioGroup label="Covers" {...bind("coverage")} options={COVERAGE} />
          )}
          {hasHours && (
            <Field label="Hours of each shift" hint="From the start time; 24 is a day of the calendar." required>
              <Input type="number" min={0.25} max={8784} step={0.25} {...bind("hours")} />
            </Field>
          )}
          {hasHours && (frequency === "daily" || frequency === "weekly") && (
            <Days days={draft.days} onChange={(days) => set({ days })} />
          )}
        </div>
        <div class="stack">
          <Turns schedule={schedule} people={people} draft={draft} set={set} />
          <Field label="Level" hint="Higher levels win.">
            <Select {...bind("level")} options={LEVELS} />
          </Field>
          <Field
            label="Time zone"
            hint={draft.timezone === displayZone.value ? undefined : `Yours is ${displayZone.value}.`}
          >
            <Combobox {...bind("timezone")} options={ZONES} />
          </Field>
          {frequency !== "once" && (
            <Field label="Last start" optional>
              <DateTimeInput {...bind("until")} zone={draft.timezone} />
            </Field>
          )}
        </div>
      </div>
    </Dialog>
  );
}
