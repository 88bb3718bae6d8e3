import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "../sessions/support/auth-client.ts";
import { protect } from "../sessions/support/second-factor.ts";
import { addPasskey, optionsOf, originOf, PASSKEYS, SIGN_IN, SoftPasskey } from "./support/soft-passkey.ts";

const REFUSED = "401 INVALID_CREDENTIALS";

test("a passkey that verified its user signs in without a password and without a second step", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const offers = async () => (await call<{ passkeys: boolean }>(prism, "/api/v1/setup")).status;
  assert.equal(await offers(), 405, "GET only");
  const setup = async () => (await prism.get<{ passkeys: boolean }>("/api/v1/setup", { token: null })).body.passkeys;
  assert.equal(await setup(), false, "no one has a passkey");
  const { id } = await makeAccount(prism, { username: "ann" });
  const { app, token } = await protect(prism, "ann");
  const { passkey } = await addPasskey(prism, token, { proof: { code: app.code() } });
  assert.equal(await setup(), true);

  const options = await optionsOf(prism);
  assert.deepEqual([options.userVerification, options.allowCredentials], ["required", []]);
  const answer = passkey.answer(options, { userHandle: Buffer.from(id).toString("base64url") });
  const reply = await call(prism, SIGN_IN, { passkey: answer, rememberMe: false });
  assert.deepEqual([reply.status, reply.body.user.id], [200, id], reply.text);
  assert.match(reply.headers.getSetCookie()[0] ?? "", /^prism_refresh=.*HttpOnly; SameSite=Strict; Path=\/$/);
  assert.equal((await prism.get("/api/v1/users/me", { token: reply.body.token })).status, 200);
  assert.equal(scalarOf(prism, "select lastUsedAt from passkeys"), prism.parts.base.clock.now());
  const metadata = scalarOf<string>(
    prism,
    "select metadata from audit_log where action = 'auth.login' order by seq desc",
  );
  assert.equal(JSON.parse(metadata ?? "{}").by, "passkey");

  assert.equal(outcomeOf(await call(prism, SIGN_IN, { passkey: answer })), REFUSED, "an answer is valid once");
  assert.equal(countOf(prism, "used_challenges"), 2, "that of the new passkey, and that of the sign-in");
});

test("every wrong answer gets the same refusal as an unknown passkey", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  const { id } = await makeAccount(prism, { username: "ann" });
  const { passkey } = await addPasskey(prism, (await logIn(prism, "ann")).token);
  const origin = originOf(prism);
  const wrong = {
    "another signature": { forged: true },
    "another origin": { origin: "https://evil.example" },
    "another port": { origin: "http://localhost:1" },
    "another host": { rpId: "evil.example" },
    "without user verification": { verifies: false },
    "another account": { userHandle: "AAAA" },
    "an answer for a new passkey": { type: "webauthn.create" },
    "a page below the host": { origin: origin.replace("localhost", "a.localhost") },
  };
  const texts = new Set<string>();
  const outcome = async (body: object) => {
    // Guesses in a row would have to wait.
    prism.parts.offers.accounts.backoff.clear();
    const reply = await call<{ error: { message: string; details: object } }>(prism, SIGN_IN, body);
    if (reply.status === 401) texts.add(JSON.stringify([reply.body.error.message, reply.body.error.details]));
    return outcomeOf(reply);
  };
  for (const [name, ways] of Object.entries(wrong))
    assert.equal(await outcome({ passkey: passkey.answer(await optionsOf(prism), ways) }), REFUSED, name);
  assert.equal(await outcome({ passkey: new SoftPasskey(prism).answer(await optionsOf(prism)) }), REFUSED, "unknown");
  const invented = { challenge: Buffer.alloc(56, 1).toString("base64url") };
  assert.equal(await outcome({ passkey: passkey.answer(invented) }), REFUSED, "an invented challenge");
  assert.equal(await outcome({ passkey: passkey.answer({ challenge: "" }) }), REFUSED, "no challenge");
  const { challenge } = await optionsOf(prism);
  const longer = Buffer.from(challenge, "base64url");
  longer.writeUIntBE(longer.readUIntBE(0, 6) + 3_600_000, 0, 6);
  const prolonged = { challenge: longer.toString("base64url") };
  assert.equal(await outcome({ passkey: passkey.answer(prolonged) }), REFUSED, "a later end");
  const late = passkey.answer(await optionsOf(prism));
  clock.advance(5 * 60_000);
  assert.equal(await outcome({ passkey: late }), REFUSED, "after five minutes");
  assert.equal(texts.size, 1, "all in the same words");
  assert.equal(await outcome({ passkey: passkey.answer(await optionsOf(prism)) }), "200");

  const answer = passkey.answer(await optionsOf(prism));
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "disabled" })).status, 200);
  assert.equal(await outcome({ passkey: answer }), "403 ACCOUNT_DISABLED");
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "active" })).status, 200);
  assert.equal((await prism.delete(`/api/v1/users/${id}`)).status, 204);
  assert.equal(await outcome({ passkey: answer }), REFUSED, "a removed account has no passkeys");
  assert.deepEqual([countOf(prism, "passkeys"), countOf(prism, "second_factors")], [0, 0]);
});

test("two answers to one challenge at the same time open one session", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { passkey } = await addPasskey(prism, (await logIn(prism, "ann")).token);
  const options = await optionsOf(prism);
  const answers = [passkey.answer(options), passkey.answer(options)];
  const replies = await Promise.all(answers.map((answer) => call(prism, SIGN_IN, { passkey: answer })));
  assert.deepEqual(replies.map(outcomeOf).sort(), ["200", REFUSED]);
});

