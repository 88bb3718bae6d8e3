import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { forgotPassword, linksIdle } from "../../../../src/features/access/sessions/account-links.ts";
import { createOneTimeToken } from "../../../../src/features/access/sessions/mail-links.ts";
import { createUser } from "../../../../src/features/access/users/create-user.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { answered, type PrismOptions, TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "./support/auth-client.ts";
import { MailServer } from "./support/mail-server.ts";

const AUTH = "/api/v1/auth";
const ANN = "ann@example.com";
const NEW = "quite another one";
const MINUTE = 60_000;

async function startWithMail(t: TestContext, { settings, ...options }: PrismOptions = {}) {
  const mail = await MailServer.start(t);
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock, ...options, settings: { ...mail.settings, ...settings } });
  return { prism, mail, clock };
}

const verifying = { "auth.registration": "open", "auth.requireEmailVerification": "true" };
const register = (prism: TestPrism, email = ANN) => call(prism, "/auth/register", { email, password: PASSWORD });
const statusOf = (prism: TestPrism, email = ANN) => scalarOf(prism, "select status from users where email = ?", email);

/** Until everything that was asked for in the background is done. */
async function settled(prism: TestPrism): Promise<void> {
  await linksIdle(prism.parts.offers.accounts);
  await eventually("all mails are sent", () => countOf(prism, "jobs where kind = 'mail' and finishedAt is null") === 0);
}

