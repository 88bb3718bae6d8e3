import assert from "node:assert/strict";
import test from "node:test";
import { answered } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { call, cookieOf, type LoginBody, outcomeOf, startAccounts, type UserBody } from "./support/auth-client.ts";

const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;

/** What the seeds' own clients send, and what they read of the answers. */
test("S0-24, S0-06, S0-22: S0's client fetches /dev/token and calls with Authorization: Bearer", async (t) => {
  const prism = await startAccounts(t);
  const { body } = await prism.get<{ token: string }>("/dev/token", { token: null });
  assert.deepEqual(Object.keys(body), ["token"]);
  assert.match(body.token, JWT);
  assert.equal((await prism.get("/notifications/dev", { token: body.token })).status, 200);
  assert.equal(outcomeOf(await prism.get("/notifications/dev", { token: null })), "401 UNAUTHENTICATED");
});

test("S1-28, S1-29, S1-30, S1-31: S1's client registers, logs in, uses, refreshes by cookie and logs out", async (t) => {
  keepsPromise(t, "S1-29");
  const prism = await startAccounts(t, { settings: { "auth.registration": "open" } });
  const account = { email: "ann@example.com", password: "securepassword" };
  const registered = await answered(201, call(prism, "/auth/register", account));
  assert.match(registered.body.accessToken, JWT);
  assert.equal(registered.body.status, "active");

  const loggedIn = await answered(200, call(prism, "/auth/login", account));
  const { accessToken, tokenType, expiresIn, user } = loggedIn.body;
  assert.match(accessToken, JWT);
  assert.deepEqual([tokenType, expiresIn, user.email], ["Bearer", 900, account.email]);
  assert.equal(loggedIn.body.refreshToken, undefined, "the refresh token is in the cookie only");
  const { pair } = cookieOf(loggedIn);
  assert.match(pair, /^prism_refresh=prr_[\w-]{43}$/);
  assert.equal((await prism.get("/projects", { token: accessToken })).status, 200);

  const refreshed = await answered(200, call(prism, "/auth/refresh", undefined, { Cookie: pair }));
  assert.notEqual(cookieOf(refreshed).pair, pair);
  assert.notEqual(refreshed.body.accessToken, accessToken);
  assert.equal((await prism.get("/projects", { token: refreshed.body.accessToken })).status, 200);

  const out = await answered(204, call(prism, "/auth/logout", undefined, { Cookie: cookieOf(refreshed).pair }));
  assert.match(out.headers.getSetCookie()[0] ?? "", /^prism_refresh=; Max-Age=0; /);
  assert.equal(outcomeOf(await prism.get("/projects", { token: refreshed.body.accessToken })), "401 SESSION_REVOKED");
  assert.equal(
    outcomeOf(await call(prism, "/auth/refresh", undefined, { Cookie: cookieOf(refreshed).pair })),
    "401 SESSION_REVOKED",
  );
});

test("S2-16, S2-17, S2-18, S2-19, S2-44, S2-108: S2's client registers, is approved with roles, logs in, refreshes, logs out", async (t) => {
  keepsPromise(t, ["S2-108", "S2-17"]);
  const prism = await startAccounts(t);
  const account = { email: "Bob@Example.com", phone: "+49 30 1234-567", password: "a long enough one" };
  const registered = await call<{ user: UserBody; status: string; token?: string }>(
    prism,
    "/api/v1/auth/register",
    account,
  );
  assert.deepEqual(
    [registered.status, registered.body.status, registered.body.user.status, registered.body.token],
    [201, "pending", "pending", undefined],
  );
  assert.deepEqual([registered.body.user.email, registered.body.user.phone], ["bob@example.com", "+49301234567"]);
  assert.deepEqual(registered.headers.getSetCookie(), []);
  const credentials = { email: account.email, password: account.password };
  assert.equal(outcomeOf(await call(prism, "/api/v1/auth/login", credentials)), "403 ACCOUNT_PENDING");

  const pending = await prism.get<{ data: UserBody[] }>("/api/v1/users/pending");
  assert.deepEqual(valuesOf(pending.body.data, "id"), [registered.body.user.id]);
  const approved = await prism.post<UserBody>(`/api/v1/users/${registered.body.user.id}/approve`, {
    roles: ["Operator"],
  });
  assert.deepEqual([approved.status, approved.body.status, approved.body.roles], [200, "active", ["Operator"]]);

  for (const names of [{ email: account.email }, { phone: "+49 (30) 1234567" }, { login: "+49301234567" }]) {
    const reply = await call(prism, "/api/v1/auth/login", { ...names, password: account.password });
    assert.equal(reply.status, 200, JSON.stringify(names));
  }
  const loggedIn = await call(prism, "/api/v1/auth/login", { ...credentials, tokenDelivery: "body" });
  assert.deepEqual(loggedIn.headers.getSetCookie(), [], "no cookie for a client that wants none");
  const { token, refreshToken } = loggedIn.body;
  assert.deepEqual(
    (await prism.get<UserBody>("/api/v1/users/me", { token })).body.roles,
    ["Operator"],
    "what was granted is in force",
  );
  const refreshed = await answered(200, call(prism, "/api/v1/auth/refresh", { refreshToken }));
  assert.match(refreshed.body.refreshToken ?? "", /^prr_/);
  const out = await call(prism, "/api/v1/auth/logout", undefined, {
    Authorization: `Bearer ${refreshed.body.token}`,
  });
  assert.equal(out.status, 204);
  assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token })), "401 SESSION_REVOKED");
});

