import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { invalidate, useGet, useList } from "../../app/query.ts";
import {
  ask,
  Button,
  type Column,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  MultiCombobox,
  Page,
  plural,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { PeopleTabs } from "./people-tabs.tsx";
import { loginOf, nameOf, type Person, type Role } from "./person-types.ts";

const COLUMNS: readonly Column<Person>[] = [
  { key: "name", label: "Name", cell: (person) => <UserText>{nameOf(person)}</UserText>, card: "title" },
  { key: "login", label: "Signs in as", cell: (person) => <UserText>{loginOf(person)}</UserText>, card: "text" },
  { key: "createdAt", label: "Registered", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end" },
];

/** Accounts that wait for approval. */
export default function Pending() {
  const list = useList<Person>("/users/pending", { limit: 50 });
  const [approving, setApproving] = useState<Person>();
  const done = () => {
    setApproving(undefined);
    invalidate("/users", "/attention");
  };
  const reject = async (person: Person) => {
    const reason = await ask({
      title: `Reject ${nameOf(person)}?`,
      text: "The account is disabled. Its owner cannot sign in.",
      label: "Reason for the audit trail",
      action: "Reject",
    });
    if (reason === undefined) return;
    await api.post(`/users/${person.id}/reject`, reason === "" ? {} : { reason });
    toast.ok(`${nameOf(person)} was rejected.`);
    done();
  };
  const count = list.items?.length ?? 0;
  return (
    <Page
      title="Pending accounts"
      subtitle={
        count === 0
          ? "No account waits for you."
          : `${plural(count, "person registered and waits", "people registered and wait")} for an answer.`
      }
      tabs={<PeopleTabs value="pending" pending={count} />}
    >
      <DataTable<Person>
        label="Pending accounts"
        rows={list.items}
        rowKey={({ id }) => id}
        columns={COLUMNS}
        rowActions={(person) => (
          <>
            <Button small onClick={() => reject(person)}>
              Reject
            </Button>
            <Button small variant="primary" onClick={() => setApproving(person)}>
              Approve
            </Button>
          </>
        )}
        loading={list.loading}
        error={list.error}
        retry={list.reload}
        more={{ has: list.hasMore, load: list.more }}
        empty={
          <EmptyState
            title="No account waits for approval"
            text="People who register appear here until a person with the permission users:approve decides."
          />
        }
      />
      <ApproveDialog person={approving} onClose={() => setApproving(undefined)} onDone={done} />
    </Page>
  );
}

interface ApproveProps {
  readonly person: Person | undefined;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function ApproveDialog({ person, onClose, onDone }: ApproveProps) {
  const [roles, setRoles] = useState<readonly string[]>(["User"]);
  const known = useGet<{ data: readonly Role[] }>(person ? "/roles" : null);
  const options = (known.data?.data ?? []).map((role) => ({
    value: role.name,
    label: role.name,
    hint: role.description,
  }));
  const approve = async () => {
    if (!person) return;
    await api.post(`/users/${person.id}/approve`, { roles });
    toast.ok(`${nameOf(person)} can sign in now.`);
    onDone();
  };
  return (
    <Dialog
      open={person !== undefined}
      onClose={onClose}
      title={`Approve ${person ? nameOf(person) : ""}`}
      subtitle="The account becomes active with these roles."
      size="sm"
      onSubmit={approve}
      footer={
        <Button variant="primary" type="submit">
          Approve
        </Button>
      }
    >
      <Field label="Roles">
        <MultiCombobox values={roles} onChange={setRoles} options={options} />
      </Field>
    </Dialog>
  );
}
