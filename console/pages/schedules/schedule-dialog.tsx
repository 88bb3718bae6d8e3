import type { CreateSchedule, Schedule } from "../../../src/client/api-types.gen.ts";
import { errorText } from "../../app/api.ts";
import { Managed } from "../../app/managed.tsx";
import { usePreview } from "../../app/preview.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { schedule as described } from "../../forms/schedule.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { choices, Dialog, RadioGroup, Select } from "../../ui/index.ts";
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

const CRON: FieldOf<CreateSchedule> = {
  name: "cron",
  label: "Cron pattern",
  hint: "Minute, hour, day, month, weekday.",
  required: true,
  mono: true,
};

/** @param known undefined: a new one */
export function ScheduleDialog({ known }: { readonly known?: Schedule }) {
  const form = useResource<CreateSchedule, Schedule>(described, {
    stored: known,
    start: {
      ...{ cron: "0 8 * * 1-5", queue: "timers", kind: "timer", payload: EXAMPLE },
      timezone: me.value?.timezone ?? "UTC",
    },
  });
  const { cron, timezone = "", queue = "", kind = "", missed = "", overlap = "" } = form.values;
  const offered = useGet<{ data: readonly Kind[] }>("/schedules/kinds");
  const disabled = known !== undefined && known.module !== null;
  // The kind of a module that is not loaded stays.
  const kinds = [...(offered.data?.data ?? []), ...(known ? [{ queue: known.queue, kind: known.kind }] : [])];
  const kindsOf = (name: string) => [...new Set(kinds.filter((each) => each.queue === name).map((each) => each.kind))];
  const optionsOf = (names: Iterable<string>) => [...new Set(names)].map((value) => ({ value, label: value }));
  const queueField: FieldOf<CreateSchedule> = {
    name: "queue",
    as: (value = "") => (
      <Select
        value={value}
        onChange={(next) => form.change({ queue: next, kind: kindsOf(next)[0] ?? "" })}
        options={optionsOf(kinds.map((each) => each.queue))}
        disabled={disabled}
      />
    ),
  };
  const kindField: FieldOf<CreateSchedule> = {
    name: "kind",
    label: "Kind of job",
    as: (_, change) => (
      <Select value={kind} onChange={change} options={optionsOf(kindsOf(queue))} disabled={disabled} />
    ),
  };
  const times: readonly FieldOf<CreateSchedule>[] = known?.everyMs == null ? [CRON, "timezone"] : [];
  const save = async () => (await form.send()) !== undefined;
  return (
    <Dialog title={known ? `Change ${known.name}` : "New schedule"} size="lg" onSubmit={save} action="Save">
      <Managed kind="jobs" id={known?.id ?? ""}>
        <div class="two">
          <div class="stack">
            <Fields of={form} show={[{ name: "name", autoFocus: true }, ...times, queueField, kindField]} />
            <Fields of={form} show={[{ name: "payload", rows: 8 }]} />
            <RadioGroup
              label="Runs missed while the server was down"
              value={missed}
              onChange={(next) => form.change({ missed: next as NonNullable<CreateSchedule["missed"]> })}
              options={MISSED}
            />
            <RadioGroup
              label="When the previous run is not finished"
              value={overlap}
              onChange={(next) => form.change({ overlap: next === "allow" ? "allow" : "skip" })}
              options={OVERLAP}
            />
          </div>
          <Preview cron={cron ?? ""} timezone={timezone} />
        </div>
      </Managed>
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
