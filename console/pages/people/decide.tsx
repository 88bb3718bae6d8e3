import { useState } from "preact/hooks";
import type { User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { personName } from "../../app/people.ts";
import { invalidate } from "../../app/query.ts";
import { ask, Button, Dialog, openDialog, toast } from "../../ui/index.ts";
import { RolesField } from "./invite-dialog.tsx";

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
