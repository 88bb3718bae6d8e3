import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { checkKeys } from "../../../../src/features/access/doctor.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import {
  call,
  type LoginBody,
  logIn,
  makeAccount,
  outcomeOf,
  startAccounts,
  type UserBody,
} from "../sessions/support/auth-client.ts";

const USERS = "/api/v1/users";

interface Inside {
  readonly user: UserBody;
  readonly login: Required<LoginBody>;
  readonly serviceToken: string;
  readonly socket: WebSocketClient;
  readonly serviceSocket: WebSocketClient;
}

/** A user with a login, a service token, and a socket with each. */
async function comeIn(t: test.TestContext, prism: TestPrism, username: string): Promise<Inside> {
  const user = await makeAccount(prism, { username }, { roles: ["Operator"] });
  const login = await logIn(prism, username);
  const { body } = await prism.post<{ token: string }>(
    `${USERS}/me/tokens`,
    { name: "t", scopes: ["events:read"] },
    { token: login.token },
  );
  return {
    user,
    login,
    serviceToken: body.token,
    socket: await WebSocketClient.welcomed(t, prism.wsUrl, login.token),
    serviceSocket: await WebSocketClient.welcomed(t, prism.wsUrl, body.token),
  };
}

test("S2-97, S3-15, S3-37: who is disabled or removed is out at once: the next request fails, sockets end, nothing of it comes back", async (t) => {
  const prism = await startAccounts(t);
  for (const c of [
    {
      how: "disabled",
      shut: (id: string) => prism.patch(`${USERS}/${id}`, { status: "disabled" }),
      access: "403 ACCOUNT_DISABLED",
      login: "403 ACCOUNT_DISABLED",
    },
    {
      how: "removed",
      shut: (id: string) => prism.delete(`${USERS}/${id}`),
      access: "401 TOKEN_INVALID",
      login: "401 INVALID_CREDENTIALS",
    },
  ])
    await t.test(c.how, async (t) => {
      const { user, login, serviceToken, socket, serviceSocket } = await comeIn(t, prism, `ann-${c.how}`);
      const path = `${USERS}/me`;
      assert.equal((await prism.get(path, { token: login.token })).status, 200);
      assert.ok((await c.shut(user.id)).status < 300);
      assert.equal(outcomeOf(await prism.get(path, { token: login.token })), c.access);
      assert.equal(outcomeOf(await prism.get(path, { token: serviceToken })), "401 TOKEN_INVALID");
      const refresh = await call(prism, "/api/v1/auth/refresh", { refreshToken: login.refreshToken });
      assert.equal(outcomeOf(refresh), "401 SESSION_REVOKED");
      const again = await call(prism, "/api/v1/auth/login", {
        username: user.username,
        password: "correct horse battery",
      });
      assert.equal(outcomeOf(again), c.login);
      assert.deepEqual([(await socket.end).code, (await serviceSocket.end).code], [4401, 4401]);
      const open = `select (select count(*) from sessions where userId = ? and revokedAt is null)
        + (select count(*) from service_tokens where userId = ? and revokedAt is null)`;
      assert.equal(scalarOf(prism, open, user.id, user.id), 0);
    });

  await t.test("a user who is enabled again must log in again: revoked tokens stay revoked", async (t) => {
    const { user, login, serviceToken } = await comeIn(t, prism, "bob");
    await prism.patch(`${USERS}/${user.id}`, { status: "disabled" });
    await prism.patch(`${USERS}/${user.id}`, { status: "active" });
    assert.equal(outcomeOf(await prism.get(`${USERS}/me`, { token: login.token })), "401 SESSION_REVOKED");
    assert.equal(outcomeOf(await prism.get(`${USERS}/me`, { token: serviceToken })), "401 TOKEN_INVALID");
    assert.equal((await logIn(prism, "bob")).user.id, user.id);
    const rows = prism.parts.base.store.reader
      .prepare<[string], string>(
        "select action from audit_log where resourceId = ? and action like 'user.%lock' order by seq",
      )
      .pluck()
      .all(user.id);
    assert.deepEqual(rows, ["user.lock", "user.unlock"]);
  });

  await t.test("API keys that a disabled account made are refused, and work again when it is enabled", async (t) => {
    const shop = await makeProject(prism);
    const { user, login } = await comeIn(t, prism, "eve");
    const member = { userId: user.id, role: "owner" };
    assert.equal((await prism.post(`/api/v1/projects/${shop.id}/members`, member)).status, 201);
    const made = await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, {}, { token: login.token });
    const ingest = async (apiKey: string) => outcomeOf(await prism.post("/api/v1/events", { type: "a" }, { apiKey }));
    const socket = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws`, { headers: { "X-API-Key": made.body.key } });
    await socket.expect({ op: "welcome" });
    assert.equal(await ingest(made.body.key), "202");
    await prism.patch(`${USERS}/${user.id}`, { status: "disabled" });
    assert.equal(await ingest(made.body.key), "403 ACCOUNT_DISABLED");
    assert.equal((await socket.end).code, 4401);
    assert.equal(await ingest(shop.apiKey), "202", "keys of others stay");
    await prism.patch(`${USERS}/${user.id}`, { status: "active" });
    assert.equal(await ingest(made.body.key), "202");
  });

  await t.test("a revoked role fails on the very next request, the login remains", async (t) => {
    const { user, login, socket } = await comeIn(t, prism, "cid");
    const list = () => prism.get(USERS, { token: login.token });
    assert.equal((await list()).status, 200);
    await prism.patch(`${USERS}/${user.id}`, { roles: ["User"] });
    assert.equal(outcomeOf(await list()), "403 UNAUTHORIZED_ROLE");
    assert.deepEqual((await prism.get<UserBody>(`${USERS}/me`, { token: login.token })).body.roles, ["User"]);
    assert.equal(socket.socket.readyState, 1);
  });
});

test("prism doctor names the keys of accounts that are disabled, or that an earlier version deleted", async (t) => {
  const prism = await startPrism(t);
  const { read } = prism.parts.base.database;
  assert.equal((await checkKeys(read, prism.parts.base.config))[0]?.severity, "ok");
  const project = await makeProject(prism);
  const [ben, uma] = [await makeUser(prism, "ben", ["User"]), await makeUser(prism, "uma", ["User"])];
  const keys: string[] = [];
  for (const { id, token } of [ben, uma]) {
    const member = { userId: id, role: "owner" };
    assert.equal((await prism.post(`/api/v1/projects/${project.id}/members`, member)).status, 201);
    const made = await prism.post<{ id: string }>(`/api/v1/projects/${project.id}/keys`, { name: "k" }, { token });
    keys.push(made.body.id);
  }
  await prism.services.db.write(async (trx) => {
    await trx.updateTable("users").set({ status: "disabled" }).where("id", "=", ben.id).execute();
    await trx.updateTable("users").set({ status: "disabled", deletedAt: 1 }).where("id", "=", uma.id).execute();
  });
  const [check] = await checkKeys(read, prism.parts.base.config);
  assert.equal(check?.severity, "warning");
  assert.match(check?.text ?? "", new RegExp(`${keys[0]} of shop \\(ben is disabled: refused\\)`));
  assert.match(check?.text ?? "", new RegExp(`${keys[1]} of shop \\(account deleted: works\\)`));
});

test("a user with very many sessions and timers is disabled and removed at once", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "script" }, { roles: ["Operator"] });
  const { token } = await logIn(prism, "script");
  const now = Date.now();
  const numbers = sql`with recursive n (i) as (select 1 union all select i + 1 from n where i < 40000)`;
  await prism.parts.base.database.write(async (trx) => {
    await sql`${numbers} insert into sessions (id, userId, family, userAgent, ip, createdAt, lastUsedAt, expiresAt)
      select 's' || i, ${id}, 'f' || i, '', '', ${now}, ${now}, ${now + 60_000} from n where true`.execute(trx);
    await sql`${numbers} insert into jobs (id, queue, kind, payload, state, runAt, maxAttempts, createdBy, createdAt)
      select 'j' || i, 'timers', 'timer', '{}', 'scheduled', ${now + 3_600_000}, 1, ${id}, ${now} from n where true`.execute(
      trx,
    );
  });
  assert.equal((await prism.patch(`${USERS}/${id}`, { status: "disabled" })).status, 200);
  assert.equal(scalarOf(prism, "select count(*) from sessions where revokedAt is null"), 1, "the administrator's");
  assert.notEqual((await prism.get("/api/v1/users/me", { token })).status, 200);
  assert.equal((await prism.delete(`${USERS}/${id}`)).status, 204);
  assert.equal(scalarOf(prism, "select count(*) from jobs where finishedAt is null and createdBy is not null"), 0);
});
