import { KeyRound } from "lucide";
import { useState } from "preact/hooks";
import type { ServiceToken } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useList } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import {
  Button,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  Input,
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
    <Button variant="primary" onClick={() => openDialog(<NewToken onDone={list.reload} />)}>
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
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "1 year" },
  { value: "", label: "never" },
];
/** The user's own data needs no permission, but a token needs these scopes for it. */
const OWN_SCOPES = [
  { value: "account:own", label: "account:own", hint: "Your account and preferences" },
  { value: "notifications:own", label: "notifications:own", hint: "Your inbox" },
];

function NewToken({ onDone }: { readonly onDone: () => void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<readonly string[]>([]);
  const [days, setDays] = useState("90");
  const permissions = (me.value?.permissions ?? []).map((value) => ({ value, label: value }));
  const create = async () => {
    const life = days === "" ? {} : { expiresInMs: Number(days) * DAY_MS };
    const { token } = await api.post<{ readonly token: string }>("/users/me/tokens", {
      name: name.trim(),
      scopes,
      ...life,
    });
    onDone();
    return <SecretDialog title="Copy the token now" size="md" label={name} value={token} />;
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
        <Field label="Name" hint="What it is for, such as deploy script.">
          <Input value={name} onChange={setName} maxLength={100} autoFocus />
        </Field>
        <Field label="It may">
          <MultiCombobox values={scopes} onChange={setScopes} options={[...OWN_SCOPES, ...permissions]} />
        </Field>
        <Field label="It expires after">
          <Select value={days} onChange={setDays} options={LIVES} />
        </Field>
      </div>
    </Dialog>
  );
}
