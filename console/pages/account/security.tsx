import { useState } from "preact/hooks";
import type { Session } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import { Button, Card, Field, Form, Input, Loaded, plural, Skeleton, toast } from "../../ui/index.ts";
import { AccountPage, useAccount } from "./account-page.tsx";
import { IdentitiesCard } from "./identities.tsx";
import { PasskeysCard } from "./passkeys.tsx";
import { SecondFactorCard } from "./second-factor.tsx";
import { Sessions } from "./sessions.tsx";

export default function Security() {
  const account = useAccount();
  const sessions = useGet<{ readonly data: readonly Session[] }>("/auth/sessions");
  const count = sessions.data?.data.length;
  const factor = account.data?.secondFactor;
  const changed = () => {
    account.reload();
    sessions.reload();
  };
  const subtitle =
    account.data && count !== undefined
      ? `The second factor is ${factor?.enabled ? "on" : "off"}; you are signed in on ${plural(count, "device")}.`
      : undefined;
  return (
    <AccountPage tab="security" subtitle={subtitle}>
      <Loaded query={account} skeleton={<Skeleton kind="form" />}>
        {(loaded) => (
          <>
            <SecondFactorCard account={loaded} reload={account.reload} />
            <PasskeysCard account={loaded} onDone={changed} />
          </>
        )}
      </Loaded>
      <IdentitiesCard />
      <PasswordCard onChanged={sessions.reload} />
      <Card title="Sessions" sub="Browsers and programs that are signed in as you.">
        <Loaded query={sessions}>{({ data }) => <Sessions sessions={data} reload={sessions.reload} />}</Loaded>
      </Card>
    </AccountPage>
  );
}

function PasswordCard({ onChanged }: { readonly onChanged: () => void }) {
  const [currentPassword, setCurrentPassword] = useState("");
  const [password, setPassword] = useState("");
  const change = async () => {
    await api.put("/users/me/password", { currentPassword, password });
    setCurrentPassword("");
    setPassword("");
    onChanged();
    toast.ok("Your password is changed. Your other sessions have ended.");
  };
  return (
    <Card
      title="Password"
      sub="A new password ends your other sessions. An account without a password gets one with prism user passwd on the server."
    >
      <Form onSubmit={change} label="Password">
        <div class="grid2">
          <Field label="Current password">
            <Input
              type="password"
              value={currentPassword}
              onChange={setCurrentPassword}
              autocomplete="current-password"
            />
          </Field>
          <Field label="New password">
            <Input type="password" value={password} onChange={setPassword} autocomplete="new-password" />
          </Field>
        </div>
        <div>
          <Button type="submit" disabled={currentPassword === "" || password === ""}>
            Change password
          </Button>
        </div>
      </Form>
    </Card>
  );
}
