import { ArrowDown, ArrowUp, Plus, X } from "lucide";
import { useState } from "preact/hooks";
import type { OnCallSchedule, OnCallShift, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { controlsOf } from "../../app/controls.ts";
import { memberFinder } from "../../app/members.ts";
import { ZONES } from "../../app/zones.ts";
import {
  Button,
  Checkbox,
  Combobox,
  DateTimeInput,
  Dialog,
  displayZone,
  Field,
  fromWallClock,
  IconButton,
  Input,
  MultiCombobox,
  RadioGroup,
  Select,
  toWallClock,
} from "../../ui/index.ts";
import { dateOf, nextMonday } from "./calendar-time.ts";
import { type Frequency, nameOf, type Recurrence, schedulePath, type Warned, WEEKDAYS } from "./oncall-types.ts";
import { showSaved } from "./saved.ts";

const HOUR_MS = 3_600_000;
const UNIT_MS = { hourly: HOUR_MS, daily: 24 * HOUR_MS, weekly: 168 * HOUR_MS, monthly: 0 } as const;
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

interface Draft {
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
function emptyDraft({ timezone }: OnCallSchedule): Draft {
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

function draftOf(shift: OnCallShift): Draft {
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
function bodyOf(draft: Draft, known: Recurrence | null | undefined) {
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

interface Props {
  readonly schedule: OnCallSchedule;
  /** Undefined: a new one. */
  readonly known?: OnCallShift;
  readonly people: readonly OnCallUser[];
}

/** People, turn length, start, days, hours, zone and level of a rotation. */
export function ShiftDialog({ schedule, known, people }: Props) {
  const [draft, setDraft] = useState<Draft>(() => (known ? draftOf(known) : emptyDraft(schedule)));
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
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
          <Field label="Name" optional>
            <Input {...bind("name")} maxLength={100} placeholder="Weeks" />
          </Field>
          <div class="grid2">
            <Field label="A turn lasts" required>
              <Input type="number" min={1} max={1000} {...bind("interval")} disabled={frequency === "once"} />
            </Field>
            <Field label="Unit">
              <Select
                value={frequency}
                onChange={(value) => set({ frequency: value as Draft["frequency"] })}
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

const DAY_LABELS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function Days({
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
  readonly draft: Draft;
  readonly set: (change: Partial<Draft>) => void;
}

/** The users in their order; those of one turn are on call together. */
function Turns({ schedule, people, draft: { turns, startTurn }, set }: TurnsProps) {
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
