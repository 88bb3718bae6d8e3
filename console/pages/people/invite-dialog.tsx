import { useEffect, useState } from "preact/hooks";
import type { Role } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import { Dialog, Field, Input, MultiCombobox, SecretDialog, toast } from "../../ui/index.ts";

interface Props {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** Makes an account without a password: its owner gets a link, by mail if mail is set up. */
export function InviteDialog({ isOpen, onClose, onDone }: Props) {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [roles, setRoles] = useState<readonly string[]>([]);
  const [link, setLink] = useState<string>();
  const known = useGet<{ data: readonly Role[] }>(isOpen ? "/roles" : null);
  useEffect(() => {
    setEmail("");
    setName("");
    setRoles([]);
    setLink(undefined);
  }, [isOpen]);
  const invite = async () => {
    const body = { email, ...(name === "" ? {} : { name }), roles };
    const { inviteUrl } = await api.post<{ inviteUrl?: string }>("/users", body);
    onDone();
    if (inviteUrl !== undefined) setLink(inviteUrl);
    else {
      toast.ok(
        `The account is created. The invitation is mailed to ${email}; Jobs shows whether the mail server accepted it.`,
      );
      onClose();
    }
  };
  if (link !== undefined) {
    return (
      <SecretDialog
        title="The account is created"
        label="Invitation link"
        value={link}
        hint="It works once and is not shown again."
        onClose={onClose}
      >
        <p>Mail is not set up, so pass this link on yourself. Its owner chooses a password with it.</p>
      </SecretDialog>
    );
  }
  const options = (known.data?.data ?? []).map((role) => ({
    value: role.name,
    label: role.name,
    hint: role.description,
  }));
  return (
    <Dialog open={isOpen} onClose={onClose} title="Invite a person" size="sm" onSubmit={invite} action="Invite">
      <Field label="Mail address" required>
        <Input type="email" value={email} onChange={setEmail} autocomplete="off" autoFocus />
      </Field>
      <Field label="Name" optional>
        <Input value={name} onChange={setName} autocomplete="off" maxLength={255} />
      </Field>
      <Field label="Roles" hint="Without a role the account only has its own notifications.">
        <MultiCombobox values={roles} onChange={setRoles} options={options} />
      </Field>
    </Dialog>
  );
}
