import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { runJson } from "../../../cli/run-cli.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { call, cookieOf, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";
import { challengeOf, FACTOR, protect, STEP_MS, secondStep } from "./support/second-factor.ts";

const LOGIN = "/api/v1/auth/login";
const ME = "/api/v1/users/me";

interface Profile {
  readonly secondFactor: {
    readonly enabled: boolean;
    readonly since: string | null;
    readonly recoveryCodesLeft: number;
  };
}

const NONE = { enabled: false, since: null, recoveryCodesLeft: 0, app: false, passkeys: 0 };

test("a login with a second factor takes two steps, and the second one opens the session", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, {
    clock,
    settings: { publicUrl: "http://localhost:4000" },
  });
  const { id } = await makeAccount(prism, { username: "ann" });
  const { app, uri, token, recoveryCodes } = await protect(prism, "ann");
  assert.match(uri, /^otpauth:\/\/totp\/Prism%20localhost:ann\?secret=[A-Z2-7]{32}&issuer=Prism%20localhost/);
  assert.equal(new Set(recoveryCodes).size, 10);
  for (const code of recoveryCodes) assert.match(code, /^[0-9a-z]{4}(-[0-9a-z]{4}){3}$/);

  await t.test("the password alone gives a challenge and nothing else", async () => {
    const reply = await call<Record<string, unknown>>(prism, LOGIN, { login: "ann", password: PASSWORD });
    assert.equal(outcomeOf(reply), "401 SECOND_FACTOR_REQUIRED");
    assert.deepEqual(Object.keys(reply.body), ["error"]);
    assert.deepEqual(reply.headers.getSetCookie(), []);
    assert.ok(!reply.text.includes(id));
    assert.equal(outcomeOf(await call(prism, LOGIN, { login: "ann", password: "wrong" })), "401 INVALID_CREDENTIALS");
  });

  await t.test("the code opens a session as the password would, once", async () => {
    const challenge = await challengeOf(prism, "ann");
    assert.equal(outcomeOf(await secondStep(prism, { challenge, code: app.wrong() })), "401 INVALID_CREDENTIALS");
    const body = { challenge, code: `${app.code().slice(0, 3)} ${app.code().slice(3)}`, rememberMe: false };
    const reply = await secondStep(prism, body);
    assert.deepEqual([reply.status, reply.body.user.id], [200, id], reply.text);
    const { attributes } = cookieOf(reply);
    assert.ok(attributes.includes("HttpOnly") && !attributes.some((each) => each.startsWith("Max-Age")));
    assert.equal((await prism.get(ME, { token: reply.body.token })).status, 200);
    assert.equal(outcomeOf(await secondStep(prism, body)), "410 LINK_EXPIRED");
  });

  await t.test("a code that was used is refused in another login, and a challenge is no other token", async () => {
    const challenge = await challengeOf(prism, "ann");
    assert.equal(outcomeOf(await secondStep(prism, { challenge, code: app.code() })), "401 INVALID_CREDENTIALS");
    assert.equal(outcomeOf(await call(prism, "/api/v1/auth/sign-in-link", { token: challenge })), "410 LINK_EXPIRED");
    assert.equal(
      outcomeOf(
        await call(prism, "/api/v1/auth/reset-password", { token: challenge, password: "a new horse battery" }),
      ),
      "410 LINK_EXPIRED",
    );
    assert.equal((await secondStep(prism, { challenge, code: app.code(1) })).status, 200);
  });

  await t.test("the profile shows its state, and neither profile nor trail nor files show a secret", async () => {
    const { secondFactor } = (await prism.get<Profile>(ME, { token })).body;
    assert.deepEqual([secondFactor.enabled, secondFactor.recoveryCodesLeft], [true, 10]);
    assert.ok(Math.abs(Date.parse(secondFactor.since ?? "") - clock.now()) < 3_600_000);
    const trail = rowsOf<{ action: string; metadata: string }>(
      prism,
      "select action, metadata from audit_log where resourceId = ? and action in ('user.second_factor', 'auth.login_failed', 'auth.login') order by seq",
      id,
    ).map(({ action, metadata }) => {
      const { sessionId: _id, ...rest } = JSON.parse(metadata);
      return [action, rest];
    });
    assert.deepEqual(trail, [
      ["auth.login", {}],
      ["user.second_factor", { enabled: true }],
      ["auth.login_failed", { reason: "password" }],
      ["auth.login_failed", { reason: "second factor" }],
      ["auth.login", { secondFactor: "code" }],
      ["auth.login_failed", { reason: "second factor" }],
      ["auth.login", { secondFactor: "code" }],
    ]);
    await prism.parts.base.store.committer.settled();
    const secret = new URL(uri).searchParams.get("secret") ?? "";
    for (const name of readdirSync(prism.dir).filter((each) => each.startsWith("prism.db"))) {
      const file = readFileSync(join(prism.dir, name));
      for (const each of [secret, ...recoveryCodes]) assert.ok(!file.includes(each), name);
    }
  });
});

