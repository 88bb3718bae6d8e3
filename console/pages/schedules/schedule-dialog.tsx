import { useState } from "preact/hooks";
import type { Schedule } from "../../../src/client/api-types.gen.ts";
import { api, errorText } from "../../app/api.ts";
import { usePreview } from "../../app/preview.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { ZONES } from "../../app/zones.ts";
import { Combobox, choices, Dialog, Field, Input, RadioGroup, Select, Textarea } from "../../ui/index.ts";
import { NextRuns } from "./next-runs.tsx";
import type { NextRun } from "./schedule-types.ts";

const MISSED = [
  { value: "once", label: "Run once", hint: "when the server is back" },
  { value: "skip", label: "Skip them" },
  { value: "all", label: "Run all of them" },
];
const OVERLAP = choices({ skip: "Skip the new run", allow: "Run both" });

/** A notification for the user who makes the schedule. */
const EXAMPLE = { action: { type: "notify", payload: { userId: "me", title: "Stand-up", message: "In ten minutes" } } };

/** A kind of job that can be scheduled. */
interface Kind {
  readonly queue: string;
  readonly kind: string;
}

interface Props {
  /** Undefined: a new one. */
  readonly known?: Schedule;
  readonly onSaved: () => void;
}

export function ScheduleDialog({ known, onSaved }: Props) {
  const [name, setName] = useState(known?.name ?? "");
  const [cron, setCron] = useState(known?.cron ?? (known ? "" : "0 8 * * 1-5"));
  const [timezone, setZone] = useState(known?.timezone ?? me.value?.timezone ?? "UTC");
  const [queue, setQueue] = useState(known?.queue ?? "timers");
  const [kind, setKind] = useState(known?.kind ?? "timer");
  const [payload, setPayload] = useState(JSON.stringify(known?.payload ?? EXAMPLE, null, 2));
  const [missed, setMissed] = useState<string>(known?.missed ?? "once");
  const [overlap, setOverlap] = useState<string>(known?.overlap ?? "skip");
  const offered = useGet<{ data: readonly Kind[] }>("/schedules/kinds");
  const isFixed = known !== undefined && known.module !== null;
  // The kind of a module that is not loaded stays.
  const kinds = [...(offered.data?.data ?? []), ...(known ? [{ queue: known.queue, kind: known.kind }] : [])];
  const kindsOf = (name: string) => [...new Set(kinds.filter((each) => each.queue === name).map((each) => each.kind))];
  const save = async () => {
    const when = known?.everyMs != null ? {} : { cron, timezone };
    const body = { name, queue, kind, payload: JSON.parse(payload) as unknown, missed, overlap, ...when };
    if (known) await api.put(`/schedules/${known.id}`, body);
    else await api.post("/schedules", body);
    onSaved();
  };
  return (
    <Dialog title={known ? `Change ${known.name}` : "New schedule"} size="lg" onSubmit={save} action="Save">
      <div class="two">
        <div class="stack">
          <Field label="Name" required>
            <Input value={name} onChange={setName} maxLength={100} autoFocus />
          </Field>
          {known?.everyMs == null && (
            <>
              <Field label="Cron pattern" hint="Minute, hour, day, month, weekday." required>
                <Input value={cron} onChange={setCron} mono />
              </Field>
              <Field label="Time zone" required>
                <Combobox value={timezone} onChange={setZone} options={ZONES} />
              </Field>
            </>
          )}
          <Field label="Queue" required>
            <Select
              value={queue}
              onChange={(value) => {
                setQueue(value);
                setKind(kindsOf(value)[0] ?? "");
              }}
              options={[...new Set(kinds.map((each) => each.queue))].map((value) => ({ value, label: value }))}
              disabled={isFixed}
            />
          </Field>
          <Field label="Kind of job" hint="`timer` runs the action of the payload; modules add kinds." required>
            <Select
              value={kind}
              onChange={setKind}
              options={kindsOf(queue).map((value) => ({ value, label: value }))}
              disabled={isFixed}
            />
          </Field>
          <Field label="Payload" hint="A JSON object.">
            <Textarea value={payload} onChange={setPayload} rows={8} mono />
          </Field>
          <RadioGroup
            label="Runs missed while the server was down"
            value={missed}
            onChange={setMissed}
            options={MISSED}
          />
          <RadioGroup
            label="When the previous run is not finished"
            value={overlap}
            onChange={setOverlap}
            options={OVERLAP}
          />
        </div>
        <Preview cron={cron} timezone={timezone} />
      </div>
    </Dialog>
  );
}

/** The next runs of a pattern while it is typed. */
function Preview({ cron, timezone }: { readonly cron: string; readonly timezone: string }) {
  const body = cron === "" ? null : { cron, timezone, count: 8 };
  const { data, error } = usePreview<{ nextRuns: readonly NextRun[] }>("/schedules/preview", body, "keep");
  return (
    <section class="section" aria-live="polite">
      <h2>Next runs</h2>
      {error !== undefined ? <p class="text-bad">{errorText(error)}</p> : data && <NextRuns runs={data.nextRuns} />}
    </section>
  );
}
