import type { Identity, ServiceToken, Session, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useGet } from "../../app/query.ts";
import { Card, type Column, DataTable, EmptyState, isPending, Time, toast, UserText, Waiting } from "../../ui/index.ts";
import { deviceName } from "../account/device-name.ts";

const SESSION_COLUMNS: readonly Column<Session>[] = [
  {
    label: "Device",
    cell: ({ userAgent }) => (
      <span title={userAgent}>
        <UserText lines={1}>{deviceName(userAgent)}</UserText>
      </span>
    ),
    card: "title",
  },
  { label: "Address", cell: ({ ip }) => <span class="mono nowrap">{ip}</span> },
  { label: "Last used", cell: ({ lastUsedAt }) => <Time at={lastUsedAt} />, align: "end" },
];

const TOKEN_COLUMNS: readonly Column<ServiceToken>[] = [
  { label: "Name", cell: ({ name }) => <UserText>{name}</UserText>, card: "title" },
  { label: "Starts with", cell: ({ prefix }) => <span class="mono">{prefix}…</span> },
  { label: "Last used", cell: ({ lastUsedAt }) => <Time at={lastUsedAt} empty="never" />, align: "end" },
];

/** Where the account is signed in. */
export function PersonSessions({ person }: { readonly person: User }) {
  const query = useGet<{ data: readonly Session[] }>(`/users/${person.id}/sessions`);
  const end = async ({ id }: Session) => {
    await api.del(`/auth/sessions/${id}`);
    toast.ok("The session has ended.");
    query.reload();
  };
  return (
    <Card title="Sessions" flush>
      <DataTable<Session>
        bare
        label="Sessions"
        list={query}
        columns={SESSION_COLUMNS}
        rowActions={(session) => [{ label: "End", onSelect: () => end(session) }]}
        empty={<EmptyState small title="No session" text="Sessions appear here with their device and address." />}
      />
    </Card>
  );
}

const IDENTITY_COLUMNS: readonly Column<Identity>[] = [
  { label: "Provider", cell: ({ provider, issuer }) => <UserText>{provider ?? issuer}</UserText>, card: "title" },
  { label: "Account there", cell: ({ name, subject }) => <UserText lines={1}>{name ?? subject}</UserText> },
  { label: "Last used", cell: ({ lastUsedAt }) => <Time at={lastUsedAt} empty="never" />, align: "end" },
];

/** Accounts of providers that sign the person in; nothing without one. */
export function PersonIdentities({ person }: { readonly person: User }) {
  const path = `/users/${person.id}/identities`;
  const query = useGet<{ data: readonly Identity[] }>(path);
  if (isPending(query)) return <Waiting />;
  if (query.data?.data.length === 0) return null;
  const unlink = ({ id, provider }: Identity) =>
    confirmDelete(
      `${path}/${id}`,
      {
        title: `Unlink ${provider ?? "the provider"}?`,
        text: "The person can no longer sign in with it, and its sessions end.",
        action: "Unlink",
        done: "The account is unlinked.",
      },
      query.reload,
    );
  return (
    <Card title="Linked accounts" flush>
      <DataTable<Identity>
        bare
        label="Linked accounts"
        list={query}
        columns={IDENTITY_COLUMNS}
        rowActions={(identity) => [{ label: "Unlink", onSelect: () => unlink(identity), variant: "danger" }]}
        empty={<EmptyState small title="No linked account" text="Accounts of providers appear here." />}
      />
    </Card>
  );
}

/** Service tokens of the account. */
export function PersonTokens({ person }: { readonly person: User }) {
  const query = useGet<{ data: readonly ServiceToken[] }>(`/users/${person.id}/tokens`);
  const revoke = async (token: ServiceToken) => {
    const text = "Programs that use it are refused from the next request on.";
    await confirmDelete(
      `/users/${person.id}/tokens/${token.id}`,
      { title: `Revoke the token ${token.name}?`, text, action: "Revoke", done: "The token is revoked." },
      query.reload,
    );
  };
  return (
    <Card title="Service tokens" flush>
      <DataTable<ServiceToken>
        bare
        label="Service tokens"
        list={query}
        columns={TOKEN_COLUMNS}
        rowActions={(token) => [{ label: "Revoke", onSelect: () => revoke(token), variant: "danger" }]}
        empty={<EmptyState small title="No service token" text="The account's owner makes tokens for programs." />}
      />
    </Card>
  );
}
