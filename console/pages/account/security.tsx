import { useState } from "preact/hooks";
import type { Session } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Button,
  Card,
  confirm,
  Field,
  Form,
  Input,
  Loaded,
  plural,
  Skeleton,
  Time,
  toast,
} from "../../ui/index.ts";
import { AccountPage, useAccount } from "./account-page.tsx";
import { deviceName } from "./device-name.ts";
import { SecondFactorCard } from "./second-factor.tsx";

export default function Security() {
  const account = useAccount();
  const sessions = useGet<{ readonly data: readonly Session[] }>("/auth/sessions");
  const count = sessions.data?.data.length;
  const factor = account.data?.secondFactor;
  const subtitle =
    account.data && count !== undefined
      ? `The second factor is ${factor?.enabled ? "on" : "off"}; you are signed in on ${plural(count, "device")}.`
      : undefined;
  return (
    <AccountPage tab="security" subtitle={subtitle}>
      <Loaded query={account} skeleton={<Skeleton kind="form" />}>
        {(loaded) => <SecondFactorCard account={loaded} reload={account.reload} />}
      </Loaded>
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

interface SessionsProps {
  readonly sessions: readonly Session[];
  readonly reload: () => void;
}

function Sessions({ sessions, reload }: SessionsProps) {
  const others = sessions.filter(({ current }) => !current);
  const end = async (ended: readonly Session[]) => {
    const [only] = ended;
    const title =
      ended.length === 1 && only
        ? `End the session on ${deviceName(only.userAgent)}?`
        : `End ${plural(ended.length, "other session")}?`;
    const text = "Its next request is refused, and its push notifications stop.";
    if (!(await confirm({ title, text, action: "End", danger: true }))) return;
    for (const { id } of ended) await api.del(`/auth/sessions/${id}`);
    reload();
  };
  return (
    <>
      <ul class="account-rows">
        {sessions.map((session) => (
          <li key={session.id}>
            <div>
              <span class="inline">
                <span dir="auto" title={session.userAgent}>
                  {deviceName(session.userAgent)}
                </span>
                {session.current && <Badge tone="ok">this one</Badge>}
              </span>
              <div class="muted small">
                {session.ip}, last used <Time at={session.lastUsedAt} />, signed in <Time at={session.createdAt} />
                {session.repeatedAt !== null && (
                  <>
                    , renewed twice with one token <Time at={session.repeatedAt} />
                  </>
                )}
              </div>
            </div>
            {!session.current && (
              <Button small onClick={() => end([session])}>
                End
              </Button>
            )}
          </li>
        ))}
      </ul>
      {others.length > 0 && (
        <div class="account-foot">
          <Button variant="danger" small onClick={() => end(others)}>
            Sign out everywhere else
          </Button>
        </div>
      )}
    </>
  );
}
