import type { CreateServiceToken, ServiceToken } from "../../../src/client/api-types.gen.ts";
import { me } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { serviceToken } from "../../forms/service-token.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Dialog, MultiCombobox, SecretDialog, Select } from "../../ui/index.ts";

const DAY_MS = 86_400_000;
const LIVES = [
  ...[30, 90].map((days) => ({ value: String(days * DAY_MS), label: `${days} days` })),
  { value: String(365 * DAY_MS), label: "1 year" },
  { value: "", label: "never" },
];
/** The user's own data needs no permission, but a token needs these scopes for it. */
const OWN_SCOPES = [
  { value: "account:own", label: "account:own", hint: "Your account and preferences" },
  { value: "notifications:own", label: "notifications:own", hint: "Your inbox" },
];

export function NewToken() {
  const form = useResource<CreateServiceToken, ServiceToken & { readonly token: string }>(serviceToken, {
    start: { expiresInMs: 90 * DAY_MS },
  });
  const permissions = (me.value?.permissions ?? []).map((value) => ({ value, label: value }));
  const { name = "", scopes = [] } = form.values;
  const create = async () => {
    const made = await form.send({ name: name.trim() });
    if (made === undefined) return false;
    return <SecretDialog title="Copy the token now" size="md" label={name} value={made.token} />;
  };
  const may: FieldOf<CreateServiceToken> = {
    name: "scopes",
    label: "It may",
    as: (values = [], change) => (
      <MultiCombobox
        values={values}
        onChange={(next) => change(next as CreateServiceToken["scopes"])}
        options={[...OWN_SCOPES, ...permissions]}
      />
    ),
  };
  const life: FieldOf<CreateServiceToken> = {
    name: "expiresInMs",
    label: "It expires after",
    as: (value, change) => (
      <Select
        value={String(value ?? "")}
        onChange={(ms) => change(ms === "" ? undefined : Number(ms))}
        options={LIVES}
      />
    ),
  };
  return (
    <Dialog
      title="New service token"
      subtitle="It acts as you, with the permissions that you choose."
      onSubmit={create}
      action="Create token"
      blocked={name.trim() === "" || scopes.length === 0}
    >
      <div class="stack">
        <Fields of={form} show={[{ name: "name", autoFocus: true, placeholder: "deploy script" }, may, life]} />
      </div>
    </Dialog>
  );
}
