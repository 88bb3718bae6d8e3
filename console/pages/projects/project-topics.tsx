import { useState } from "preact/hooks";
import type { NtfyAccess, ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { memberFinder } from "../../app/members.ts";
import { findUsers } from "../../app/people.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Button,
  Card,
  type Column,
  Combobox,
  choices,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  Input,
  openDialog,
  Segmented,
  Select,
  toast,
  UserText,
} from "../../ui/index.ts";

const PATH = "/ntfy/access";

const PERMISSIONS = choices({ read: "Read", write: "Write", "read-write": "Read and write", none: "Nothing" });

const nameOf = ({ userId, username }: NtfyAccess): string =>
  userId === null ? "Everyone" : (username ?? "Without a name");

const COLUMNS: readonly Column<NtfyAccess>[] = [
  { label: "Who", cell: (right) => <UserText>{nameOf(right)}</UserText>, card: "title", width: "wide" },
  { label: "Topic", cell: ({ topic }) => <code>{topic}</code> },
  {
    label: "May",
    cell: ({ permission }) => PERMISSIONS.find(({ value }) => value === permission)?.label,
    card: "aside",
  },
];

/** Who may read and write topics of ntfy in a project. */
export function ProjectTopics({ project }: { readonly project: ProjectDetail }) {
  const query = useGet<{ data: readonly NtfyAccess[] }>(PATH, { projectId: project.id });
  const remove = async ({ userId, topic }: NtfyAccess) => {
    await api.del(PATH, { projectId: project.id, user: userId ?? "everyone", topic });
    toast.ok("The right is removed.");
    query.reload();
  };
  const add = (
    <Button small variant="primary" onClick={() => openDialog(<AddRight project={project} onDone={query.reload} />)}>
      Add a right
    </Button>
  );
  return (
    <Card title="Rights on topics of ntfy" flush actions={add}>
      <DataTable<NtfyAccess>
        bare
        label="Rights on topics"
        list={query}
        rowKey={({ userId, topic }) => `${userId} ${topic}`}
        columns={COLUMNS}
        rowActions={(right) => [{ label: "Remove", onSelect: () => remove(right).catch(toast.error) }]}
        empty={
          <EmptyState
            small
            title="No topic has rights of its own"
            text="Who may read and write the project's events may read and write its topics."
          />
        }
      />
    </Card>
  );
}

interface AddProps {
  readonly project: ProjectDetail;
  readonly onDone: () => void;
}

/** Without `users:read` an owner names members, and everyone in the default project only. */
function AddRight({ project, onDone }: AddProps) {
  const mayNameAll = can("users:read");
  const [who, setWho] = useState("person");
  const [userId, setUserId] = useState("");
  const [topic, setTopic] = useState("");
  const [permission, setPermission] = useState("read");
  const save = async () => {
    const user = who === "everyone" ? who : userId;
    await api.put(PATH, { projectId: project.id, user, topic, permission });
    toast.ok("The right is set.");
    onDone();
  };
  return (
    <Dialog title="Add a right on topics" size="sm" onSubmit={save} action="Set">
      {(mayNameAll || project.slug === "default") && (
        <Segmented
          label="Who"
          value={who}
          onChange={setWho}
          options={choices({ person: "A person", everyone: "Everyone" })}
        />
      )}
      {who === "person" && (
        <Field label="Person" required>
          <Combobox
            value={userId}
            onChange={setUserId}
            load={mayNameAll ? findUsers : memberFinder(project.id)}
            placeholder="Name or address"
          />
        </Field>
      )}
      <Field label="Topic" required hint="A name, or a pattern such as backup-*">
        <Input value={topic} onChange={setTopic} autocomplete="off" />
      </Field>
      <Field label="May">
        <Select value={permission} onChange={setPermission} options={PERMISSIONS} />
      </Field>
    </Dialog>
  );
}