test("S1-08: an account of open registration begins when its mail address was confirmed by the link that was sent", async (t) => {
  const { prism, mail } = await startWithMail(t, {
    settings: { ...verifying, publicUrl: "http://localhost:3000/prism" },
  });
  const registered = await register(prism);
  assert.deepEqual(
    [registered.status, registered.body.status, registered.body.token, registered.headers.getSetCookie()],
    [201, "unverified", undefined, []],
  );
  const credentials = { email: ANN, password: PASSWORD };
  assert.equal(outcomeOf(await call(prism, "/auth/login", credentials)), "403 ACCOUNT_UNVERIFIED");
  const { text } = await mail.mailTo(ANN);
  assert.match(text, /http:\/\/localhost:3000\/prism\/dashboard\/verify-email#token=[\w-]{43}$/m);
  assert.match(text, /It asks for the password that was chosen with the account/);
  const token = await mail.tokenTo(ANN);
  assert.equal(outcomeOf(await call(prism, `${AUTH}/verify-email`, { token: `${token}x` })), "410 LINK_EXPIRED");
  const verified = await call<{ status: string }>(prism, `${AUTH}/verify-email`, { token, password: PASSWORD });
  assert.deepEqual([verified.status, verified.body], [200, { status: "active" }]);
  assert.equal(outcomeOf(await call(prism, `${AUTH}/verify-email`, { token })), "410 LINK_EXPIRED", "good once");
  assert.equal((await call(prism, "/auth/login", credentials)).status, 200);
  const stored = JSON.stringify(rowsOf(prism, "select * from one_time_tokens"));
  assert.equal(stored.includes(token), false, "the database holds a hash");
});

test("who owns the mailbox does not open a stranger's account by a click, and takes it over with a new password", async (t) => {
  const { prism, mail } = await startWithMail(t, { settings: verifying });
  await register(prism);
  const token = await mail.tokenTo(ANN);
  const verify = async (body: object) => outcomeOf(await call(prism, `${AUTH}/verify-email`, { token, ...body }));
  assert.equal(await verify({ password: "a wrong one" }), "401 INVALID_CREDENTIALS");
  assert.equal(statusOf(prism), "unverified", "the link stays, and opens nothing");

  await call(prism, `${AUTH}/forgot-password`, { email: ANN });
  const reset = await mail.tokenTo(ANN, 2);
  assert.equal((await call(prism, `${AUTH}/reset-password`, { token: reset, password: NEW })).status, 204);
  assert.equal(statusOf(prism), "active");
  const logInWith = async (password: string) => outcomeOf(await call(prism, "/auth/login", { email: ANN, password }));
  assert.deepEqual([await logInWith(PASSWORD), await logInWith(NEW)], ["401 INVALID_CREDENTIALS", "200"]);
});

test("a page of another program confirms an address with the token alone; in another account's session it takes the password", async (t) => {
  const { prism, mail } = await startWithMail(t, { settings: verifying });
  await register(prism);
  const token = await mail.tokenTo(ANN);
  await answered(400, prism.post(`${AUTH}/verify-email`, { token }));
  assert.equal(statusOf(prism), "unverified");
  assert.equal((await call(prism, `${AUTH}/verify-email`, { token })).status, 200);
  assert.equal(statusOf(prism), "active");
});

test("a confirmed address leaves the account pending where accounts wait for approval by now", async (t) => {
  const { prism, mail } = await startWithMail(t);
  const { database: db } = prism.parts.base;
  const token = await db.write(async (trx) => {
    const { id } = await createUser(prism.parts.base, { email: ANN, roles: [], status: "unverified" }, trx);
    return createOneTimeToken(prism.parts.base.clock, id, "verify_email", trx);
  });
  const { body } = await call<{ status: string }>(prism, `${AUTH}/verify-email`, { token });
  assert.deepEqual([body.status, statusOf(prism)], ["pending", "pending"]);
  assert.equal(mail.mails.length, 0);
});

test("a link is good for its time, its purpose and the account as it is now", async (t) => {
  const { prism, mail, clock } = await startWithMail(t, { settings: verifying });
  const { database: db } = prism.parts.base;
  await register(prism);
  const token = await mail.tokenTo(ANN);
  const reset = { token, password: NEW };
  assert.equal(outcomeOf(await call(prism, `${AUTH}/reset-password`, reset)), "410 LINK_EXPIRED", "another purpose");
  assert.equal(
    outcomeOf(await call(prism, "/auth/register", { ...ANN_INVITED, inviteToken: token })),
    "410 LINK_EXPIRED",
  );
  await db.write((trx) => trx.updateTable("users").set({ status: "disabled" }).where("email", "=", ANN).execute());
  assert.equal(outcomeOf(await call(prism, `${AUTH}/verify-email`, { token })), "410 LINK_EXPIRED");
  assert.equal(statusOf(prism), "disabled", "an old mail opens no account that was closed");
  await db.write((trx) => trx.updateTable("users").set({ status: "unverified" }).where("email", "=", ANN).execute());
  clock.advance(24 * 60 * MINUTE);
  assert.equal(outcomeOf(await call(prism, `${AUTH}/verify-email`, { token })), "410 LINK_EXPIRED", "a day");

  assert.equal((await call(prism, `${AUTH}/resend-verification`, { email: " ANN@example.com " })).status, 202);
  const second = await mail.tokenTo(ANN, 2);
  clock.advance(2 * MINUTE);
  await call(prism, `${AUTH}/resend-verification`, { email: ANN });
  const third = await mail.tokenTo(ANN, 3);
  assert.notEqual(second, third);
  assert.equal(
    (await call(prism, `${AUTH}/verify-email`, { token: second, password: PASSWORD })).status,
    200,
    "a later mail spoils nothing",
  );
  clock.advance(2 * MINUTE);
  await call(prism, `${AUTH}/resend-verification`, { email: ANN });
  await settled(prism);
  assert.equal(mail.mails.length, 3, "who is confirmed gets no more of them");
});

test("an active account asks for its link and confirms it itself: a click in the mailbox gives a stranger nothing", async (t) => {
  const { prism, mail } = await startWithMail(t);
  const { id } = await makeAccount(prism, { username: "carol" });
  await makeAccount(prism, { username: "dave" });
  const carol = await logIn(prism, "carol");
  const dave = await logIn(prism, "dave");
  const boss = "boss@corp.example";
  const change = { email: boss, currentPassword: PASSWORD };
  assert.equal((await prism.put("/api/v1/users/me", change, { token: carol.token })).status, 200);
  const ask = (token: string | null) => prism.post(`${AUTH}/resend-verification`, { email: boss }, { token });
  for (const token of [null, dave.token]) assert.equal((await ask(token)).status, 202);
  await settled(prism);
  assert.equal(mail.mails.length, 0, "only the account itself asks");
  assert.equal((await ask(carol.token)).status, 202);
  assert.match((await mail.mailTo(boss)).text, /the account "carol"/);
  const link = { token: await mail.tokenTo(boss) };
  const confirm = (token: string | null) =>
    prism.post<{ error: { message: string } }>(`${AUTH}/verify-email`, link, { token });
  const verified = () => scalarOf(prism, "select isEmailVerified from users where id = ?", id);
  for (const token of [null, dave.token]) {
    const { body } = await answered(403, confirm(token));
    assert.match(body.error.message, /Sign in to the account "carol"/);
  }
  assert.equal(verified(), 0);
  assert.equal((await confirm(carol.token)).status, 200);
  assert.equal(verified(), 1);
});

const ANN_INVITED = { username: "ann", password: PASSWORD };

test("a forgotten password is replaced by the link that was sent; every session ends, the link is spent", async (t) => {
  const { prism, mail } = await startWithMail(t);
  const { id } = await makeAccount(prism, { username: "ann", email: ANN });
  const login = await logIn(prism, "ann");
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, login.token);
  for (let i = 0; i < 6; i++) await call(prism, "/auth/login", { login: "ann", password: "forgotten" });

  const asked = await call(prism, `${AUTH}/forgot-password`, { email: ANN });
  assert.deepEqual([asked.status, asked.body], [202, {}]);
  const token = await mail.tokenTo(ANN);
  for (const [password, outcome] of [
    ["short", "422 WEAK_PASSWORD"],
    ["password123", "422 WEAK_PASSWORD"],
    [ANN, "422 WEAK_PASSWORD"],
    ["x".repeat(1025), "400 VALIDATION_FAILED"],
    [NEW, "204"],
    [NEW, "410 LINK_EXPIRED"],
  ] as const)
    assert.equal(outcomeOf(await call(prism, `${AUTH}/reset-password`, { token, password })), outcome, password);
  assert.equal(outcomeOf(await prism.get("/api/v1/users/me", { token: login.token })), "401 SESSION_REVOKED");
  assert.equal((await socket.end).code, 4401);
  assert.equal(
    outcomeOf(await call(prism, "/auth/refresh", { refreshToken: login.refreshToken })),
    "401 SESSION_REVOKED",
  );
  // At once: a proven owner does not wait for earlier wrong guesses.
  assert.equal((await logIn(prism, "ann", NEW)).user.id, id);
  assert.equal(
    outcomeOf(await call(prism, "/auth/login", { login: "ann", password: PASSWORD })),
    "401 INVALID_CREDENTIALS",
  );
  const [row] = rowsOf<{ userId: string; metadata: string }>(
    prism,
    "select userId, metadata from audit_log where action = 'user.update' order by seq desc",
  );
  assert.deepEqual([row?.userId, row?.metadata], [id, '{"changed":["password"]}']);
});

