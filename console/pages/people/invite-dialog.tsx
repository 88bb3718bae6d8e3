import { useState } from "preact/hooks";
import type { Role } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Dialog, Field, Input, MultiCombobox, SecretDialog, toast } from "../../ui/index.ts";

interface RolesProps {
  readonly values: readonly string[];
  readonly onChange: (values: readonly string[]) => void;
  readonly hint?: string;
}

/** The roles of an account. */
export function RolesField({ values, onChange, hint }: RolesProps) {
  const { data } = useGet<{ data: readonly Role[] }>(can("roles:read") ? "/roles" : null);
  const options = data?.data.map(({ name, description }) => ({ value: name, label: name, hint: description }));
  return (
    <Field label="Roles" hint={hint}>
      <MultiCombobox values={values} onChange={onChange} options={options ?? []} />
    </Field>
  );
}

/** Makes an account without a password: its owner gets a link, by mail if mail is set up. */
export function InviteDialog({ onDone }: { readonly onDone: () => void }) {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [roles, setRoles] = useState<readonly string[]>([]);
  const invite = async () => {
    const body = { email, ...(name === "" ? {} : { name }), roles };
    const { inviteUrl } = await api.post<{ inviteUrl?: string }>("/users", body);
    onDone();
    if (inviteUrl === undefined) {
      return toast.ok(
        `The account is created. The invitation is mailed to ${email}; Jobs shows whether the mail server accepted it.`,
      );
    }
    const hint = "It works once and is not shown again.";
    return (
      <SecretDialog title="The account is created" label="Invitation link" value={inviteUrl} hint={hint}>
        <p>Mail is not set up, so pass this link on yourself. Its owner chooses a password with it.</p>
      </SecretDialog>
    );
  };
  return (
    <Dialog title="Invite a person" size="sm" onSubmit={invite} action="Invite">
      <Field label="Mail address" required>
        <Input type="email" value={email} onChange={setEmail} autocomplete="off" autoFocus />
      </Field>
      <Field label="Name" optional>
        <Input value={name} onChange={setName} autocomplete="off" maxLength={255} />
      </Field>
      <RolesField
        values={roles}
        onChange={setRoles}
        hint="Without a role the account only has its own notifications."
      />
    </Dialog>
  );
}