test("enabling it asks for the password and a right code, and ends the user's other sessions", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const other = await logIn(prism, "ann");
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, other.token);
  const { token } = await logIn(prism, "ann");
  const confirm = (code: string) => prism.post(`${FACTOR}/confirm`, { code }, { token });

  assert.equal(outcomeOf(await prism.post(FACTOR, { password: "wrong" }, { token })), "401 INVALID_CREDENTIALS");
  assert.equal(outcomeOf(await confirm("123456")), "409 INVALID_STATE");
  const first = await prism.post<{ secret: string }>(FACTOR, { password: PASSWORD }, { token });
  const second = await prism.post<{ secret: string }>(FACTOR, { password: PASSWORD }, { token });
  assert.notEqual(first.body.secret, second.body.secret, "a pending secret is replaced");
  assert.deepEqual((await prism.get<Profile>(ME, { token })).body.secondFactor, NONE);
  await logIn(prism, "ann");
  assert.equal(outcomeOf(await confirm("not a code")), "401 INVALID_CREDENTIALS");

  const { token: kept } = await protect(prism, "ann");
  assert.equal((await prism.get(ME, { token: kept })).status, 200);
  assert.equal((await socket.end).code, 4401);
  for (const ended of [other.token, token])
    assert.equal(outcomeOf(await prism.get(ME, { token: ended })), "401 SESSION_REVOKED");
  const again = await prism.post(FACTOR, { password: PASSWORD }, { token: kept });
  assert.equal(outcomeOf(again), "409 INVALID_STATE");
});

test("each recovery code replaces a code once, however it is typed; new ones replace all", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { app, recoveryCodes, token } = await protect(prism, "ann");
  const [first = "", second = "", third = ""] = recoveryCodes;
  const use = async (recoveryCode: string) =>
    outcomeOf(await secondStep(prism, { challenge: await challengeOf(prism, "ann"), recoveryCode }));
  const left = async () => (await prism.get<Profile>(ME, { token })).body.secondFactor.recoveryCodesLeft;

  assert.equal(await use(first), "200");
  assert.equal(await left(), 9);
  assert.equal(await use(first), "401 INVALID_CREDENTIALS");
  assert.equal(await use(` ${second.toUpperCase().replaceAll("-", " ")}`), "200");
  assert.equal(await left(), 8);

  const atOnce = await Promise.all(
    [await challengeOf(prism, "ann"), await challengeOf(prism, "ann")].map((challenge) =>
      secondStep(prism, { challenge, recoveryCode: third }),
    ),
  );
  assert.deepEqual(atOnce.map(outcomeOf).sort(), ["200", "401 INVALID_CREDENTIALS"]);

  const renew = (body: object) => prism.post<{ recoveryCodes: string[] }>(`${FACTOR}/recovery-codes`, body, { token });
  assert.equal(outcomeOf(await renew({ password: PASSWORD })), "400 VALIDATION_FAILED");
  assert.equal(outcomeOf(await renew({ password: "wrong", code: app.code() })), "401 INVALID_CREDENTIALS");
  assert.equal(outcomeOf(await renew({ password: PASSWORD, code: app.wrong() })), "401 INVALID_CREDENTIALS");
  const renewed = await renew({ password: PASSWORD, code: app.code() });
  assert.equal(renewed.body.recoveryCodes.length, 10);
  assert.equal(await left(), 10);
  assert.equal(await use(recoveryCodes[4] ?? ""), "401 INVALID_CREDENTIALS");
  assert.equal(await use(renewed.body.recoveryCodes[0] ?? ""), "200");
});

