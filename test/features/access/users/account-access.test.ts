import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { makeServiceToken } from "../../../http/support/access/makers.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "../sessions/support/auth-client.ts";
import { challengeOf, protect, secondStep } from "../sessions/support/second-factor.ts";

const ME = "/api/v1/users/me";
const LOGIN = "/api/v1/auth/login";

interface List<T> {
  readonly data: readonly T[];
}

test("a manager of users sees a user's sessions, ends one, and ends all", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  const path = `/api/v1/users/${id}`;
  const first = await logIn(prism, "ann");
  const second = await logIn(prism, "ann");
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, second.token);
  const sessions = async () =>
    (await prism.get<List<{ id: string; current: boolean; ip: string }>>(`${path}/sessions`)).body.data;

  const [newest, oldest, ...more] = await sessions();
  assert.deepEqual([newest?.ip, newest?.current, more.length], ["127.0.0.1", false, 0]);
  assert.equal((await prism.delete(`/api/v1/auth/sessions/${oldest?.id}`)).status, 204);
  assert.equal(outcomeOf(await prism.get(ME, { token: first.token })), "401 SESSION_REVOKED");
  assert.equal((await prism.get(ME, { token: second.token })).status, 200);

  assert.equal((await prism.post(`${path}/sign-out`, {})).status, 204);
  assert.equal(outcomeOf(await prism.get(ME, { token: second.token })), "401 SESSION_REVOKED");
  assert.equal((await socket.end).code, 4401);
  assert.deepEqual(await sessions(), []);
  assert.equal((await prism.post(`${path}/sign-out`, {})).status, 204, "nothing to end");
  const recorded = rowsOf<{ metadata: string }>(
    prism,
    "select metadata from audit_log where action = 'auth.logout' and resourceId = ? order by seq",
    id,
  );
  const alls = recorded.map(({ metadata }) => JSON.parse(metadata).all);
  assert.deepEqual(alls, [undefined, true]);
});

test("a manager of users sees and revokes a user's service tokens, without their secrets", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  const { id: bob } = await makeAccount(prism, { username: "bob" });
  const one = await makeServiceToken(prism, id, { scopes: ["account:own"] });
  const two = await makeServiceToken(prism, id, { scopes: ["account:own"] });
  const path = `/api/v1/users/${id}/tokens`;
  const shown = await prism.get<List<{ id: string }>>(`${path}`);
  assert.deepEqual(valuesOf(shown.body.data, "id"), [two.id, one.id]);
  assert.ok(!shown.text.includes(one.token) && !/hash/i.test(shown.text));
  const paged = await prism.get<List<{ id: string }> & { nextCursor: string }>(`${path}?limit=1`);
  assert.ok(paged.body.nextCursor);

  assert.equal(outcomeOf(await prism.delete(`/api/v1/users/${bob}/tokens/${one.id}`)), "404 TOKEN_NOT_FOUND");
  assert.equal((await prism.get(ME, { token: one.token })).status, 200);
  assert.equal((await prism.delete(`${path}/${one.id}`)).status, 204);
  assert.equal((await prism.get(ME, { token: one.token })).status, 401);
  assert.equal((await prism.get(ME, { token: two.token })).status, 200);
  assert.equal(outcomeOf(await prism.delete(`${path}/${one.id}`)), "404 TOKEN_NOT_FOUND");
});

test("a manager neither signs out, unlocks nor revokes for a user with more rights, and unknown users are not found", async (t) => {
  const prism = await startAccounts(t);
  const boss = await makeAccount(prism, { username: "boss" }, { roles: ["Admin"] });
  const token = await makeServiceToken(prism, boss.id, { scopes: ["account:own"] });
  await prism.post("/api/v1/roles", { name: "Desk", permissions: ["users:manage"] });
  await makeAccount(prism, { username: "desk" }, { roles: ["Desk"] });
  const as = await logIn(prism, "desk");
  const path = `/api/v1/users/${boss.id}`;
  for (const refused of [
    await prism.post(`${path}/sign-out`, {}, as),
    await prism.post(`${path}/unlock`, {}, as),
    await prism.delete(`${path}/tokens/${token.id}`, as),
  ])
    assert.equal(outcomeOf(refused), "422 PRIVILEGE_ESCALATION");
  assert.equal((await prism.get(ME, { token: token.token })).status, 200);
  for (const unknown of ["0198c0de-7000-7000-8000-000000000000", "me", "none"]) {
    for (const reply of [
      await prism.get(`/api/v1/users/${unknown}/sessions`),
      await prism.post(`/api/v1/users/${unknown}/sign-out`, {}),
      await prism.post(`/api/v1/users/${unknown}/unlock`, {}),
    ])
      assert.equal(outcomeOf(reply), "404 USER_NOT_FOUND", unknown);
  }
});

test("unlocking an account clears its failed logins and codes, and no other account's", async (t) => {
  const settings = { "rateLimit.enabled": "true", "rateLimit.auth": "1000", "rateLimit.authName": "7" };
  const prism = await startAccounts(t, { clock: new FakeClock(), settings });
  const { id } = await makeAccount(prism, { username: "ann", email: "ann@example.com" });
  await makeAccount(prism, { username: "bob" });
  const { app } = await protect(prism, "ann");
  const attempt = async (login: string, password: string) => outcomeOf(await call(prism, LOGIN, { login, password }));
  const challenge = await challengeOf(prism, "ann");
  for (let i = 0; i < 5; i++) {
    for (const login of ["ann", "ann@example.com", "bob"])
      assert.equal(await attempt(login, "wrong"), "401 INVALID_CREDENTIALS");
    assert.equal(outcomeOf(await secondStep(prism, { challenge, code: app.wrong() })), "401 INVALID_CREDENTIALS");
  }
  for (const login of ["ann", "ann@example.com", "bob"])
    assert.equal(await attempt(login, PASSWORD), "429 RATE_LIMITED");
  assert.equal(outcomeOf(await secondStep(prism, { challenge, code: app.code() })), "429 RATE_LIMITED");

  assert.equal((await prism.post(`/api/v1/users/${id}/unlock`, {})).status, 204);
  for (const login of ["ann", "ann@example.com"])
    assert.equal(await attempt(login, PASSWORD), "401 SECOND_FACTOR_REQUIRED");
  assert.equal(await attempt("bob", PASSWORD), "429 RATE_LIMITED");
  assert.equal((await secondStep(prism, { challenge, code: app.code() })).status, 200);
  const [recorded] = rowsOf<{ metadata: string }>(
    prism,
    "select metadata from audit_log where action = 'user.unlock' and resourceId = ?",
    id,
  );
  assert.deepEqual(JSON.parse(recorded?.metadata ?? "{}"), { forgotten: "failed logins" });
});

test("GET /permissions describes every permission and the built-in roles, as docs/permissions.md does", async (t) => {
  const prism = await startAccounts(t);
  const { body } =
    await prism.get<List<{ name: string; description: string; builtInRoles: string[] }>>("/api/v1/permissions");
  for (const { name, description } of body.data) assert.match(description, /^[A-Z][^.]{8,100}$/, name);
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/permissions.md"), "utf8");
  const [head = "", ...rows] = page.split("\n").filter((line) => /^\| (permission|`\w+:\w+`) \|/.test(line));
  const cells = (line: string) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [, ...roles] = cells(head);
  assert.deepEqual(
    body.data.map(({ name, builtInRoles }) => [name, [...builtInRoles].sort()]),
    rows.map((line) => {
      const [name = "", ...held] = cells(line);
      return [name.replaceAll("`", ""), roles.filter((_role, at) => held[at] === "yes").sort()];
    }),
  );
});