test("of two who use one reset link side by side, one has changed the password", async (t) => {
  const { prism, mail } = await startWithMail(t);
  await makeAccount(prism, { email: ANN });
  await call(prism, `${AUTH}/forgot-password`, { email: ANN });
  const token = await mail.tokenTo(ANN);
  const replies = await Promise.all(
    ["first new one", "second new one"].map((password) => call(prism, `${AUTH}/reset-password`, { token, password })),
  );
  assert.deepEqual(replies.map(outcomeOf).sort(), ["204", "410 LINK_EXPIRED"]);
});

test("asking for a link answers alike and before anything is looked up, whether or not there is an account", async (t) => {
  const { prism, mail } = await startWithMail(t);
  await makeAccount(prism, { email: ANN });
  await makeAccount(prism, { email: "closed@example.com" });
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("email", "=", "closed@example.com").execute(),
  );
  const { accounts } = prism.parts.offers;
  for (const path of ["forgot-password", "resend-verification"]) {
    const answers = [];
    for (const email of [ANN, "closed@example.com", "nobody@example.com", "no address", "a,b@example.com"]) {
      const reply = await call(prism, `${AUTH}/${path}`, { email });
      answers.push([reply.status, reply.text, [...reply.headers.keys()].sort()]);
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0], path);
    assert.equal(answers[0]?.[0], 202);
  }
  await settled(prism);
  assert.deepEqual(valuesOf(mail.mails, "to"), [[ANN]]);
  const before = countOf(prism, "one_time_tokens");
  forgotPassword(accounts, "closed@example.com");
  assert.equal(countOf(prism, "one_time_tokens"), before, "nothing is done before it returns");
});

test("one mail of a kind a minute and five an hour; a stranger who asks for more spoils no link that was sent", async (t) => {
  const { prism, mail, clock } = await startWithMail(t);
  await makeAccount(prism, { email: ANN });
  for (let i = 0; i < 5; i++) await call(prism, `${AUTH}/forgot-password`, { email: ANN });
  await settled(prism);
  assert.equal(mail.mails.length, 1);
  const first = await mail.tokenTo(ANN);
  for (let i = 0; i < 8; i++) {
    clock.advance(MINUTE + 1);
    await call(prism, `${AUTH}/forgot-password`, { email: ANN });
    await settled(prism);
  }
  assert.equal(mail.mails.length, 5);
  const last = await mail.tokenTo(ANN, 5);
  for (const [token, outcome] of [
    [first, "204"],
    [last, "410 LINK_EXPIRED"],
  ] as const)
    assert.equal(outcomeOf(await call(prism, `${AUTH}/reset-password`, { token, password: NEW })), outcome);
});

