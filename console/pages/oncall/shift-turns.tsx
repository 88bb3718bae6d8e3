import { ArrowDown, ArrowUp, Plus, X } from "lucide";
import type { OnCallSchedule, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { memberFinder } from "../../app/members.ts";
import { Button, Checkbox, Field, IconButton, MultiCombobox, Select } from "../../ui/index.ts";
import { nameOf, WEEKDAYS } from "./oncall-types.ts";
import type { ShiftDraft } from "./shift-draft.ts";

const DAY_LABELS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

export function Days({
  days,
  onChange,
}: {
  readonly days: readonly string[];
  readonly onChange: (days: readonly string[]) => void;
}) {
  const toggle = (day: string, isOn: boolean) =>
    onChange(
      isOn ? WEEKDAYS.filter((each) => each === day || days.includes(each)) : days.filter((each) => each !== day),
    );
  return (
    <fieldset class="stack s2">
      <legend class="small">Days (none: all)</legend>
      <div class="oc-days">
        {WEEKDAYS.map((day, at) => (
          <Checkbox
            key={day}
            label={DAY_LABELS[at] ?? day}
            checked={days.includes(day)}
            onChange={(isOn) => toggle(day, isOn)}
          />
        ))}
      </div>
    </fieldset>
  );
}

interface TurnsProps {
  readonly schedule: OnCallSchedule;
  readonly people: readonly OnCallUser[];
  readonly draft: ShiftDraft;
  readonly set: (change: Partial<ShiftDraft>) => void;
}

/** The users in their order; those of one turn are on call together. */
export function Turns({ schedule, people, draft: { turns, startTurn }, set }: TurnsProps) {
  const options = people.map((person) => ({ value: person.id, label: nameOf(person) }));
  const replace = (at: number, ...next: (readonly string[])[]) => set({ turns: turns.toSpliced(at, 1, ...next) });
  const move = (at: number, by: number) => {
    const next = [...turns];
    next.splice(at + by, 0, ...next.splice(at, 1));
    set({ turns: next });
  };
  return (
    <div class="section">
      <h3>Turns</h3>
      {turns.map((users, at) => (
        <div class="oc-turn" key={`${at} of ${turns.length}`}>
          <span class="muted num">{at + 1}</span>
          <MultiCombobox
            values={users}
            onChange={(next) => replace(at, next)}
            options={options}
            load={memberFinder(schedule.projectId)}
            label={`Users of turn ${at + 1}`}
            placeholder="Name"
          />
          <span class="inline">
            <IconButton small icon={ArrowUp} label="Earlier" disabled={at === 0} onClick={() => move(at, -1)} />
            <IconButton
              small
              icon={ArrowDown}
              label="Later"
              disabled={at === turns.length - 1}
              onClick={() => move(at, 1)}
            />
            <IconButton
              small
              icon={X}
              label="Remove the turn"
              disabled={turns.length === 1}
              onClick={() => replace(at)}
            />
          </span>
        </div>
      ))}
      <div>
        <Button small icon={Plus} onClick={() => set({ turns: [...turns, []] })}>
          Add a turn
        </Button>
      </div>
      {turns.length > 1 && (
        <Field label="Starts with">
          <Select
            value={String(Math.min(startTurn, turns.length - 1))}
            onChange={(value) => set({ startTurn: Number(value) })}
            options={turns.map((_, at) => ({ value: String(at), label: `Turn ${at + 1}` }))}
          />
        </Field>
      )}
    </div>
  );
}
