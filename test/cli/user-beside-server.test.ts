import assert from "node:assert/strict";
import test from "node:test";
import {
  call,
  logIn,
  makeAccount,
  outcomeOf,
  PASSWORD,
  startAccounts,
  type UserBody,
} from "../features/access/sessions/support/auth-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { WebSocketClient } from "../live/support/web-socket-client.ts";
import { runCli, runJson } from "./run-cli.ts";

const ME = "/api/v1/users/me";

test("prism user beside a running server: what it changes counts there at once", async (t) => {
  const prism = await startAccounts(t);
  const options = { cwd: prism.dir, env: { PRISM_AUTH_BCRYPT_COST: "4" } };
  const user = <T = UserBody>(...args: string[]) => runJson<T>(["user", ...args, "--data-dir", prism.dir], options);
  const login = (username: string, password = PASSWORD) =>
    call<unknown>(prism, "/api/v1/auth/login", { username, password });
  const until = (what: string, is: string, ask: () => Promise<Parameters<typeof outcomeOf>[0]>) =>
    eventually(what, async () => outcomeOf(await ask()) === is);

  await t.test("who is approved logs in with the roles given", async () => {
    await call(prism, "/api/v1/auth/register", { username: "ann", password: PASSWORD });
    assert.equal(outcomeOf(await login("ann")), "403 ACCOUNT_PENDING");
    await user("approve", "ann", "--role", "Viewer");
    await until("ann is let in", "200", () => login("ann"));
  });

  await t.test("roles that are given and taken", async () => {
    const { token } = await logIn(prism, "ann");
    assert.equal(outcomeOf(await prism.get("/api/v1/users", { token })), "403 UNAUTHORIZED_ROLE");
    await user("role", "ann", "--add", "Operator");
    await until("the right is there", "200", () => prism.get("/api/v1/users", { token }));
    await user("role", "ann", "--remove", "Operator");
    await until("the right is gone", "403 UNAUTHORIZED_ROLE", () => prism.get("/api/v1/users", { token }));
  });

  await t.test("who is disabled loses tokens and sockets, and comes back by a new login only", async (t) => {
    const { token } = await logIn(prism, "ann");
    const socket = await WebSocketClient.welcomed(t, prism.wsUrl, token);
    await user("disable", "ann");
    assert.equal((await socket.end).code, 4401);
    assert.equal(outcomeOf(await prism.get(ME, { token })), "403 ACCOUNT_DISABLED");
    await user("enable", "ann");
    await until("the session stays revoked", "401 SESSION_REVOKED", () => prism.get(ME, { token }));
    assert.equal((await login("ann")).status, 200);
  });

  await t.test("a new password ends the sessions and is the one that logs in", async () => {
    const { token } = await logIn(prism, "ann");
    const { status } = await runCli(["user", "passwd", "ann", "--stdin", "--data-dir", prism.dir], {
      ...options,
      input: "another good one\n",
    });
    assert.equal(status, 0);
    await until("the session has ended", "401 SESSION_REVOKED", () => prism.get(ME, { token }));
    assert.equal(outcomeOf(await login("ann")), "401 INVALID_CREDENTIALS");
    assert.equal((await login("ann", "another good one")).status, 200);
  });

  await t.test("unlock lets a user in who is locked out by failed logins", async () => {
    const { id } = await makeAccount(prism, { username: "bob" });
    // From as many addresses as it takes to close the name for a quarter of an hour.
    for (let i = 0; i < 50; i++) prism.parts.offers.accounts.backoff.begin("bob", `203.0.113.${i}`);
    assert.equal(outcomeOf(await login("bob")), "429 RATE_LIMITED");
    assert.deepEqual(await user<object>("unlock", "bob"), { id, unlocked: true });
    await until("bob is let in", "200", () => login("bob"));
    const { body } = await prism.get<{ data: { resourceId: string; actor: { type: string } }[] }>(
      "/api/v1/audit?action=user.unlock&limit=1",
    );
    assert.deepEqual([body.data[0]?.resourceId, body.data[0]?.actor.type], [id, "operator"]);
  });

  await t.test("who is deleted is gone, and the audit chain to which both have added is whole", async () => {
    await user("delete", "bob", "--yes");
    await until("bob is gone", "401 INVALID_CREDENTIALS", () => login("bob"));
    const { body } = await prism.get<{ ok: boolean }>("/api/v1/audit/verify");
    assert.equal(body.ok, true);
  });
});
