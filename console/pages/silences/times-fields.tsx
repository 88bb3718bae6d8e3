import { controlsOf } from "../../app/controls.ts";
import { choices, DateTimeInput, Field, Segmented, Switch } from "../../ui/index.ts";
import { HOUR } from "./silence-types.ts";
import { CHOICES, type Times } from "./times.ts";
import { Windows } from "./windows.tsx";

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
