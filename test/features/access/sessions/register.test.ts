import assert from "node:assert/strict";
import test from "node:test";
import { register as registerAccount } from "../../../../src/features/access/sessions/login.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import {
  call,
  cookieOf,
  type LoginBody,
  logIn,
  makeAccount,
  outcomeOf,
  PASSWORD,
  startAccounts,
  type UserBody,
} from "./support/auth-client.ts";

const REGISTER = "/api/v1/auth/register";
const ANN = { email: "ann@example.com", password: PASSWORD };

test("D14, S1-28, S2-16: what registering makes is the server's policy", async (t) => {
  keepsPromise(t, ["S1-28", "S2-16"]);
  for (const [registration, outcome, status, hasTokens, roles] of [
    ["approval", "201", "pending", false, []],
    ["open", "201", "active", true, ["User"]],
    ["closed", "403 REGISTRATION_CLOSED", undefined, false, undefined],
  ] as const) {
    await t.test(registration, async (t) => {
      const prism = await startAccounts(t, { settings: { "auth.registration": registration } });
      const reply = await call<Partial<LoginBody>>(prism, REGISTER, ANN);
      assert.equal(outcomeOf(reply), outcome);
      const { body } = reply;
      assert.deepEqual([body.status, body.user?.status, body.user?.roles], [status, status, roles]);
      assert.equal(body.token !== undefined && cookieOf(reply).pair.startsWith("prism_refresh=prr_"), hasTokens);
      const rows = rowsOf<{ resourceId: string }>(
        prism,
        "select resourceId from audit_log where action = 'user.register' and json_extract(actor, '$.type') != 'system'",
      );
      assert.deepEqual(valuesOf(rows, "resourceId"), body.user ? [body.user.id] : []);
      assert.equal(
        scalarOf(prism, "select count(*) from users where email = ?", ANN.email),
        status === undefined ? 0 : 1,
      );
      const login = await call(prism, "/auth/login", ANN);
      const expected = { approval: "403 ACCOUNT_PENDING", open: "200", closed: "401 INVALID_CREDENTIALS" };
      assert.equal(outcomeOf(login), expected[registration]);
    });
  }
});

test("S2-94: what cannot be an account is refused, naming the member", async (t) => {
  const prism = await startAccounts(t, { settings: { "auth.registration": "open" } });
  await makeAccount(prism, { username: "taken", email: "taken@example.com", phone: "+4930111111" });
  const account = { username: "ann", email: "ann@example.com", password: PASSWORD };
  for (const [change, outcome, path] of [
    [{ email: "taken@example.com" }, "409 EMAIL_TAKEN", "email"],
    [{ email: " Taken@Example.COM " }, "409 EMAIL_TAKEN", "email"],
    [{ username: "Taken" }, "409 USERNAME_TAKEN", "username"],
    [{ phone: "+49 30 111-111" }, "409 PHONE_TAKEN", "phone"],
    [{ email: "no address" }, "400 VALIDATION_FAILED", "email"],
    [{ email: "a@b@c" }, "400 VALIDATION_FAILED", "email"],
    [{ email: "eve@example.com,ann@example.com" }, "400 VALIDATION_FAILED", "email"],
    [{ email: "eve<ann@example.com>" }, "400 VALIDATION_FAILED", "email"],
    [{ email: `${"x".repeat(250)}@a.de` }, "400 VALIDATION_FAILED", "email"],
    [{ username: "a" }, "400 VALIDATION_FAILED", "username"],
    [{ username: "+4930222222" }, "400 VALIDATION_FAILED", "username"],
    [{ username: "ann@example.com" }, "400 VALIDATION_FAILED", "username"],
    [{ phone: "030 1234567" }, "400 VALIDATION_FAILED", "phone"],
    [{ timezone: "Mars/Olympus" }, "400 INVALID_TIMEZONE", "timezone"],
    [{ name: "x".repeat(256) }, "400 VALIDATION_FAILED", "name"],
    [{ password: "1234567" }, "422 WEAK_PASSWORD", "password"],
    [{ password: "ann@example.com" }, "422 WEAK_PASSWORD", "password"],
    [{ password: "" }, "400 VALIDATION_FAILED", "password"],
    [{ password: "a\0b".padEnd(12) }, "400 VALIDATION_FAILED", "password"],
    [{ password: "ä".repeat(513) }, "400 VALIDATION_FAILED", "password"],
    [{ email: undefined, username: undefined }, "400 VALIDATION_FAILED", "email"],
    [{ email: undefined, username: undefined, phone: "+4930222222" }, "400 VALIDATION_FAILED", "email"],
    [{ roles: ["Admin"] }, "400 VALIDATION_FAILED", "roles"],
    [{ status: "active" }, "400 VALIDATION_FAILED", "status"],
    [{ inviteToken: "unknown" }, "410 LINK_EXPIRED", undefined],
    [{ setupToken: "unknown" }, "403 FORBIDDEN", undefined],
  ] as const) {
    await t.test(`${JSON.stringify(change).slice(0, 60)}: ${outcome}`, async () => {
      const reply = await call<{ error?: { details?: { path: string }[] } }>(prism, REGISTER, {
        ...account,
        ...change,
      });
      assert.equal(outcomeOf(reply), outcome, reply.text);
      assert.equal(reply.body.error?.details?.[0]?.path, path);
    });
  }
  assert.equal(scalarOf(prism, "select count(*) from users where username = 'ann'"), 0);
  assert.equal(
    (await call(prism, REGISTER, { ...account, name: " Ann\u202e ", timezone: "Europe/Berlin" })).status,
    201,
  );
});

