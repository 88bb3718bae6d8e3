import assert from "node:assert/strict";
import test from "node:test";
import type { Session } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { call, cookieOf, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";

const LOGOUT = "/api/v1/auth/logout";
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

test("S1-31, S2-19, S3-22, S2-05: logging out kills the access token at once and closes the session's live connections", async (t) => {
  keepsPromise(t, ["S1-31", "S2-05", "S2-19"]);
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" }, { roles: ["Operator"] });
  const here = await logIn(prism, "ann");
  const there = await logIn(prism, "ann");
  const [mine, other] = [
    await WebSocketClient.welcomed(t, prism.wsUrl, here.token),
    await WebSocketClient.welcomed(t, prism.wsUrl, there.token),
  ];
  const pulse = await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/default?token=${here.token}`);
  const events = await fetch(`${prism.url}/realtime/default/sse`, { headers: bearer(here.token) });
  assert.equal(events.status, 200);

  assert.equal((await call(prism, LOGOUT, undefined, bearer(here.token))).status, 204);
  assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token: here.token })), "401 SESSION_REVOKED");
  assert.equal((await mine.end).code, 4401);
  assert.equal((await pulse.end).code, 4401);
  assert.match(await events.text(), /event: auth_expired\ndata: \{\}\n\n$/);
  assert.equal(
    outcomeOf(await call(prism, "/auth/refresh", { refreshToken: here.refreshToken })),
    "401 SESSION_REVOKED",
  );
  assert.deepEqual((await other.ask({ op: "ping", id: "1" }))["op"], "pong", "the other login goes on");
  assert.equal((await prism.get("/api/v1/users/me", { token: there.token })).status, 200);
});

test("logging out everywhere ends all sessions of that user only", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  await makeAccount(prism, { username: "bob" });
  const logins = [await logIn(prism, "ann"), await logIn(prism, "ann"), await logIn(prism, "ann")];
  const bob = await logIn(prism, "bob");
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, logins[1]?.token ?? "");
  assert.equal((await call(prism, LOGOUT, { all: true }, bearer(logins[0]?.token ?? ""))).status, 204);
  for (const { token } of logins)
    assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token })), "401 SESSION_REVOKED");
  assert.equal((await socket.end).code, 4401);
  assert.equal((await prism.get("/api/v1/users/me", { token: bob.token })).status, 200);
  const rows = rowsOf<{ userId: string; metadata: string }>(
    prism,
    "select userId, metadata from audit_log where action = 'auth.logout'",
  );
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0]?.userId, (JSON.parse(rows[0]?.metadata ?? "") as { all: boolean }).all], [id, true]);
});

test("S1-31: logging out is idempotent, and any credential of the session will do", async (t) => {
  keepsPromise(t, "S1-31");
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const clear = "prism_refresh=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/";
  const credentials = async () => {
    const reply = await call(prism, "/auth/login", { login: "ann", password: PASSWORD });
    const { pair } = cookieOf(reply);
    return { token: reply.body.token, pair, refreshToken: pair.split("=")[1] ?? "" };
  };
  for (const [name, request] of [
    ["the cookie", ({ pair }) => [{}, { Cookie: pair }]],
    ["the refresh token", ({ refreshToken }) => [{ refreshToken }, {}]],
    ["an access token that is no good, and the cookie", ({ pair }) => [{}, { ...bearer("x.y.z"), Cookie: pair }]],
  ] as [string, (of: Awaited<ReturnType<typeof credentials>>) => [object, Record<string, string>]][]) {
    await t.test(name, async () => {
      const held = await credentials();
      const [body, headers] = request(held);
      for (let i = 0; i < 3; i++) {
        const reply = await call(prism, LOGOUT, body, headers);
        assert.equal(reply.status, 204);
        assert.deepEqual(reply.headers.getSetCookie(), [clear]);
      }
      assert.equal(
        outcomeOf(await call(prism, "/auth/refresh", { refreshToken: held.refreshToken })),
        "401 SESSION_REVOKED",
      );
    });
  }
  for (const headers of [{}, bearer("nonsense"), { Cookie: "prism_refresh=nonsense" }, { "X-API-Key": "prk_x" }])
    assert.equal((await call(prism, LOGOUT, undefined, headers)).status, 204);
  assert.equal(rowsOf(prism, "select 1 from audit_log where action = 'auth.logout'").length, 3, "one a session");
});

test("S4-35: one sees where one is logged in, and can end any of these logins", async (t) => {
  keepsPromise(t, "S4-35");
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  await makeAccount(prism, { username: "bob" });
  const list = async (token: string) =>
    (await prism.get<{ data: Session[] }>("/api/v1/auth/sessions", { token })).body.data;
  const phone = await call(
    prism,
    "/auth/login",
    { login: "ann", password: PASSWORD, device: "phone" },
    { "User-Agent": "x".repeat(300) },
  );
  const desk = await logIn(prism, "ann");
  const bob = await logIn(prism, "bob");
  const sessions = await list(desk.token);
  assert.equal(sessions.length, 2);
  const [current, other] = sessions;
  assert.ok(current && other);
  assert.deepEqual([current.current, other.current, other.userAgent], [true, false, "phone"]);
  assert.deepEqual(Object.keys(current).sort(), [
    "createdAt",
    "current",
    "id",
    "ip",
    "lastUsedAt",
    "repeatedAt",
    "userAgent",
    "via",
  ]);
  assert.equal(current.ip, "127.0.0.1");
  assert.match(current.createdAt, /^\d{4}-\d\d-\d\dT.*Z$/);

  const end = async (sessionId: string, token?: string) =>
    outcomeOf(await prism.delete(`/api/v1/auth/sessions/${sessionId}`, token === undefined ? {} : { token }));
  assert.equal(await end(other.id, bob.token), "404 SESSION_NOT_FOUND");
  assert.equal(await end("nonsense", desk.token), "404 SESSION_NOT_FOUND");
  assert.equal(await end("0198c0de-0000-7000-8000-000000000000", desk.token), "404 SESSION_NOT_FOUND");
  assert.equal((await prism.get("/api/v1/users/me", { token: phone.body.token })).status, 200);
  assert.equal(await end(other.id, desk.token), "204");
  assert.equal(await end(other.id, desk.token), "404 SESSION_NOT_FOUND");
  assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token: phone.body.token })), "401 SESSION_REVOKED");
  const shown = (await list(desk.token)).map(({ id: sessionId }) => sessionId);
  assert.deepEqual(shown, [current.id]);
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, desk.token);
  assert.equal(await end(current.id), "204", "an administrator ends anybody's");
  assert.equal((await socket.end).code, 4401);
  const rows = rowsOf<{ resourceId: string; metadata: string }>(
    prism,
    "select resourceId, metadata from audit_log where action = 'auth.logout' order by seq",
  );
  assert.deepEqual(
    rows.map(({ resourceId, metadata }) => [resourceId, JSON.parse(metadata) as unknown]),
    [
      [id, { sessionId: other.id, reason: "revoked" }],
      [id, { sessionId: current.id, reason: "revoked" }],
    ],
  );
});

test("a session that was left longer than its refresh token lasts is listed no more", async (t) => {
  const prism = await startAccounts(t, { settings: { "auth.refreshExpires": "1s", "auth.accessExpires": "1m" } });
  await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  await eventually("the list is empty", async () => {
    const { body } = await prism.get<{ data: Session[] }>("/api/v1/auth/sessions", { token });
    return body.data.length === 0;
  });
});

test("changing the password ends the other sessions and keeps the one it was done in", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const [here, there] = [await logIn(prism, "ann"), await logIn(prism, "ann")];
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, there.token);
  const reply = await prism.put(
    "/api/v1/users/me/password",
    { currentPassword: PASSWORD, password: "quite another one" },
    { token: here.token },
  );
  assert.equal(reply.status, 204);
  assert.equal((await socket.end).code, 4401);
  assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token: there.token })), "401 SESSION_REVOKED");
  assert.equal((await prism.get("/api/v1/users/me", { token: here.token })).status, 200);
  assert.equal((await call(prism, "/auth/refresh", { refreshToken: here.refreshToken })).status, 200);
  assert.equal(
    outcomeOf(await call(prism, "/auth/login", { login: "ann", password: PASSWORD })),
    "401 INVALID_CREDENTIALS",
  );
  await logIn(prism, "ann", "quite another one");
});

test("logging out removes the device of that login from push, and no other", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const [phone, tablet] = [await logIn(prism, "ann"), await logIn(prism, "ann")];
  const path = "/api/v1/users/me/push-tokens";
  await prism.put(path, { fcm: "token-of-the-phone" }, { token: phone.token });
  await prism.put(path, { apns: "ab".repeat(32) }, { token: tablet.token });
  assert.equal((await prism.post("/api/v1/auth/logout", {}, { token: phone.token })).status, 204);
  assert.deepEqual(rowsOf(prism, "select kind from push_devices"), [{ kind: "apns" }]);
  const me = await prism.get<{ pushTokens: object }>("/api/v1/users/me", { token: tablet.token });
  assert.deepEqual(me.body.pushTokens, { fcm: false, apns: true });
  const again = await logIn(prism, "ann");
  await prism.put(path, { apns: "ab".repeat(32) }, { token: again.token });
  await prism.post("/api/v1/auth/logout", {}, { token: tablet.token });
  assert.deepEqual(rowsOf(prism, "select kind from push_devices"), [{ kind: "apns" }], "it is the newer login's now");
});
