import assert from "node:assert/strict";
import test from "node:test";
import bcrypt from "bcrypt";
import { loadConfig } from "../../../../src/config/load.ts";
import { setPassword } from "../../../../src/features/access/sessions/login.ts";
import { createUser } from "../../../../src/features/access/users/create-user.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts, type UserBody } from "./support/auth-client.ts";

const LOGIN = "/api/v1/auth/login";

test("D11, S4-12: one of login, email, username and phone names the account, however it is spelled", async (t) => {
  keepsPromise(t, "S4-12");
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann.b", email: "ann@exämple.com", phone: "+49 30 123456" });
  for (const [names, outcome] of [
    [{ login: "ann.b" }, "200"],
    [{ login: " ANN.B " }, "200"],
    [{ login: "Ann@Exämple.com" }, "200"],
    [{ login: "ANN@EXA\u0308MPLE.COM" }, "200"],
    [{ login: "+49 (30) 12-34.56" }, "200"],
    [{ username: "Ann.B" }, "200"],
    [{ email: "ann@exämple.com" }, "200"],
    [{ phone: "+49-30-123456" }, "200"],
    [{ username: "ann@exämple.com" }, "200"],
    [{ email: "ann.b" }, "401 INVALID_CREDENTIALS"],
    [{ phone: "030 123456" }, "401 INVALID_CREDENTIALS"],
    [{ login: id }, "401 INVALID_CREDENTIALS"],
    [{}, "400 VALIDATION_FAILED"],
    [{ login: "" }, "400 VALIDATION_FAILED"],
    [{ login: "ann.b", username: "ann.b" }, "400 VALIDATION_FAILED"],
    [{ login: 7 }, "400 VALIDATION_FAILED"],
    [{ login: { $ne: "" } }, "400 VALIDATION_FAILED"],
    [{ login: "' or 1=1 --" }, "401 INVALID_CREDENTIALS"],
  ] as const) {
    await t.test(`${JSON.stringify(names)}: ${outcome}`, async () => {
      assert.equal(outcomeOf(await call(prism, LOGIN, { ...names, password: PASSWORD })), outcome);
    });
  }
});

test("D12, D13: a login answers with all that the seeds' clients read, and nothing else of the account", async (t) => {
  const prism = await startAccounts(t, { settings: { "auth.accessExpires": "10m" } });
  await makeAccount(prism, { username: "ann", email: "ann@example.com" });
  const { body, headers } = await call<Record<string, unknown> & { user: object }>(prism, LOGIN, {
    login: "ann",
    password: PASSWORD,
  });
  assert.deepEqual(Object.keys(body).sort(), ["accessToken", "expiresIn", "offsets", "token", "tokenType", "user"]);
  assert.equal(body["token"], body["accessToken"]);
  assert.deepEqual([body["tokenType"], body["expiresIn"]], ["Bearer", 600]);
  assert.equal(headers.get("cache-control"), "no-store");
  assert.deepEqual(
    Object.keys(body.user).sort(),
    [
      "createdAt",
      "effectiveTimezone",
      "email",
      "emailVerified",
      "externalId",
      "hasPassword",
      "id",
      "lastLoginAt",
      "locale",
      "name",
      "permissions",
      "phone",
      "pusherChannels",
      "pushTokens",
      "roleSources",
      "roles",
      "secondFactor",
      "status",
      "timezone",
      "updatedAt",
      "username",
    ].sort(),
  );
});

test("a login says how far the live streams are: later entries have larger offsets", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  const offsets = async () => {
    const login = { login: "ann", password: PASSWORD };
    return (await call<{ offsets: { projects: number; others: number } }>(prism, LOGIN, login)).body.offsets;
  };
  const before = await offsets();
  await prism.post("/api/v1/events", { type: "disk.full" });
  await prism.post("/api/v1/notifications", { userId: "no-password", title: "t", message: "m" });
  await eventually("both counters have gone on", async () => {
    const after = await offsets();
    return after.projects > before.projects && after.others > before.others;
  });
});