test("without a mail server the answers are the same and the log says so once; with one that is down it names the failure, without the link", async (t) => {
  for (const [name, settings, message, lines] of [
    ["none", {}, /smtp.host is not set/, 1],
    ["down", { "smtp.host": "127.0.0.1", "smtp.port": "1" }, /cannot send a mail/, 1],
  ] as const) {
    await t.test(name, async (t) => {
      const log = new LogLines();
      const clock = new FakeClock();
      const prism = await startAccounts(t, { clock, log, settings });
      await makeAccount(prism, { email: ANN });
      const warnings = () =>
        log.lines.filter(({ level, message: text }) => (level === "warn" || level === "error") && message.test(text));
      for (let i = 0; i < 2; i++) {
        assert.equal((await call(prism, `${AUTH}/forgot-password`, { email: ANN })).status, 202);
        await linksIdle(prism.parts.offers.accounts);
        await eventually("the log says so", () => warnings().length >= (name === "down" ? i + 1 : lines));
        clock.advance(2 * MINUTE);
      }
      if (name === "none") assert.equal(warnings().length, lines);
      assert.equal(JSON.stringify(log.lines).includes("#token="), false);
    });
  }
});

test("a mail that no server took before the process was killed is sent once by the next one, and its link works", async (t) => {
  const clock = new FakeClock();
  const log = new LogLines();
  const down = { "smtp.host": "127.0.0.1", "smtp.port": "1" };
  const prism = await startAccounts(t, { clock, log, settings: { ...verifying, ...down } });
  assert.equal((await register(prism)).status, 201);
  const job = "select state, attempts, payload, lastError from jobs where kind = 'mail'";
  await eventually("it was tried", () => rowsOf<{ attempts: number }>(prism, job)[0]?.attempts === 1);
  const dir = await crashImage(t, prism);
  await prism.stop();

  const mail = await MailServer.start(t);
  const again = await startAccounts(t, { dir, clock, log, settings: { ...verifying, ...mail.settings } });
  clock.advance(10 * MINUTE);
  again.parts.offers.runner.enqueued([]);
  const token = await mail.tokenTo(ANN);
  await settled(again);
  assert.equal(mail.mails.length, 1);
  const { body } = await again.get(`/api/v1/jobs/${scalarOf(again, "select id from jobs where kind = 'mail'")}`);
  for (const shown of [body, rowsOf(again, "select * from jobs"), log.lines])
    assert.equal(JSON.stringify(shown).includes(token), false);
  assert.equal(countOf(again, "sealed_mails"), 0, "nothing is kept of what was sent");
  assert.equal((await call(again, `${AUTH}/verify-email`, { token, password: PASSWORD })).status, 200);
});

test("a mail whose link has expired is not sent", async (t) => {
  const clock = new FakeClock();
  const down = { "smtp.host": "127.0.0.1", "smtp.port": "1" };
  const prism = await startAccounts(t, { clock, settings: { ...verifying, ...down } });
  await register(prism);
  await eventually("it was tried", () => scalarOf(prism, "select state from jobs where kind = 'mail'") === "retrying");
  assert.equal(countOf(prism, "sealed_mails"), 1);
  clock.advance(25 * 60 * MINUTE);
  prism.parts.offers.runner.enqueued([]);
  await settled(prism);
  assert.equal(scalarOf(prism, "select result from jobs where kind = 'mail'"), '{"skipped":"expired"}');
});

test("a stop waits for mails that are on their way, but not for a server that never answers", async (t) => {
  const { prism, mail } = await startWithMail(t);
  await makeAccount(prism, { email: ANN });
  await call(prism, `${AUTH}/forgot-password`, { email: ANN });
  await prism.restart();
  await settled(prism);
  assert.equal(mail.mails.length, 1);

  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const settings = { "smtp.host": "127.0.0.1", "smtp.port": String(port), shutdownMs: "1000" };
  const waiting = await TestPrism.start({ settings: { ...settings, "auth.bcryptCost": "4" } });
  await makeAccount(waiting, { email: ANN });
  const connected = once(silent, "connection");
  await call(waiting, `${AUTH}/forgot-password`, { email: ANN });
  const [socket] = (await connected) as [Socket];
  await waiting.stop();
  rmSync(waiting.dir, { recursive: true });
  socket.destroy();
});
