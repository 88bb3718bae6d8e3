import { Fields } from "../../forms/fields.tsx";
import { silence } from "../../forms/silence.gen.ts";
import { editedOf, partOf } from "../../forms/use-resource.ts";
import { ClockInput, choices, Field, Input, Segmented, Select } from "../../ui/index.ts";
import { HOUR, type SilenceRecurrence } from "./silence-types.ts";

const PATTERNS = [
  { value: "0 22 * * *", label: "Every day at 22:00" },
  { value: "0 22 * * 1-5", label: "Monday to Friday at 22:00" },
  { value: "0 22 * * 6", label: "Saturdays at 22:00" },
  { value: "0 3 * * 0", label: "Sundays at 3:00" },
  { value: "0 3 1 * *", label: "On the first of the month at 3:00" },
];

const CRON = { name: "cron", label: "Cron pattern", hint: "Minute, hour, day, month, weekday.", mono: true } as const;

interface Props {
  readonly rule: SilenceRecurrence;
  readonly onChange: (rule: SilenceRecurrence) => void;
}

/** When the windows of a maintenance start and end. */
export function Windows({ rule, onChange }: Props) {
  const change = (part: Partial<SilenceRecurrence>) => onChange({ ...rule, ...part });
  const edited = partOf(
    editedOf(silence, { recurrence: rule }, ({ recurrence }) => recurrence && onChange(recurrence)),
    "recurrence",
  );
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
        <Fields of={edited} show={[CRON]} />
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
            <ClockInput value={until} onChange={(text) => change({ until: text })} />
          </Field>
        )}
        <Fields of={edited} show={[{ name: "timezone", hint: "" }]} />
      </div>
    </>
  );
}