test("a wrong password, an unknown name and an account without password are refused in the same words", async (t) => {
  const prism = await startAccounts(t);
  await makeAccount(prism, { username: "ann" });
  await prism.post("/api/v1/notifications", { userId: "no-password", title: "t", message: "m" });
  const answers = [];
  for (const [login, password] of [
    ["ann", "wrong password"],
    ["nobody", "wrong password"],
    ["nobody", PASSWORD],
    ["no-password", ""],
    ["no-password", "nobody"],
    ["dev", "dev"],
  ] as const) {
    const { status, text, headers } = await call(prism, LOGIN, { login, password: password || " " });
    answers.push([status, text.replace(/"requestId":"[^"]+"/, ""), headers.get("www-authenticate")]);
  }
  assert.equal(answers[0]?.[0], 401);
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
});

test("S2-10: the reason why an account is inactive is only returned to a caller with its password", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  for (const [status, outcome] of [
    ["pending", "403 ACCOUNT_PENDING"],
    ["unverified", "403 ACCOUNT_UNVERIFIED"],
    ["disabled", "403 ACCOUNT_DISABLED"],
  ] as const) {
    await prism.services.db.write((trx) => trx.updateTable("users").set({ status }).where("id", "=", id).execute());
    const right = await call(prism, LOGIN, { login: "ann", password: PASSWORD });
    assert.equal(outcomeOf(right), outcome);
    assert.deepEqual(right.headers.getSetCookie(), []);
    assert.equal(
      outcomeOf(await call(prism, LOGIN, { login: "ann", password: "wrong" })),
      "401 INVALID_CREDENTIALS",
      status,
    );
  }
  assert.equal(scalarOf(prism, "select count(*) from sessions where userId = ?", id), 0);
});

test("an account that is removed cannot log in, and its name is free again", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  assert.equal((await prism.delete(`/api/v1/users/${id}`)).status, 204);
  assert.equal(outcomeOf(await call(prism, LOGIN, { login: "ann", password: PASSWORD })), "401 INVALID_CREDENTIALS");
  const again = await makeAccount(prism, { username: "ann" }, { password: "another good one" });
  assert.notEqual(again.id, id);
  assert.equal((await logIn(prism, "ann", "another good one")).user.id, again.id);
});

test("D17: a password of up to 1024 bytes counts whole; a value that cannot be a password is refused alike for every name, and does not count as a guess", async (t) => {
  const prism = await startAccounts(t);
  const long = "ä".repeat(512);
  await makeAccount(prism, { username: "ann" }, { password: long });
  assert.equal((await logIn(prism, "ann", long)).user.username, "ann");
  assert.equal(
    (await logIn(prism, "ann", "a\u0308".repeat(512))).user.username,
    "ann",
    "typed otherwise, NFKC is equal",
  );
  for (const wrong of [`${"ä".repeat(511)}b`, "ä".repeat(511), "ä".repeat(36)])
    assert.equal(outcomeOf(await call(prism, LOGIN, { login: "ann", password: wrong })), "401 INVALID_CREDENTIALS");
  const answers = new Set<string>();
  for (const login of ["ann", "nobody"]) {
    for (const password of ["ä".repeat(513), "x".repeat(1025), "a\0b", "\0"]) {
      const reply = await call(prism, LOGIN, { login, password });
      assert.equal(outcomeOf(reply), "400 VALIDATION_FAILED", password.slice(0, 5));
      answers.add(`${password.length} ${reply.text.replace(/"requestId":"[^"]+"/, "")}`);
    }
  }
  assert.equal(answers.size, 4, "one answer a password, whatever the name");
  // Three guesses were wrong; had the others counted, the back-off would have begun.
  assert.equal((await logIn(prism, "ann", long)).user.username, "ann");
});

test("S2-93: a hash is bcrypt of cost 12 unless the operator says otherwise, and replaced at login when the cost has changed", async (t) => {
  keepsPromise(t, "S2-93");
  const { config } = loadConfig({ flags: {}, environment: {}, workingDir: "/nowhere" });
  assert.equal(config.auth.bcryptCost, 12);

  const prism = await startAccounts(t, { settings: { "auth.bcryptCost": "6" } });
  const { id } = await makeAccount(prism, { username: "ann" });
  const hash = (): string => scalarOf<string>(prism, "select passwordHash from users where id = ?", id) ?? "";
  assert.match(hash(), /^\$2b\$06\$/);
  // As another program, or another time, made it.
  const old = bcrypt.hashSync(PASSWORD, 4);
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ passwordHash: old }).where("id", "=", id).execute(),
  );
  await call(prism, LOGIN, { login: "ann", password: "wrong" });
  assert.equal(hash(), old, "a wrong password changes nothing");
  await Promise.all(["a", "b", "c"].map(() => logIn(prism, "ann")));
  assert.match(hash(), /^\$2b\$06\$/);
  await logIn(prism, "ann");
});

