import type { CreateProject, Project } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { searchFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { MirrorBadge } from "../../app/mirror.tsx";
import { navigate } from "../../app/navigate.ts";
import { can } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { project } from "../../forms/project.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Badge, type Column, Dialog, SecretDialog, Time, UserText } from "../../ui/index.ts";

const COLUMNS: readonly Column<Project>[] = [
  {
    label: "Name",
    cell: ({ id, name }) => (
      <>
        <UserText>{name}</UserText> <MirrorBadge projectId={id} />
      </>
    ),
    card: "title",
    width: "wide",
  },
  { label: "Short name", cell: ({ slug }) => <span class="mono">{slug}</span> },
  { label: "Your role", cell: ({ role }) => <Badge tone="plain">{role ?? "administrator"}</Badge>, card: "aside" },
  { label: "Created", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end", priority: 2 },
];

const FILTERS = { q: searchFilter("Search projects", "Name of a project") };
const EMPTY = { title: "You are a member of no project", text: "Create one, or ask an owner to invite you." };

export default function ProjectList() {
  return (
    <ListPage<Project>
      of={useListOf("/projects", FILTERS)}
      title="Projects"
      subtitle="Each project has its own events, members and API keys."
      noun="project"
      managedAs="projects"
      columns={COLUMNS}
      make={can("projects:create") ? () => <NewProject /> : undefined}
      rowHref={({ id }) => href(`/projects/${id}`)}
      empty={EMPTY}
    />
  );
}

/** Makes a project and shows its first API key once. */
function NewProject() {
  const form = useResource<CreateProject, { readonly id: string; readonly apiKey?: string }>(project);
  const create = async () => {
    const made = await form.send();
    if (made === undefined) return false;
    const { id, apiKey } = made;
    if (apiKey === undefined) return navigate(`/projects/${id}`);
    return (
      <SecretDialog
        title="The project is created"
        label="API key"
        value={apiKey}
        hint="It is not shown again."
        onClose={() => navigate(`/projects/${id}`)}
      >
        <p>Programs send events with this key.</p>
      </SecretDialog>
    );
  };
  return (
    <Dialog title="New project" size="sm" onSubmit={create} action="Create project">
      <Fields of={form} show={[{ name: "name", autoFocus: true }]} />
    </Dialog>
  );
}
