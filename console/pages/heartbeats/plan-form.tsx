import type { CreateHeartbeat, PreviewHeartbeatPlan, UpdateHeartbeat } from "../../../src/client/api-types.gen.ts";
import { errorText } from "../../app/api.ts";
import { usePreview } from "../../app/preview.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import type { Edited } from "../../forms/use-resource.ts";
import { choices, formatDuration, formatInstant, Segmented, Select, Time } from "../../ui/index.ts";

const KINDS = choices({ simple: "Simple", cron: "Cron", oncalendar: "OnCalendar" });
const MINUTE_MS = 60_000;
const PERIODS = [1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10_080, 43_200].map((minutes) => minutes * MINUTE_MS);
const STARTS = { cron: "30 2 * * *", oncalendar: "Mon..Fri 08:00" } as const;

export type HeartbeatBody = CreateHeartbeat & UpdateHeartbeat;
type Field = FieldOf<HeartbeatBody>;

export const FED_BY: Field = {
  name: "fedBy",
  label: "Fed by an alert",
  placeholder: 'alertname="Watchdog"',
  mono: true,
};

const EVERY: Field = {
  name: "timeoutMs",
  label: "A ping at least every",
  as: (value = 0, change) => <Period value={value} onChange={change} />,
};
const SCHEDULES: Readonly<Record<"cron" | "oncalendar", Field>> = {
  cron: { name: "schedule", label: "Cron pattern", hint: "Minute, hour, day, month, weekday.", mono: true },
  oncalendar: {
    name: "schedule",
    label: "Calendar events",
    hint: "As OnCalendar= of systemd, one per line.",
    rows: 2,
    mono: true,
  },
};
const GRACE: Field = {
  name: "graceMs",
  label: "Grace time",
  as: (value = 0, change) => <Period value={value} onChange={change} />,
};

function Period({ value, onChange }: { readonly value: number; readonly onChange: (ms: number) => void }) {
  const periods = PERIODS.includes(value) ? PERIODS : [...PERIODS, value].sort((a, b) => a - b);
  return (
    <Select
      value={String(value)}
      onChange={(ms) => onChange(Number(ms))}
      options={periods.map((ms) => ({ value: String(ms), label: formatDuration(ms) }))}
    />
  );
}

interface Props {
  readonly of: Edited<HeartbeatBody>;
  readonly projectId: string | undefined;
  /** The time zone of a schedule, in place of the known one. */
  readonly zone?: string;
}

/** Simple, cron or calendar events of systemd, with the next due times. */
export function PlanForm({ of, projectId, zone }: Props) {
  const { kind = "simple", timeoutMs = 0, graceMs = 0, schedule, timezone = "" } = of.values;
  const choose = (value: string) => {
    const next = value as typeof kind;
    if (next === "simple") of.change({ kind: next, schedule: null });
    else of.change({ kind: next, schedule: STARTS[next], ...(kind === "simple" && zone ? { timezone: zone } : {}) });
  };
  return (
    <div class="stack">
      <Segmented label="Plan" value={kind} onChange={choose} options={KINDS} />
      <Fields of={of} show={kind === "simple" ? [EVERY, GRACE] : [SCHEDULES[kind], "timezone", GRACE]} />
      {kind === "simple" ? (
        <p class="muted small">{`It goes down ${formatDuration(timeoutMs + graceMs)} after the last ping.`}</p>
      ) : (
        <DueTimes plan={{ kind, schedule: schedule ?? "", timezone, ...(projectId && { projectId }) }} />
      )}
    </div>
  );
}

/** The next times of a schedule while it is typed. */
function DueTimes({ plan }: { readonly plan: PreviewHeartbeatPlan }) {
  const body = plan.schedule.trim() === "" ? null : plan;
  const { data, error } = usePreview<{ times: readonly string[] }>("/heartbeats/preview", body, "keep");
  return (
    <section class="section" aria-live="polite">
      <h3>Next due times</h3>
      {error !== undefined ? (
        <p class="text-bad">{errorText(error)}</p>
      ) : (
        <ol class="stack s2 plain-list">
          {data?.times.map((at) => (
            <li key={at} class="spread">
              <span class="num">{formatInstant(at, "full", plan.timezone)}</span>
              <span class="muted small">
                <Time at={at} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
