import { useState } from "preact/hooks";
import type { Project } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  type Column,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  Input,
  NewButton,
  openDialog,
  Page,
  SearchInput,
  SecretDialog,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";

const COLUMNS: readonly Column<Project>[] = [
  { label: "Name", cell: ({ name }) => <UserText>{name}</UserText>, card: "title", width: "wide" },
  { label: "Short name", cell: ({ slug }) => <span class="mono">{slug}</span> },
  { label: "Your role", cell: ({ role }) => <Badge tone="plain">{role ?? "administrator"}</Badge>, card: "aside" },
  { label: "Created", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end", priority: 2 },
];

export default function ProjectList() {
  const [text, setText] = useQueryState("q");
  const list = useList<Project>("/projects", { q: text, limit: 50 });
  const make = <NewButton onClick={() => openDialog(<NewProject onDone={list.reload} />)}>New project</NewButton>;
  return (
    <Page
      title="Projects"
      subtitle="Each project has its own events, members and API keys."
      actions={can("projects:create") ? make : undefined}
    >
      <Toolbar>
        <SearchInput value={text} onChange={setText} placeholder="Name of a project" label="Search projects" />
      </Toolbar>
      <DataTable<Project>
        label="Projects"
        list={list}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/projects/${id}`)}
        empty={
          <EmptyState
            title={text === "" ? "You are a member of no project" : "No project matches"}
            text={text === "" ? "Create one, or ask an owner to invite you." : "Change the search."}
            action={text === "" && can("projects:create") ? make : undefined}
          />
        }
      />
    </Page>
  );
}

/** Makes a project and shows its first API key once. */
function NewProject({ onDone }: { readonly onDone: () => void }) {
  const [name, setName] = useState("");
  const create = async () => {
    const { id, apiKey } = await api.post<{ id: string; apiKey?: string }>("/projects", { name });
    onDone();
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
      <Field label="Name" hint="You can change it later." required>
        <Input value={name} onChange={setName} maxLength={255} autocomplete="off" autoFocus />
      </Field>
    </Dialog>
  );
}
