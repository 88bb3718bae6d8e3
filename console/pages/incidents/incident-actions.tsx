import { useState } from "preact/hooks";
import type { Incident } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { navigate } from "../../app/navigate.ts";
import { invalidate } from "../../app/query.ts";
import {
  ask,
  Button,
  confirm,
  DateTimeInput,
  Dialog,
  displayZone,
  fromWallClock,
  openDialog,
  plural,
  RadioGroup,
  toast,
  toWallClock,
  useClose,
} from "../../ui/index.ts";
import { countSoon } from "./open-incidents.ts";

type Named = Pick<Incident, "id" | "number" | "title">;

/** Reloads lists of incidents and their contents. */
export function changed(): void {
  invalidate("/incidents", "/alerts", "/attention", "/notifications", "/silences", "/explain/");
  countSoon();
}

async function act({ id }: Named, action: string, body: object = {}): Promise<void> {
  await api.post(`/incidents/${id}/${action}`, body);
  changed();
}

export async function acknowledge(incident: Named): Promise<void> {
  await act(incident, "acknowledge");
  toast.ok(`Incident ${incident.number} is acknowledged.`, { undo: () => unacknowledge(incident) });
}

export async function unacknowledge(incident: Named): Promise<void> {
  await act(incident, "unacknowledge");
  toast.ok(`Incident ${incident.number} is open again; its steps start from the first.`);
}

export async function unsnooze(incident: Named): Promise<void> {
  await act(incident, "unsnooze");
  toast.ok(`Incident ${incident.number} is open again; its steps start from the first.`);
}

export async function escalate(incident: Named): Promise<void> {
  const text = "The next step of its policy that notifies runs now. Acknowledgements and a snooze end.";
  if (!(await confirm({ title: `Escalate incident ${incident.number} now?`, text, action: "Escalate" }))) return;
  await act(incident, "escalate");
  toast.ok(`Incident ${incident.number} is escalated.`);
}

export async function resolve(incident: Named & Pick<Incident, "firing">): Promise<void> {
  const { number, firing } = incident;
  const text =
    firing === 0
      ? "Everyone who was notified is notified of the end."
      : `${plural(firing, "alert is firing", "alerts are firing")}. Alerts of rules, PagerDuty, Opsgenie and the native API are ` +
        "resolved, alerts of Alertmanager and heartbeats keep firing without this incident. Everyone who was notified " +
        "is notified of the end.";
  if (!(await confirm({ title: `Resolve incident ${number}?`, text, action: "Resolve" }))) return;
  await act(incident, "resolve");
  toast.ok(`Incident ${number} is resolved.`);
}

export async function addNote(incident: Named): Promise<void> {
  const text = await ask({
    title: `Note on incident ${incident.number}`,
    text: "It is added to the timeline; no one is notified.",
    label: "Note",
    action: "Add",
    required: true,
    multiline: true,
  });
  if (text !== undefined) await act(incident, "notes", { text: text.slice(0, 4000) });
}

export function silence({ id }: Named): void {
  navigate(`/incidents/${id}/silence`);
}

interface BulkResult {
  readonly data: readonly { readonly error: { readonly message: string } | null }[];
}

/** Acts on chosen incidents. @returns whether it was done */
export async function actOnMany(action: "acknowledge" | "resolve", ids: readonly string[]): Promise<boolean> {
  const count = plural(ids.length, "incident");
  if (action === "resolve") {
    const text = "Everyone who was notified of them is notified of the end.";
    if (!(await confirm({ title: `Resolve ${count}?`, text, action: `Resolve ${ids.length}` }))) return false;
  }
  const { data } = await api.post<BulkResult>(`/incidents/${action}`, { ids: ids.slice(0, 100) });
  changed();
  const failed = data.filter(({ error }) => error !== null);
  const done = plural(data.length - failed.length, "incident");
  toast.ok(`${done} ${action === "resolve" ? "resolved" : "acknowledged"}.`);
  if (failed.length > 0) toast.error(`${plural(failed.length, "incident")} not changed: ${failed[0]?.error?.message}`);
  return true;
}

const MINUTE_MS = 60_000;
const MORNING = "08:00";

/** The next morning in the user's zone, ISO. */
function tomorrow(): string {
  const zone = displayZone.value;
  const day = toWallClock(Date.now() + 24 * 60 * MINUTE_MS, zone).slice(0, 10);
  return new Date(fromWallClock(`${day}T${MORNING}`, zone)).toISOString();
}

const SNOOZES = [
  { value: "30", label: "30 minutes" },
  { value: "60", label: "1 hour" },
  { value: "240", label: "4 hours" },
  { value: "tomorrow", label: `Until tomorrow, ${MORNING}` },
];

/** @param choice minutes, `tomorrow`, or an instant */
async function snooze(incident: Named, choice: string): Promise<void> {
  const minutes = Number(choice);
  const body =
    minutes > 0 ? { durationMs: minutes * MINUTE_MS } : { until: choice === "tomorrow" ? tomorrow() : choice };
  await act(incident, "snooze", body);
  toast.ok(`Incident ${incident.number} is snoozed.`, { undo: () => unsnooze(incident) });
}

/** Entries of a menu. */
export function snoozeEntries(incident: Named) {
  return [
    ...SNOOZES.map(({ value, label }) => ({ label, onSelect: () => snooze(incident, value) })),
    { label: "Another time…", onSelect: () => askSnooze(incident) },
  ];
}

/** Asks for how long an incident is snoozed. */
export function askSnooze(incident: Named): void {
  openDialog(<SnoozeDialog incident={incident} />);
}

function SnoozeDialog({ incident }: { readonly incident: Named }) {
  const [choice, setChoice] = useState("60");
  const [until, setUntil] = useState("");
  const submit = async () => {
    if (choice === "custom" && until === "") throw new Error("Choose a time.");
    await snooze(incident, choice === "custom" ? until : choice);
  };
  return (
    <Dialog
      title={`Snooze incident ${incident.number}`}
      subtitle="No step runs until then; afterwards the steps start from the first."
      size="sm"
      onSubmit={submit}
      footer={
        <>
          <Button onClick={useClose()}>Cancel</Button>
          <Button type="submit" variant="primary">
            Snooze
          </Button>
        </>
      }
    >
      <div class="stack">
        <RadioGroup
          label="For how long"
          value={choice}
          onChange={setChoice}
          options={[...SNOOZES, { value: "custom", label: "Until another time" }]}
        />
        {choice === "custom" && <DateTimeInput label="Until" value={until} onChange={setUntil} />}
      </div>
    </Dialog>
  );
}