test("a login that was under way when the password was changed, or the account closed, comes to nothing", async (t) => {
  const prism = await startAccounts(t);
  const { db } = prism.services;
  const { accounts } = prism.parts.offers;
  const { passwords } = accounts;
  const verify = passwords.verify.bind(passwords);
  for (const [what, outcome, change] of [
    ["another password", "401 INVALID_CREDENTIALS", (id: string) => setPassword(accounts, id, "quite another one")],
    [
      "closed",
      "403 ACCOUNT_DISABLED",
      (id: string) =>
        db.write((trx) => trx.updateTable("users").set({ status: "disabled" }).where("id", "=", id).execute()),
    ],
    [
      "removed",
      "401 INVALID_CREDENTIALS",
      (id: string) => db.write((trx) => trx.updateTable("users").set({ deletedAt: 1 }).where("id", "=", id).execute()),
    ],
  ] as const) {
    await t.test(what, async (t) => {
      const username = what.replace(" ", "-");
      const { id } = await makeAccount(prism, { username });
      // Between the check of the password and the opening of the session.
      t.mock.method(passwords, "verify", async (password: string, hash: string | null) => {
        const isRight = await verify(password, hash);
        await change(id);
        return isRight;
      });
      assert.equal(outcomeOf(await call(prism, LOGIN, { login: username, password: PASSWORD })), outcome);
      assert.equal(scalarOf(prism, "select count(*) from sessions where userId = ?", id), 0);
    });
  }
});

test("S2-105: the audit trail names who logged in, and of what failed the reason, with the address", async (t) => {
  const prism = await startAccounts(t);
  const { id } = await makeAccount(prism, { username: "ann" });
  await call(prism, LOGIN, { login: "ann", password: "wrong" });
  await call(prism, LOGIN, { login: "who@example.com", password: "wrong" });
  const login = await logIn(prism, "ann");
  const rows = rowsOf<{ action: string; userId: string | null; resourceId: string; ip: string; metadata: string }>(
    prism,
    "select action, userId, resourceId, ip, metadata from audit_log where action like 'auth.%' order by seq",
  );
  const sessionId = scalarOf<string>(prism, "select id from sessions where userId = ?", id);
  assert.deepEqual(
    rows.map(({ metadata, ...row }) => ({ ...row, metadata: JSON.parse(metadata) as unknown })),
    [
      { action: "auth.login_failed", userId: null, resourceId: id, ip: "127.0.0.1", metadata: { reason: "password" } },
      { action: "auth.login_failed", userId: null, resourceId: null, ip: "127.0.0.1", metadata: { reason: "unknown" } },
      { action: "auth.login", userId: id, resourceId: id, ip: "127.0.0.1", metadata: { sessionId } },
    ],
  );
  const found = await prism.get<{ data: { action: string }[] }>(`/api/v1/audit?userId=${id}`);
  assert.deepEqual(valuesOf(found.body.data, "action"), ["auth.login"]);
  const { body } = await prism.get<UserBody>("/api/v1/users/me", { token: login.token });
  assert.equal(body.id, id);
});

const OF_LOGIN: ReadonlySet<string> = new Set(["users", "sessions"]);

test("a wrong password, an unknown name and an account without password cost the same: queries, one comparison, one audit row", async (t) => {
  const prism = await startAccounts(t);
  const { db } = prism.services;
  const { passwords } = prism.parts.offers.accounts;
  await makeAccount(prism, { username: "ann", email: "ann@example.com" });
  await db.write((trx) => createUser(prism.parts.base, { username: "no-password", roles: [] }, trx));
  const compared: (string | null)[] = [];
  const verify = passwords.verify.bind(passwords);
  t.mock.method(passwords, "verify", (password: string, hash: string | null) => {
    compared.push(hash === null ? null : "a hash");
    return verify(password, hash);
  });
  const select = t.mock.method(db.read, "selectFrom");
  // Others, such as the plan of drills, may read at the same time.
  const queries = () => select.mock.calls.filter(({ arguments: [table] }) => OF_LOGIN.has(String(table))).length;
  const rows = () => scalarOf<number>(prism, "select count(*) from audit_log") ?? 0;
  const costs = [];
  for (const login of ["ann", "ann@example.com", "nobody", "nobody@example.com", "no-password"]) {
    const [queriesBefore, comparedBefore, rowsBefore] = [queries(), compared.length, rows()];
    assert.equal(outcomeOf(await call(prism, LOGIN, { login, password: "wrong password" })), "401 INVALID_CREDENTIALS");
    costs.push([queries() - queriesBefore, compared.length - comparedBefore, rows() - rowsBefore]);
  }
  for (const cost of costs) assert.deepEqual(cost, [5, 1, 1]);
  assert.deepEqual(compared, ["a hash", "a hash", null, null, null]);
});
