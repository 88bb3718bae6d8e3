import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { errorText } from "../../app/api.ts";
import { usePreview } from "../../app/preview.ts";
import { ZONES } from "../../app/zones.ts";
import {
  Combobox,
  choices,
  Field,
  formatDuration,
  formatInstant,
  Input,
  Segmented,
  Select,
  Textarea,
  Time,
} from "../../ui/index.ts";

const KINDS = choices({ simple: "Simple", cron: "Cron", oncalendar: "OnCalendar" });
const MINUTE_MS = 60_000;
const PERIODS = [1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10_080, 43_200].map((minutes) => minutes * MINUTE_MS);
const STARTS = { cron: "30 2 * * *", oncalendar: "Mon..Fri 08:00" } as const;

/** When a heartbeat expects pings, as it is edited. */
export interface Plan {
  readonly kind: Heartbeat["kind"];
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly schedule: string;
  readonly timezone: string;
}

/** The members of a request for a plan. */
export function planBody({ kind, timeoutMs, graceMs, schedule, timezone }: Plan) {
  return kind === "simple" ? { kind, timeoutMs, graceMs, schedule: null } : { kind, graceMs, schedule, timezone };
}

const FED_PLAN = { kind: "simple", timeoutMs: 5 * MINUTE_MS, graceMs: MINUTE_MS } as const;

interface FedByProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** The matchers of alerts whose reports count as pings. */
export function FedByField({ value, onChange }: FedByProps) {
  return (
    <Field
      label="Fed by an alert"
      hint="Matchers of an alert that always fires. Each report of it is a ping; its end is a failure."
      optional
    >
      <Input value={value} onChange={onChange} maxLength={1000} placeholder='alertname="Watchdog"' mono />
    </Field>
  );
}

/** The plan for a heartbeat that an alert feeds, in place of one that no one has changed. */
export function fedPlan(plan: Plan, untouched: Plan): Plan {
  const isUntouched = plan.kind === "simple" && plan.timeoutMs === untouched.timeoutMs;
  return isUntouched ? { ...plan, ...FED_PLAN } : plan;
}

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
  readonly plan: Plan;
  readonly projectId: string | undefined;
  readonly onChange: (plan: Plan) => void;
}

/** Simple, cron or calendar events of systemd, with the next due times. */
export function PlanForm({ plan, projectId, onChange }: Props) {
  const set = (change: Partial<Plan>) => onChange({ ...plan, ...change });
  const { kind, schedule, timezone } = plan;
  const choose = (value: string) => {
    const next = value as Plan["kind"];
    set({ kind: next, schedule: next === "simple" ? schedule : STARTS[next] });
  };
  return (
    <div class="stack">
      <Segmented label="Plan" value={kind} onChange={choose} options={KINDS} />
      {kind === "simple" ? (
        <Field label="A ping at least every">
          <Period value={plan.timeoutMs} onChange={(timeoutMs) => set({ timeoutMs })} />
        </Field>
      ) : (
        <>
          {kind === "cron" ? (
            <Field label="Cron pattern" hint="Minute, hour, day, month, weekday." required>
              <Input value={schedule} onChange={(next) => set({ schedule: next })} mono />
            </Field>
          ) : (
            <Field label="Calendar events" hint="As OnCalendar= of systemd, one per line." required>
              <Textarea value={schedule} onChange={(next) => set({ schedule: next })} rows={2} mono />
            </Field>
          )}
          <Field label="Time zone" required>
            <Combobox value={timezone} onChange={(next) => set({ timezone: next })} options={ZONES} />
          </Field>
        </>
      )}
      <Field label="Grace time" hint="How late a ping may be, or how long a run may take.">
        <Period value={plan.graceMs} onChange={(graceMs) => set({ graceMs })} />
      </Field>
      {kind === "simple" ? (
        <p class="muted small">{`It goes down ${formatDuration(plan.timeoutMs + plan.graceMs)} after the last ping.`}</p>
      ) : (
        <DueTimes kind={kind} schedule={schedule} timezone={timezone} projectId={projectId} />
      )}
    </div>
  );
}

interface DueProps extends Pick<Plan, "kind" | "schedule" | "timezone"> {
  readonly projectId: string | undefined;
}

/** The next times of a schedule while it is typed. */
function DueTimes({ kind, schedule, timezone, projectId }: DueProps) {
  const body = schedule.trim() === "" ? null : { kind, schedule, timezone, projectId };
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
              <span class="num">{formatInstant(at, "full", timezone)}</span>
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