test("its owner removes it with password and code; then the password is enough again", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { app, recoveryCodes, token } = await protect(prism, "ann");
  const remove = (body: object) => prism.request("DELETE", FACTOR, body, { token });
  for (const [body, outcome] of [
    [{ code: app.code() }, "400 VALIDATION_FAILED"],
    [{ password: PASSWORD }, "400 VALIDATION_FAILED"],
    [{ password: PASSWORD, code: app.code(), recoveryCode: recoveryCodes[0] }, "400 VALIDATION_FAILED"],
    [{ password: "wrong", code: app.code() }, "401 INVALID_CREDENTIALS"],
    [{ password: PASSWORD, code: app.wrong() }, "401 INVALID_CREDENTIALS"],
    [{ password: PASSWORD, recoveryCode: "0000-0000-0000-0000" }, "401 INVALID_CREDENTIALS"],
    [{ password: PASSWORD, recoveryCode: recoveryCodes[0] }, "204"],
    [{ password: PASSWORD, code: app.code() }, "409 INVALID_STATE"],
  ] as const)
    assert.equal(outcomeOf(await remove(body)), outcome);
  assert.deepEqual((await prism.get<Profile>(ME, { token })).body.secondFactor, NONE);
  await logIn(prism, "ann");
});

test("a challenge ends after five minutes, with a new password, and with a disabled account", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  const { id } = await makeAccount(prism, { username: "ann" });
  const { app } = await protect(prism, "ann");
  const prove = async (challenge: string) => outcomeOf(await secondStep(prism, { challenge, code: app.code() }));

  const late = await challengeOf(prism, "ann");
  clock.advance(5 * 60_000);
  assert.equal(await prove(late), "410 LINK_EXPIRED");

  const ofOldPassword = await challengeOf(prism, "ann");
  const { token } = (await secondStep(prism, { challenge: await challengeOf(prism, "ann"), code: app.code() })).body;
  const change = { currentPassword: PASSWORD, password: "a new horse battery" };
  assert.equal((await prism.put("/api/v1/users/me/password", change, { token })).status, 204);
  clock.advance(STEP_MS);
  assert.equal(await prove(ofOldPassword), "410 LINK_EXPIRED");

  const reply = await call<{ error: { details: { challenge: string }[] } }>(prism, LOGIN, {
    login: "ann",
    password: change.password,
  });
  const ofDisabled = reply.body.error.details[0]?.challenge ?? "";
  const admin = (await prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "disabled" }, { token: admin })).status, 200);
  assert.equal(await prove(ofDisabled), "410 LINK_EXPIRED");
  assert.equal(
    outcomeOf(await call(prism, LOGIN, { login: "ann", password: change.password })),
    "403 ACCOUNT_DISABLED",
  );
});

test("guesses of codes are slowed down like those of passwords, apart from them", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  const { app } = await protect(prism, "ann");
  const challenge = await challengeOf(prism, "ann");
  const guess = async (code: string) => outcomeOf(await secondStep(prism, { challenge, code }));
  for (let i = 0; i < 4; i++) assert.equal(await guess(app.wrong()), "401 INVALID_CREDENTIALS");
  assert.equal(await guess(app.wrong()), "401 INVALID_CREDENTIALS");
  assert.equal(await guess(app.code()), "429 RATE_LIMITED", "the right one waits, too");
  const other = await challengeOf(prism, "ann");
  assert.equal(outcomeOf(await secondStep(prism, { challenge: other, code: app.code() })), "429 RATE_LIMITED");
  clock.advance(1000);
  assert.equal(await guess(app.code()), "200");
});

test("the second step has the request limits of logins, by address and by account", async (t) => {
  const settings = { "rateLimit.enabled": "true", "rateLimit.auth": "1000", "rateLimit.authName": "4" };
  const prism = await startAccounts(t, { clock: new FakeClock(), settings });
  await makeAccount(prism, { username: "ann" });
  const { app } = await protect(prism, "ann");
  const challenge = await challengeOf(prism, "ann");
  const outcomes: string[] = [];
  for (let i = 0; i < 5; i++) outcomes.push(outcomeOf(await secondStep(prism, { challenge, code: app.wrong() })));
  assert.equal(outcomes[3], "401 INVALID_CREDENTIALS");
  assert.equal(outcomes[4], "429 RATE_LIMITED");
});