test("S3-20, S3-21, S3-22, S3-23, S3-24: S3's client registers with its own body, logs in, changes its profile and logs out", async (t) => {
  keepsPromise(t, ["S3-20", "S3-21"]);
  const prism = await startAccounts(t, { settings: { "auth.registration": "open" } });
  const account = { email: "user@example.com", password: "securepassword" };
  const registered = await call(prism, "/api/auth/register", { ...account, name: "User Name" });
  assert.deepEqual([registered.status, registered.body.user.name], [201, "User Name"]);
  const { body } = await answered(200, call(prism, "/api/auth/login", account));
  assert.match(body.token, JWT);
  assert.deepEqual([body.user.email, body.user.name], [account.email, "User Name"]);
  const { token } = body;
  assert.equal((await prism.get<UserBody>("/api/profile", { token })).body.name, "User Name");
  const updated = await prism.put<UserBody>("/api/profile", { name: "Updated Name" }, { token });
  assert.deepEqual([updated.status, updated.body.name], [200, "Updated Name"]);
  await answered(204, call(prism, "/api/auth/logout", undefined, { Authorization: `Bearer ${token}` }));
  assert.equal(outcomeOf(await prism.get("/api/profile", { token })), "401 SESSION_REVOKED");
});

test("S4-12, S4-33, S4-35: S4's client logs in by username, reads token and user, and stays logged in by refreshing", async (t) => {
  const prism = await startAccounts(t);
  const registered = await call<LoginBody>(prism, "/auth/register", { username: "Carl", password: "not so common" });
  assert.deepEqual([registered.status, registered.body.status], [201, "pending"]);
  await prism.post(`/api/v1/users/${registered.body.user.id}/approve`);
  const { status, body } = await call(prism, "/auth/login", { username: "carl", password: "not so common" });
  assert.equal(status, 200);
  assert.match(body.token, JWT);
  assert.deepEqual([body.user.username, body.user.roles], ["carl", ["User"]]);

  const quiet = await call(prism, "/auth/login", {
    username: "carl",
    password: "not so common",
    tokenDelivery: "body",
    device: "Carl's phone",
  });
  const { token, refreshToken } = (await call(prism, "/auth/refresh", { refreshToken: quiet.body.refreshToken })).body;
  assert.match(refreshToken ?? "", /^prr_/);
  const sessions = await prism.get<{ data: { userAgent: string; current: boolean }[] }>("/api/v1/auth/sessions", {
    token,
  });
  assert.deepEqual(
    sessions.body.data.map(({ userAgent, current }) => [current, userAgent === "Carl's phone"]),
    [
      [true, true],
      [false, false],
    ],
    "both logins are listed, the device by its name",
  );
  assert.equal((await call(prism, "/auth/logout", { refreshToken })).status, 204);
  assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token })), "401 SESSION_REVOKED");
  assert.equal((await prism.get("/api/v1/users/me", { token: body.token })).status, 200, "the other login goes on");
});
