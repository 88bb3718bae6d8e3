import assert from "node:assert/strict";
import test from "node:test";
import Database from "better-sqlite3";
import type { ServiceTokenPage as Page } from "../../../../src/client/api-types.gen.ts";
import { isTokenOf } from "../../../../src/core/crypto/tokens.ts";
import { MIGRATIONS } from "../../../../src/store/sqlite/migrations.gen.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject } from "../../../helpers/people.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { logIn, makeAccount, outcomeOf, startAccounts } from "../sessions/support/auth-client.ts";

const PATH = "/api/v1/users/me/tokens";

test("a user creates own service tokens, with at most the user's permissions", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" }, { roles: ["Operator"] });
  await makeAccount(prism, { username: "bob" });
  const ann = { token: (await logIn(prism, "ann")).token };
  const bob = { token: (await logIn(prism, "bob")).token };
  const make = (body: object, as = ann) => prism.post<{ id: string; token: string }>(PATH, body, as);

  const made = await make({ name: "ci", scopes: ["users:read", "users:read"] });
  const service = { token: made.body.token };
  await t.test("it is shown once, carries its scopes and nothing else, and only its hash is kept", async () => {
    assert.equal(made.status, 201);
    assert.deepEqual(Object.keys(made.body), ["id", "token"]);
    assert.ok(isTokenOf("prt", made.body.token));
    assert.equal(scalarOf(prism, "select count(*) from service_tokens where hash = ?", made.body.token), 0);
    assert.equal((await prism.get("/api/v1/users", service)).status, 200);
    assert.equal(outcomeOf(await prism.get("/api/v1/roles", service)), "403 UNAUTHORIZED_ROLE");
    const ofAccount = await make({ name: "account", scopes: ["users:read", "account:own"] });
    const { body } = await prism.get<{ permissions: string[] }>("/api/v1/users/me", { token: ofAccount.body.token });
    assert.deepEqual(body.permissions, ["users:read"]);
    await prism.delete(`${PATH}/${ofAccount.body.id}`, ann);
  });

  await t.test("the list has everything but the secret, page by page, and of oneself only", async () => {
    await make({ name: "second", scopes: ["events:read"], expiresInMs: 60_000 });
    const first = await prism.get<Page>(`${PATH}?limit=1&page=1`, ann);
    assert.deepEqual([first.body.data[0]?.name, first.body.total], ["second", 2]);
    assert.equal(first.body.data[0]?.expiresAt, new Date(clock.now() + 60_000).toISOString());
    const rest = await prism.get<Page>(`${PATH}?limit=1&cursor=${first.body.nextCursor}`, ann);
    assert.deepEqual(
      [rest.body.data[0]?.name, rest.body.data[0]?.scopes, rest.body.nextCursor],
      ["ci", ["users:read"], null],
    );
    assert.ok(!rest.text.includes(made.body.token) && !/hash/.test(rest.text));
    assert.deepEqual((await prism.get<Page>(PATH, bob)).body.data, []);
  });

  for (const c of [
    { body: { name: "t", scopes: ["audit:read"] }, is: "403 SCOPE_MISSING" },
    { body: { name: "t", scopes: ["everything"] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "t", scopes: [] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "", scopes: ["users:read"] }, is: "400 VALIDATION_FAILED" },
    { body: { scopes: ["users:read"] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "t", scopes: ["users:read"], expiresInMs: 0 }, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`${JSON.stringify(c.body)} is refused with ${c.is}`, async () =>
      assert.equal(outcomeOf(await make(c.body)), c.is),
    );

  await t.test("a token makes, lists and revokes none, and a key has none", async () => {
    for (const reply of [
      await make({ name: "t", scopes: ["users:read"] }, service),
      await prism.get(PATH, service),
      await prism.delete(`${PATH}/${made.body.id}`, service),
      await prism.get(PATH, { apiKey: (await makeProject(prism)).apiKey }),
    ])
      assert.equal(outcomeOf(reply), "403 FORBIDDEN");
  });

  await t.test("S2-97: one that carries less than its person may do does not take the account over", async () => {
    const admin = await prism.post<{ id: string; token: string }>(PATH, { name: "t", scopes: ["users:manage"] });
    const as = { token: admin.body.token };
    const { id } = (await prism.get<{ id: string }>("/api/v1/users/me")).body;
    const path = `/api/v1/users/${id}`;
    const escalation = "422 PRIVILEGE_ESCALATION";
    assert.equal(outcomeOf(await prism.patch(path, { email: "mine@example.org" }, as)), escalation);
    assert.equal(outcomeOf(await prism.delete(path, as)), escalation);
    assert.equal(outcomeOf(await prism.put("/api/v1/users/me", { name: "Developer" }, as)), "403 SCOPE_MISSING");
  });

  await t.test("it never carries more than its person: a right that is taken is taken from it", async () => {
    const id = scalarOf<string>(prism, "select id from users where username = 'ann'");
    await prism.patch(`/api/v1/users/${id}`, { roles: ["User"] });
    assert.equal(outcomeOf(await prism.get("/api/v1/users", service)), "403 UNAUTHORIZED_ROLE");
    await prism.patch(`/api/v1/users/${id}`, { roles: ["Operator"] });
    assert.equal((await prism.get("/api/v1/users", service)).status, 200);
  });

  await t.test(
    "it is revoked once, by its owner, and refused from the next request on; so it is at its end",
    async () => {
      const path = `${PATH}/${made.body.id}`;
      assert.equal(outcomeOf(await prism.delete(path, bob)), "404 TOKEN_NOT_FOUND");
      assert.equal((await prism.delete(path, ann)).status, 204);
      assert.equal(outcomeOf(await prism.get("/api/v1/users", service)), "401 TOKEN_INVALID");
      assert.equal(outcomeOf(await prism.delete(path, ann)), "404 TOKEN_NOT_FOUND");
      assert.equal(outcomeOf(await prism.delete(`${PATH}/nonsense`, ann)), "404 TOKEN_NOT_FOUND");
      const short = await make({ name: "short", scopes: ["users:read"], expiresInMs: 1000 });
      assert.equal((await prism.get("/api/v1/users", { token: short.body.token })).status, 200);
      clock.advance(1001);
      assert.equal(outcomeOf(await prism.get("/api/v1/users", { token: short.body.token })), "401 TOKEN_EXPIRED");
    },
  );
});

test("a service token that was made for something else reaches nothing of its user's, over HTTP and live", async (t) => {
  const prism = await startAccounts(t);
  const account = await makeAccount(prism, { username: "ann" }, { roles: ["Admin"] });
  const login = await logIn(prism, "ann");
  const tokenFor = async (...scopes: string[]) =>
    (await prism.post<{ token: string }>(PATH, { name: "t", scopes }, { token: login.token })).body.token;
  const other = { token: await tokenFor("buckets:read") };
  const session = scalarOf<string>(prism, "select id from sessions where userId = ?", account.id);
  for (const reply of [
    await prism.get("/api/v1/notifications", other),
    await prism.get("/api/v1/notifications/missed", other),
    await prism.put("/api/v1/users/me", { phone: "+49151000000" }, other),
    await prism.put("/api/v1/users/me/push-tokens", { fcm: "a-device-of-a-stranger" }, other),
    await prism.put("/api/v1/users/me/preferences", { digest: false }, other),
    await prism.get("/api/v1/auth/sessions", other),
    await prism.delete(`/api/v1/auth/sessions/${session}`, other),
    await prism.get("/api/v1/projects", other),
    await prism.get("/api/v1/messages", other),
    await prism.get("/api/v1/timers", other),
  ])
    assert.equal(outcomeOf(reply), "403 SCOPE_MISSING");
  const channel = { socket_id: "1.2", channel_name: `private-user-${account.id}` };
  assert.equal(outcomeOf(await prism.post("/api/v1/users/me/pusher-auth", channel, other)), "403 CHANNEL_FORBIDDEN");
  const ticket = { stream: "user:me" };
  assert.equal(outcomeOf(await prism.post("/api/v1/realtime/ticket", ticket, other)), "403 CHANNEL_FORBIDDEN");
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, other.token);
  const refused = await socket.ask({ op: "subscribe", id: "s", stream: "user:me" });
  assert.match(JSON.stringify(refused), /"op":"error".*CHANNEL_FORBIDDEN/);

  const own = await tokenFor("notifications:own");
  assert.equal((await prism.get("/api/v1/notifications", { token: own })).status, 200);
  const follower = await WebSocketClient.welcomed(t, prism.wsUrl, own);
  assert.equal((await follower.ask({ op: "subscribe", id: "s", stream: "user:me" }))["op"], "subscribed");
  assert.equal(
    (await prism.get("/api/v1/users/me", { token: login.token })).status,
    200,
    "the owner is still logged in",
  );
});

test("at an upgrade a service token that was made for everything keeps its user's own things, a narrowed one gets none", () => {
  const db = new Database(":memory:");
  const sql = (name: string): string => MIGRATIONS.find((each) => each.name.startsWith(name))?.sql ?? "";
  db.exec(
    "create table service_tokens (id text, scopes text); create table projects (id text); create table users (id text); create table push_devices (id text);",
  );
  const add = db.prepare("insert into service_tokens values (?, ?)");
  add.run("whole", JSON.stringify(Array.from({ length: 35 }, (_, i) => `p:${i}`)));
  add.run("narrow", '["tasks:own"]');
  db.exec(sql("0008"));
  const scopesOf = (id: string): string[] =>
    JSON.parse(String(db.prepare("select scopes from service_tokens where id = ?").pluck().get(id)));
  assert.deepEqual(scopesOf("whole").slice(-3), ["p:34", "account:own", "notifications:own"]);
  assert.deepEqual(scopesOf("narrow"), ["tasks:own"]);
});
