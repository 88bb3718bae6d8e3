import type { ListedIncident } from "../../../src/client/api-types.gen.ts";
import { Button, Menu } from "../../ui/index.ts";
import {
  acknowledge,
  actOnMany,
  addNote,
  askSnooze,
  escalate,
  resolve,
  silence,
  snoozeEntries,
} from "./incident-actions.tsx";
import { isOpen } from "./incident-types.ts";

/** Whether the user may act on it. */
function isLive({ state, mayAct }: ListedIncident): boolean {
  return mayAct && state !== "resolved";
}

/** Letters that act on the current row. */
export const HOTKEYS = {
  a: (incident: ListedIncident) => isOpen(incident) && incident.mayAct && acknowledge(incident),
  e: (incident: ListedIncident) => isLive(incident) && resolve(incident),
  s: (incident: ListedIncident) => isLive(incident) && silence(incident),
  z: (incident: ListedIncident) => isLive(incident) && askSnooze(incident),
};

export function Bulk({ ids, onDone }: { readonly ids: readonly string[]; readonly onDone: () => void }) {
  const run = async (action: "acknowledge" | "resolve") => {
    if (await actOnMany(action, ids)) onDone();
  };
  return (
    <>
      <Button small variant="primary" onClick={() => run("acknowledge")}>
        Acknowledge
      </Button>
      <Button small onClick={() => run("resolve")}>
        Resolve
      </Button>
    </>
  );
}

export function RowActions({ incident }: { readonly incident: ListedIncident }) {
  if (!isLive(incident)) return null;
  return (
    <span class="inline">
      {isOpen(incident) && (
        <Button small onClick={() => acknowledge(incident)}>
          Acknowledge
        </Button>
      )}
      <Menu
        small
        label={`More for incident ${incident.number}`}
        items={[
          { label: "Resolve…", keys: "e", onSelect: () => resolve(incident) },
          { label: "Escalate now…", onSelect: () => escalate(incident) },
          ...(incident.direct === null ? [{ label: "Silence…", keys: "s", onSelect: () => silence(incident) }] : []),
          { label: "Add a note…", onSelect: () => addNote(incident) },
          { heading: "Snooze" },
          ...snoozeEntries(incident),
        ]}
      />
    </span>
  );
}
