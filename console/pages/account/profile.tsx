import type { User } from "../../../src/client/api-types.gen.ts";
import { Card, CodeInline, DescriptionList, Loaded, Skeleton, Time, UserText } from "../../ui/index.ts";
import { AccountPage, useAccount } from "./account-page.tsx";
import { Invitations } from "./invitations.tsx";
import { ProfileForm } from "./profile-form.tsx";

export default function Profile() {
  const account = useAccount();
  const user = account.data;
  const subtitle = user && (
    <>
      You are signed in as <UserText>{user.name || user.username || user.email || "yourself"}</UserText>
      {user.roles.length > 0
        ? `, with the ${user.roles.length === 1 ? "role" : "roles"} ${user.roles.join(", ")}.`
        : "."}
    </>
  );
  return (
    <AccountPage tab="profile" subtitle={subtitle}>
      <Invitations />
      <Loaded query={account} skeleton={<Skeleton kind="form" />}>
        {(loaded) => (
          <>
            <ProfileForm key={loaded.id} account={loaded} />
            <Facts account={loaded} />
          </>
        )}
      </Loaded>
    </AccountPage>
  );
}

function Facts({ account }: { readonly account: User }) {
  return (
    <Card title="About this account">
      <DescriptionList
        items={[
          { label: "Id", value: <CodeInline>{account.id}</CodeInline> },
          { label: "Roles", value: account.roles.join(", ") || "none" },
          { label: "Created", value: <Time at={account.createdAt} /> },
          { label: "Last sign-in", value: <Time at={account.lastLoginAt} /> },
        ]}
      />
    </Card>
  );
}
