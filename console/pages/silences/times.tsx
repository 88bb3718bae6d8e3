import type { Silence } from "../../../src/client/api-types.gen.ts";
import { controlsOf } from "../../app/controls.ts";
import { me } from "../../app/session.ts";
import { ZONES } from "../../app/zones.ts";
import {
  Combobox,
  choices,
  DateTimeInput,
  displayZone,
  Field,
  Input,
  Segmented,
  Select,
  Switch,
} from "../../ui/index.ts";
import { HOUR, MINUTE, type SilenceRecurrence, tomorrowAtNine } from "./silence-types.ts";

/** The times of the form. */
export interface Times {
  readonly isRecurring: boolean;
  /** A key of {@link LENGTHS}, `morning`, or `custom`: {@link endsAt}. */
  readonly length: string;
  /** "": now. */
  readonly startsAt: string;
  readonly endsAt: string;
  readonly recurrence: SilenceRecurrence;
}

const LENGTHS: Readonly<Record<string, number>> = {
  "30m": 30 * MINUTE,
  "1h": HOUR,
  "2h": 2 * HOUR,
  "4h": 4 * HOUR,
  "8h": 8 * HOUR,
};
const CHOICES = [
  { value: "30m", label: "30 min" },
  { value: "1h", label: "1 h" },
  { value: "2h", label: "2 h" },
  { value: "4h", label: "4 h" },
  { value: "8h", label: "8 h" },
  { value: "morning", label: "Tomorrow 9:00" },
  { value: "custom", label: "Other" },
];
const PATTERNS = [
  { value: "0 22 * * *", label: "Every day at 22:00" },
  { value: "0 22 * * 1-5", label: "Monday to Friday at 22:00" },
  { value: "0 22 * * 6", label: "Saturdays at 22:00" },
  { value: "0 3 * * 0", label: "Sundays at 3:00" },
  { value: "0 3 1 * *", label: "On the first of the month at 3:00" },
];

/** @param length a choice from the address, such as `1h` */
export function timesOf(silence?: Silence, length = ""): Times {
  const zone = me.value?.timezone ?? displayZone.value;
  return {
    isRecurring: silence?.recurrence != null,
    length: silence ? "custom" : CHOICES.some(({ value }) => value === length) ? length : "1h",
    startsAt: silence && silence.state === "pending" && !silence.recurrence ? silence.startsAt : "",
    endsAt: silence?.endsAt ?? "",
    recurrence: silence?.recurrence ?? { cron: "0 22 * * 6", durationMs: 4 * HOUR, timezone: zone },
  };
}

/** The members of a request. @returns undefined while they are not complete */
export function timesBody(times: Times, silence?: Silence): Readonly<Record<string, unknown>> | undefined {
  const { isRecurring, length, startsAt, endsAt, recurrence } = times;
  const start = startsAt === "" ? {} : { startsAt };
  // An active silence keeps its start; its end counts from now.
  const from = startsAt === "" ? Date.now() : Date.parse(startsAt);
  if (isRecurring) {
    if (recurrence.cron.trim() === "" || !hasEnd(recurrence)) return undefined;
    return { recurrence, ...start, ...(endsAt === "" ? (silence ? { endsAt: null } : {}) : { endsAt }) };
  }
  const once = silence?.recurrence ? { recurrence: null, kind: "silence" } : {};
  if (length === "morning") return { ...once, ...start, endsAt: tomorrowAtNine(displayZone.value) };
  const ms = LENGTHS[length];
  if (ms === undefined) return endsAt === "" ? undefined : { ...once, ...start, endsAt };
  // Whole minutes, so that the preview is not requested at each render.
  if (silence) return { ...once, ...start, endsAt: new Date(Math.ceil((from + ms) / MINUTE) * MINUTE).toISOString() };
  return { ...start, durationMs: ms };
}

function hasEnd({ durationMs = 0, until }: SilenceRecurrence): boolean {
  return until === undefined ? durationMs >= MINUTE : until !== "";
}

interface Props {
  readonly times: Times;
  readonly onChange: (times: Times) => void;
}

export function TimesFields({ times, onChange }: Props) {
  const change = (part: Partial<Times>) => onChange({ ...times, ...part });
  const { bind } = controlsOf(times, change);
  return (
    <div class="stack">
      <Segmented
        label="Occurrence"
        value={times.isRecurring ? "recurring" : "once"}
        onChange={(value) => change({ isRecurring: value === "recurring" })}
        options={choices({ once: "Once", recurring: "Recurring maintenance" })}
      />
      {times.isRecurring ? (
        <Windows rule={times.recurrence} onChange={(recurrence) => change({ recurrence })} />
      ) : (
        <>
          <div class="silence-length">
            <Segmented label="Length" {...bind("length")} options={CHOICES} />
          </div>
          {times.length === "custom" && (
            <Field label="End" required>
              <DateTimeInput {...bind("endsAt")} />
            </Field>
          )}
        </>
      )}
      <Switch
        checked={times.startsAt !== ""}
        onChange={(isLater) => change({ startsAt: isLater ? new Date(Date.now() + HOUR).toISOString() : "" })}
        label="Start later"
      />
      {times.startsAt !== "" && (
        <Field label={times.isRecurring ? "No window before" : "Start"}>
          <DateTimeInput {...bind("startsAt")} />
        </Field>
      )}
      {times.isRecurring && (
        <Field label="No window after" optional>
          <DateTimeInput {...bind("endsAt")} />
        </Field>
      )}
    </div>
  );
}

function Windows({
  rule,
  onChange,
}: {
  readonly rule: SilenceRecurrence;
  readonly onChange: (rule: SilenceRecurrence) => void;
}) {
  const change = (part: Partial<SilenceRecurrence>) => onChange({ ...rule, ...part });
  const { bind } = controlsOf(rule, change);
  const isKnown = PATTERNS.some(({ value }) => value === rule.cron);
  const { until, durationMs = 0, ...start } = rule;
  return (
    <>
      <Field label="Windows start">
        <Select
          value={isKnown ? rule.cron : ""}
          onChange={(cron) => cron !== "" && change({ cron })}
          options={PATTERNS}
          placeholder="By the pattern below"
        />
      </Field>
      <Segmented
        label="Windows end"
        value={until === undefined ? "length" : "clock"}
        onChange={(value) =>
          onChange(value === "clock" ? { ...start, until: "06:00" } : { ...start, durationMs: 4 * HOUR })
        }
        options={choices({ length: "After a length", clock: "At a time of day" })}
      />
      <div class="grid3">
        <Field label="Cron pattern" hint="Minute, hour, day, month, weekday." required>
          <Input {...bind("cron")} mono maxLength={100} />
        </Field>
        {until === undefined ? (
          <Field label="Length" required hint="24 hours are a day, also when clocks change.">
            <Input
              type="number"
              min={0.25}
              step={0.25}
              value={String(durationMs / HOUR)}
              onChange={(text) => change({ durationMs: Math.round(Number(text) * HOUR) })}
              suffix="hours"
            />
          </Field>
        ) : (
          <Field label="Until" required>
            <Input type="time" value={until} onChange={(text) => change({ until: text })} />
          </Field>
        )}
        <Field label="Time zone" required>
          <Combobox {...bind("timezone")} options={ZONES} />
        </Field>
      </div>
    </>
  );
}