test("a counter that does not grow is that of a copy: refused and audited", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { passkey, id } = await addPasskey(prism, (await logIn(prism, "ann")).token);
  const use = async (counter: number, forged = false) => {
    prism.parts.offers.accounts.backoff.clear();
    const answer = passkey.answer(await optionsOf(prism), { counter, forged });
    return outcomeOf(await call(prism, SIGN_IN, { passkey: answer }));
  };
  const copies = () =>
    rowsOf<{ metadata: string }>(prism, "select metadata from audit_log where action = 'user.passkey' order by seq")
      .map(({ metadata }) => JSON.parse(metadata))
      .filter(({ refused }) => refused !== undefined);
  assert.equal(await use(0), "200", "an authenticator that does not count");
  assert.equal(await use(7), "200");
  assert.equal(await use(8, true), REFUSED);
  assert.equal(await use(3, true), REFUSED);
  assert.deepEqual(copies(), [], "a forged answer is no copy");
  assert.equal(await use(7), REFUSED);
  assert.equal(await use(0), REFUSED);
  assert.deepEqual(copies(), Array(2).fill({ refused: id, reason: "counter" }));
  assert.equal(await use(8), "200", "the original goes on");
});

test("a passkey of an authenticator that never verified its user is a second factor only", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  const { passkey } = await addPasskey(prism, token, { ways: { verifies: false } });
  const list = async () => (await prism.get<{ data: { signsIn: boolean }[] }>(PASSKEYS, { token })).body.data;
  assert.deepEqual(
    (await list()).map(({ signsIn }) => signsIn),
    [false],
  );
  // Whoever finds a key without a PIN can set one: verified now, but not as its owner.
  const answer = passkey.answer(await optionsOf(prism), { verifies: true });
  assert.equal(outcomeOf(await call(prism, SIGN_IN, { passkey: answer })), REFUSED);

  const first = await call<{ error: { details: [{ challenge: string; factors: string[] }] } }>(
    prism,
    "/api/v1/auth/login",
    { login: "ann", password: PASSWORD },
  );
  const [{ challenge, factors }] = first.body.error.details;
  assert.deepEqual(factors, ["passkey", "recoveryCode"]);
  const second = passkey.answer(await optionsOf(prism, challenge), { verifies: true });
  const step = { challenge, passkey: second };
  assert.equal(outcomeOf(await call(prism, "/api/v1/auth/login/second-factor", step)), "200");
  assert.deepEqual(
    (await list()).map(({ signsIn }) => signsIn),
    [true],
    "beside the password it was verified",
  );
  const now = passkey.answer(await optionsOf(prism));
  assert.equal(outcomeOf(await call(prism, SIGN_IN, { passkey: now })), "200");
});

test("guesses are slowed down and limited like logins", async (t) => {
  await t.test("in a row for one passkey", async (t) => {
    const clock = new FakeClock();
    const prism = await startAccounts(t, { clock });
    await makeAccount(prism, { username: "ann" });
    const { passkey } = await addPasskey(prism, (await logIn(prism, "ann")).token);
    const guess = async (forged: boolean) =>
      outcomeOf(await call(prism, SIGN_IN, { passkey: passkey.answer(await optionsOf(prism), { forged }) }));
    for (let i = 0; i < 5; i++) assert.equal(await guess(true), REFUSED);
    assert.equal(await guess(false), "429 RATE_LIMITED", "the right one waits, too");
    clock.advance(1000);
    assert.equal(await guess(false), "200");
  });
  await t.test("requests by address", async (t) => {
    const settings = { "rateLimit.enabled": "true", "rateLimit.auth": "3" };
    const prism = await startAccounts(t, { clock: new FakeClock(), settings });
    const outcomes: string[] = [];
    for (let i = 0; i < 4; i++) outcomes.push(outcomeOf(await call(prism, `${SIGN_IN}/begin`, {})));
    assert.deepEqual(outcomes, ["200", "200", "200", "429 RATE_LIMITED"]);
  });
});

test("passkeys need a host name with HTTPS, or localhost: elsewhere the reason is said", async (t) => {
  for (const { publicUrl, reason } of [
    { publicUrl: "http://prism.example.org", reason: /HTTPS/ },
    { publicUrl: "https://192.0.2.1", reason: /IP address/ },
    { publicUrl: "https://[2001:db8::1]:8443", reason: /IP address/ },
    { publicUrl: "https://prism.example.org", reason: null },
    { publicUrl: "http://prism.localhost:4000", reason: null },
  ])
    await t.test(publicUrl, async (t) => {
      const prism = await startAccounts(t, { clock: new FakeClock(), settings: { publicUrl } });
      const { id, token } = await makeUser(prism, "ann");
      const passwordHash = await prism.parts.offers.accounts.passwords.hash(PASSWORD);
      await prism.parts.base.database.write((trx) =>
        trx.updateTable("users").set({ passwordHash }).where("id", "=", id).execute(),
      );
      const { body } = await prism.get<{ reason: string | null }>(PASSKEYS, { token });
      const begin = await prism.post(`${PASSKEYS}/begin`, { password: PASSWORD }, { token });
      const signIn = await call(prism, `${SIGN_IN}/begin`, {});
      if (reason === null) {
        assert.deepEqual([body.reason, begin.status, signIn.status], [null, 200, 200]);
        return;
      }
      assert.match(body.reason ?? "", reason);
      assert.deepEqual([outcomeOf(begin), outcomeOf(signIn)], Array(2).fill("409 INVALID_STATE"));
      assert.match(begin.text, reason);
    });
});