test("of two who register one name side by side, one has it", async (t) => {
  const prism = await startAccounts(t);
  const replies = await Promise.all(Array.from({ length: 4 }, () => call(prism, REGISTER, ANN)));
  assert.deepEqual(replies.map(outcomeOf).sort(), ["201", "409 EMAIL_TAKEN", "409 EMAIL_TAKEN", "409 EMAIL_TAKEN"]);
});

test("an invitation is accepted by registering with its token, also where registration is closed, and is good once", async (t) => {
  const prism = await startAccounts(t, { settings: { "auth.registration": "closed" } });
  const invited = await prism.post<UserBody & { inviteUrl: string }>("/api/v1/users", {
    email: "Ann@Example.com",
    roles: ["Operator"],
  });
  const inviteToken = invited.body.inviteUrl.split("#token=")[1];
  assert.ok(inviteToken);
  const attempt = (change: object) => call(prism, REGISTER, { password: PASSWORD, inviteToken, ...change });
  assert.equal(outcomeOf(await attempt({ password: "ann@example.com" })), "422 WEAK_PASSWORD");
  assert.equal(outcomeOf(await attempt({ username: "dev" })), "409 USERNAME_TAKEN");
  const accepted = await attempt({ username: "ann", name: "Ann", email: "eve@example.com" });
  assert.equal(accepted.status, 201);
  const { user, token, status } = accepted.body;
  assert.deepEqual(
    [user.id, user.email, user.username, user.name, user.roles, status],
    [invited.body.id, "ann@example.com", "ann", "Ann", ["Operator"], "active"],
    "the address is the one that the invitation went to",
  );
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 200);
  await logIn(prism, "ann@example.com");
  assert.equal(outcomeOf(await attempt({})), "410 LINK_EXPIRED");
});

test("an invitation to an account that was closed or removed since opens nothing", async (t) => {
  const prism = await startAccounts(t);
  for (const [email, close] of [
    ["closed@example.com", (id: string) => prism.patch(`/api/v1/users/${id}`, { status: "disabled" })],
    ["removed@example.com", (id: string) => prism.delete(`/api/v1/users/${id}`)],
    ["rejected@example.com", (id: string) => prism.post(`/api/v1/users/${id}/reject`)],
  ] as const) {
    const { body } = await prism.post<UserBody & { inviteUrl: string }>("/api/v1/users", { email });
    const inviteToken = body.inviteUrl.split("#token=")[1];
    const closed = await close(body.id);
    assert.ok(closed.status < 300, closed.text);
    assert.equal(
      outcomeOf(await call(prism, REGISTER, { password: PASSWORD, inviteToken })),
      "410 LINK_EXPIRED",
      email,
    );
    assert.notEqual(scalarOf(prism, "select status from users where id = ?", body.id), "active");
  }
});

test("a registration that fails at its end leaves no rows", async (t) => {
  const prism = await startAccounts(t, { settings: { "auth.registration": "open" } });
  const { accounts } = prism.parts.offers;
  const record = accounts.audit.record.bind(accounts.audit);
  const broken = t.mock.method(accounts.audit, "record", (...given: Parameters<typeof record>) =>
    given[0].action === "auth.login" ? Promise.reject(new Error("disk I/O error")) : record(...given),
  );
  await assert.rejects(registerAccount(accounts, { ...ANN }, { ip: "127.0.0.1", userAgent: "" }), /disk I\/O error/);
  broken.mock.restore();
  assert.equal(scalarOf(prism, "select count(*) from users where email = ?", ANN.email), 0);
  assert.equal((await call(prism, REGISTER, ANN)).status, 201);
});
