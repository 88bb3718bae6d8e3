import type { Incident, PagePeople } from "../../../src/client/api-types.gen.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { page } from "../../forms/page.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Button, Dialog, MultiCombobox, openDialog, Select, toast } from "../../ui/index.ts";
import { changed } from "./incident-actions.tsx";

const WHAT: FieldOf<PagePeople> = { name: "title", label: "What", hint: "", placeholder: "The shop is slow" };
const MESSAGE: FieldOf<PagePeople> = { name: "message", hint: "", rows: 3, autoGrow: true };
const URGENCY: FieldOf<PagePeople> = {
  name: "urgency",
  hint: "",
  words: { high: "High: at once, also in quiet hours", low: "Low" },
};

/** Pages people without an alert, for those who may. */
export function PageButton() {
  if (canInProject("incidents:act") !== true) return null;
  return <Button onClick={() => openDialog(<PageDialog />)}>Page someone</Button>;
}

function PageDialog() {
  const [projectId, setProject] = useProjectOfNew();
  const form = useResource<PagePeople, Incident>(page, {
    start: { users: [], message: "", urgency: "high", policy: "default" },
    given: projectId === undefined ? {} : { projectId },
  });
  const { users = [], title = "" } = form.values;
  const policies = useGet<{ data: readonly { readonly name: string }[] }>(
    projectId === undefined ? null : "/policies",
    projectId === undefined ? {} : { projectId },
  );
  const names = policies.data?.data.map(({ name }) => name) ?? ["default"];
  const submit = async () => {
    const made = await form.send();
    if (made === undefined) return false;
    changed();
    toast.ok(`Incident ${made.number} pages them.`);
    navigate(`/incidents/${made.id}`);
  };
  const choose = (id: string) => {
    setProject(id);
    form.change({ users: [], policy: "default" });
  };
  const load = memberFinder(projectId ?? "");
  const who: FieldOf<PagePeople> = {
    name: "users",
    label: "Who",
    hint: "",
    required: true,
    as: (values = [], change) => (
      <MultiCombobox values={values} onChange={change} options={[]} load={load} placeholder="Name" />
    ),
  };
  const policy: FieldOf<PagePeople> = {
    name: "policy",
    label: "Policy if no one acknowledges it",
    hint: "",
    required: false,
    as: (value = "", change) => (
      <Select value={value} onChange={change} options={names.map((name) => ({ value: name, label: name }))} />
    ),
  };
  return (
    <Dialog
      title="Page someone"
      subtitle="It opens an incident without alerts. If no one acknowledges it for 10 minutes, its policy follows."
      onSubmit={submit}
      action="Page"
      blocked={users.length === 0 || title.trim() === ""}
    >
      <ProjectField value={projectId} onChange={choose} />
      <Fields of={form} show={[who, WHAT, MESSAGE]} />
      <div class="grid2">
        <Fields of={form} show={[URGENCY, policy]} />
      </div>
    </Dialog>
  );
}
