import type { Incident, ReassignIncident } from "../../../src/client/api-types.gen.ts";
import { memberFinder } from "../../app/members.ts";
import { Fields } from "../../forms/fields.tsx";
import { reassignment } from "../../forms/reassignment.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Dialog, MultiCombobox, toast } from "../../ui/index.ts";
import { changed } from "./incident-actions.tsx";

const ASKS = {
  responders: {
    title: "Add responders",
    text: "They are paged now, besides those whom the policy notifies.",
    action: "Page them",
    done: "They are paged.",
  },
  reassign: {
    title: "Reassign",
    text: "They are paged now in place of those notified before. If no one acknowledges it for 10 minutes, the policy starts again.",
    action: "Reassign",
    done: "The incident is assigned to them.",
  },
} as const;

interface PeopleProps {
  readonly incident: Pick<Incident, "id" | "number" | "projectId">;
  readonly asking: keyof typeof ASKS;
}

/** Adds people to an incident, or gives it to them. */
export function PeopleDialog({ incident, asking }: PeopleProps) {
  const form = useResource<ReassignIncident, Incident>(reassignment, { path: `/incidents/${incident.id}/${asking}` });
  const { title, text, action, done } = ASKS[asking];
  const { users = [], note = "" } = form.values;
  const submit = async () => {
    const answer = await form.send(note.trim() === "" ? { note: undefined } : {});
    if (answer === undefined) return false;
    changed();
    toast.ok(done);
  };
  const load = memberFinder(incident.projectId);
  const who = (values: readonly string[] = [], change: (users: readonly string[]) => void) => (
    <MultiCombobox values={values} onChange={change} options={[]} load={load} placeholder="Name" />
  );
  return (
    <Dialog
      title={`${title}: incident ${incident.number}`}
      subtitle={text}
      onSubmit={submit}
      action={action}
      blocked={users.length === 0}
    >
      <Fields
        of={form}
        show={[
          { name: "users", label: "Who", hint: "", as: who },
          { name: "note", rows: 2, autoGrow: true },
        ]}
      />
    </Dialog>
  );
}