test("after a hundred wrong codes in a row only a recovery code counts", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const { id } = await makeAccount(prism, { username: "ann" });
  const { app, recoveryCodes } = await protect(prism, "ann");
  const { database } = prism.parts.base;
  await database.write((trx) =>
    trx.updateTable("second_factors").set({ failures: 99 }).where("userId", "=", id).execute(),
  );
  const challenge = await challengeOf(prism, "ann");
  const prove = async (proof: object) => outcomeOf(await secondStep(prism, { challenge, ...proof }));
  assert.equal(await prove({ code: app.wrong() }), "401 INVALID_CREDENTIALS");
  assert.equal(await prove({ code: app.code() }), "401 INVALID_CREDENTIALS");
  assert.equal(await prove({ recoveryCode: recoveryCodes[0] }), "200");
  assert.equal(
    outcomeOf(await secondStep(prism, { challenge: await challengeOf(prism, "ann"), code: app.code() })),
    "200",
    "which resets the count",
  );
});

test("a sign-in link and a reset password still ask for the second factor; service tokens do not", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const { id } = await makeAccount(prism, { username: "ann" }, { roles: ["Admin"] });
  const { app, token } = await protect(prism, "ann");
  const { body: service } = await prism.post<{ token: string }>(
    "/api/v1/users/me/tokens",
    { name: "t", scopes: ["users:read"] },
    { token },
  );
  assert.equal((await prism.get("/api/v1/users", { token: service.token })).status, 200);

  const { url } = await runJson<{ url: string }>(["user", "sign-in-link", "ann", "--data-dir", prism.dir], {
    cwd: prism.dir,
  });
  const reply = await call<{ error: { code: string; details: { challenge: string }[] } }>(
    prism,
    "/api/v1/auth/sign-in-link",
    { token: url.split("#token=")[1] },
  );
  assert.equal(outcomeOf(reply), "401 SECOND_FACTOR_REQUIRED");
  const challenge = reply.body.error.details[0]?.challenge ?? "";
  const opened = await secondStep(prism, { challenge, code: app.code() });
  assert.deepEqual([opened.status, opened.body.user.id], [200, id]);
});

test("an administrator and the operator remove the factor of others, and only theirs", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const ann = await makeAccount(prism, { username: "ann" }, { roles: ["Admin"] });
  await makeAccount(prism, { username: "bob" }, { roles: ["Operator"] });
  const { token } = await protect(prism, "ann");
  const path = `/api/v1/users/${ann.id}/second-factor`;

  assert.equal(outcomeOf(await prism.delete(path, { token })), "409 INVALID_STATE", "not one's own");
  const { body: role } = await prism.post<{ name: string }>("/api/v1/roles", {
    name: "Desk",
    permissions: ["users:manage"],
  });
  await makeAccount(prism, { username: "desk" }, { roles: [role.name] });
  const desk = await logIn(prism, "desk");
  assert.equal(outcomeOf(await prism.delete(path, { token: desk.token })), "422 PRIVILEGE_ESCALATION");
  const { body: shown } = await prism.get<Profile>(`/api/v1/users/${ann.id}`);
  assert.equal(shown.secondFactor.enabled, true);
  assert.equal((await prism.delete(path)).status, 204);
  assert.equal(outcomeOf(await prism.delete(path)), "409 INVALID_STATE");
  await logIn(prism, "ann");

  await protect(prism, "bob");
  const done = await runJson<{ username: string }>(["user", "reset-second-factor", "bob", "--data-dir", prism.dir], {
    cwd: prism.dir,
  });
  assert.equal(done.username, "bob");
  await logIn(prism, "bob");
  const actors = rowsOf<{ actor: string }>(
    prism,
    "select actor from audit_log where action = 'user.second_factor' and json_extract(metadata, '$.enabled') = 0 order by seq",
  );
  const types = actors.map(({ actor }) => JSON.parse(actor).type);
  assert.deepEqual(types, ["user", "operator"]);
});

test("a password proves nothing for an account without one, and a removed account loses its secret", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  assert.equal(outcomeOf(await prism.post(FACTOR, { password: PASSWORD })), "401 INVALID_CREDENTIALS");
  const { id } = await makeAccount(prism, { username: "ann" });
  await protect(prism, "ann");
  assert.equal((await prism.delete(`/api/v1/users/${id}`)).status, 204);
  assert.deepEqual(rowsOf(prism, "select 1 from second_factors"), []);
});
