import { KeyRound } from "lucide";
import type { CreateServiceToken, ServiceToken } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useList } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { serviceToken } from "../../forms/service-token.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import {
  Button,
  DataTable,
  Dialog,
  EmptyState,
  MultiCombobox,
  openDialog,
  plural,
  SecretDialog,
  Select,
  Time,
  toast,
} from "../../ui/index.ts";
import { AccountPage } from "./account-page.tsx";

export default function Tokens() {
  const list = useList<ServiceToken>("/users/me/tokens");
  const revoke = async ({ id, name }: ServiceToken) => {
    const title = `Revoke the token ${name}?`;
    const text = "The next request with it is refused. Programs that use it stop working.";
    await confirmDelete(`/users/me/tokens/${id}`, { title, text, action: "Revoke" }, () => {
      list.reload();
      toast.ok(`The token ${name} is revoked.`);
    });
  };
  const count = list.items?.length;
  const subtitle =
    count === 0
      ? "No program acts for you."
      : count && `${plural(count, "token")} ${count === 1 ? "acts" : "act"} for you.`;
  const make = (
    <Button variant="primary" onClick={() => openDialog(<NewToken />)}>
      New token
    </Button>
  );
  return (
    <AccountPage tab="tokens" subtitle={subtitle} actions={make}>
      <DataTable<ServiceToken>
        label="Service tokens"
        list={list}
        empty={
          <EmptyState
            icon={KeyRound}
            title="No service tokens"
            text="Programs use them in place of your password, with no more permissions than you choose."
          />
        }
        columns={[
          { label: "Name", card: "title", cell: ({ name }) => name },
          { label: "Begins with", cell: ({ prefix }) => <code class="code-in">{prefix}…</code> },
          {
            label: "May",
            width: "wide",
            cell: ({ scopes }) => <span title={scopes.join(", ")}>{scopeText(scopes)}</span>,
          },
          { label: "Last used", cell: ({ lastUsedAt }) => <Time at={lastUsedAt} empty="never" /> },
          { label: "Expires", cell: ({ expiresAt }) => <Time at={expiresAt} empty="never" /> },
        ]}
        rowActions={(token) => [{ label: "Revoke", onSelect: () => revoke(token) }]}
      />
    </AccountPage>
  );
}

function scopeText(scopes: readonly string[]): string {
  return scopes.length > 3 ? `${scopes.slice(0, 2).join(", ")} and ${scopes.length - 2} more` : scopes.join(", ");
}

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

function NewToken() {
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
