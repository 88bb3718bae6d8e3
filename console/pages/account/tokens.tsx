import { KeyRound } from "lucide";
import type { ServiceToken } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useList } from "../../app/query.ts";
import { Button, CodeInline, DataTable, EmptyState, openDialog, plural, Time, toast } from "../../ui/index.ts";
import { AccountPage } from "./account-page.tsx";
import { NewToken } from "./new-token.tsx";

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
          { label: "Begins with", cell: ({ prefix }) => <CodeInline>{`${prefix}…`}</CodeInline> },
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
