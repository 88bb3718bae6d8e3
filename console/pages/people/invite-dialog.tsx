import type { CreateUser, Role } from "../../../src/client/api-types.gen.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { useResource } from "../../forms/use-resource.ts";
import { user } from "../../forms/user.gen.ts";
import { Dialog, Field, MultiCombobox, SecretDialog, toast } from "../../ui/index.ts";

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

interface Invited {
  readonly id: string;
  readonly inviteUrl?: string;
}

const WHOSE: readonly FieldOf<CreateUser>[] = [
  { name: "email", hint: "", required: true, autocomplete: "off", autoFocus: true },
  { name: "name", hint: "", autocomplete: "off" },
];

/** Makes an account without a password: its owner gets a link, by mail if mail is set up. */
export function InviteDialog({ onDone }: { readonly onDone: () => void }) {
  const form = useResource<CreateUser, Invited>(user, { start: { roles: [] } });
  const { email, roles = [] } = form.values;
  const invite = async () => {
    const made = await form.send();
    if (made === undefined) return false;
    const { inviteUrl } = made;
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
      <Fields of={form} show={WHOSE} />
      <RolesField
        values={roles}
        onChange={(next) => form.change({ roles: next })}
        hint="Without a role the account only has its own notifications."
      />
    </Dialog>
  );
}
