import { useState } from "preact/hooks";
import type { User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { personName } from "../../app/people.ts";
import { invalidate, useList } from "../../app/query.ts";
import {
  ask,
  Button,
  type Column,
  DataTable,
  Dialog,
  EmptyState,
  openDialog,
  Page,
  plural,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { RolesField } from "./invite-dialog.tsx";
import { PeopleTabs } from "./people-tabs.tsx";
import { loginOf } from "./person-types.ts";

const COLUMNS: readonly Column<User>[] = [
  { label: "Name", cell: (person) => <UserText>{personName(person)}</UserText>, card: "title" },
  { label: "Signs in as", cell: (person) => <UserText>{loginOf(person)}</UserText>, card: "text" },
  { label: "Created", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end" },
];

/** Accounts that wait for approval. */
export default function Pending() {
  const list = useList<User>("/users/pending", { limit: 50 });
  const count = list.items?.length ?? 0;
  return (
    <Page
      title="Pending accounts"
      subtitle={
        count === 0
          ? "No account is pending."
          : `${plural(count, "account waits", "accounts wait")}: for approval, or for an invited person to open it.`
      }
      tabs={<PeopleTabs value="pending" pending={count} />}
    >
      <DataTable<User>
        label="Pending accounts"
        list={list}
        columns={COLUMNS}
        rowActions={(person) => <Decide person={person} small />}
        empty={
          <EmptyState
            title="No account is pending"
            text="People who register appear here until a person with the permission users:approve decides."
          />
        }
      />
    </Page>
  );
}

/** Approves or rejects an account that waits. */
export function Decide({ person, small = false }: { readonly person: User; readonly small?: boolean }) {
  const done = () => invalidate("/users", "/attention");
  const reject = async () => {
    const reason = await ask({
      title: `Reject ${personName(person)}?`,
      text: "The account is disabled. Its owner cannot sign in.",
      label: "Reason for the audit trail",
      action: "Reject",
    });
    if (reason === undefined) return;
    await api.post(`/users/${person.id}/reject`, reason === "" ? {} : { reason });
    toast.ok(`${personName(person)} was rejected.`);
    done();
  };
  return (
    <>
      <Button small={small} onClick={reject}>
        Reject
      </Button>
      <Button
        small={small}
        variant="primary"
        onClick={() => openDialog(<ApproveDialog person={person} onDone={done} />)}
      >
        Approve
      </Button>
    </>
  );
}

interface ApproveProps {
  readonly person: User;
  readonly onDone: () => void;
}

function ApproveDialog({ person, onDone }: ApproveProps) {
  const [roles, setRoles] = useState<readonly string[]>(["User"]);
  const approve = async () => {
    await api.post(`/users/${person.id}/approve`, { roles });
    toast.ok(`${personName(person)} can sign in now.`);
    onDone();
  };
  return (
    <Dialog
      title={`Approve ${personName(person)}`}
      subtitle="The account becomes active with these roles."
      size="sm"
      onSubmit={approve}
      action="Approve"
    >
      <RolesField values={roles} onChange={setRoles} />
    </Dialog>
  );
}
