import assert from "node:assert/strict";
import test from "node:test";
import { checkPasskeys } from "../../../../src/features/access/doctor.ts";
import { runCli, runJson } from "../../../cli/run-cli.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "../sessions/support/auth-client.ts";
import { challengeOf, FACTOR, protect, secondStep } from "../sessions/support/second-factor.ts";
import { addPasskey, optionsOf, PASSKEYS, proofOptions, SoftPasskey } from "./support/soft-passkey.ts";

const REFUSED = "401 INVALID_CREDENTIALS";
const ME = "/api/v1/users/me";

interface State {
  readonly enabled: boolean;
  readonly recoveryCodesLeft: number;
  readonly app: boolean;
  readonly passkeys: number;
}

async function stateOf(prism: TestPrism, token: string) {
  const { enabled, recoveryCodesLeft, app, passkeys } = (await prism.get<{ secondFactor: State }>(ME, { token })).body
    .secondFactor;
  return { enabled, recoveryCodesLeft, app, passkeys };
}

interface Listed {
  readonly id: string;
  readonly name: string;
  readonly lastUsedAt: string | null;
  readonly works: boolean;
}

async function listOf(prism: TestPrism, token: string): Promise<readonly Listed[]> {
  return (await prism.get<{ data: Listed[] }>(PASSKEYS, { token })).body.data;
}

test("the first passkey gives recovery codes, ends the other sessions, and is asked for after the password", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const { id } = await makeAccount(prism, { username: "ann" });
  const other = await logIn(prism, "ann");
  const { token } = await logIn(prism, "ann");
  const begin = (body: object) => prism.post(`${PASSKEYS}/begin`, body, { token });
  assert.equal(outcomeOf(await begin({})), "400 VALIDATION_FAILED");
  assert.equal(outcomeOf(await begin({ password: "wrong" })), REFUSED);
  const { passkey, recoveryCodes } = await addPasskey(prism, token, { name: "Phone" });
  assert.equal(recoveryCodes.length, 10);
  assert.equal(outcomeOf(await prism.get(ME, { token: other.token })), "401 SESSION_REVOKED");
  assert.deepEqual(await stateOf(prism, token), { enabled: true, recoveryCodesLeft: 10, app: false, passkeys: 1 });

  const challenge = await challengeOf(prism, "ann");
  const options = await optionsOf(prism, challenge);
  assert.deepEqual(
    options.allowCredentials.map((each) => each.id),
    [passkey.id],
  );
  const answer = passkey.answer(options, { verifies: false });
  const reply = await secondStep(prism, { challenge, passkey: answer });
  assert.deepEqual([reply.status, reply.body.user.id], [200, id], reply.text);
  assert.equal(outcomeOf(await secondStep(prism, { challenge, passkey: answer })), "410 LINK_EXPIRED");
  const recovered = { challenge: await challengeOf(prism, "ann"), recoveryCode: recoveryCodes[0] };
  assert.equal(outcomeOf(await secondStep(prism, recovered)), "200");
  const [listed] = await listOf(prism, token);
  assert.deepEqual([listed?.name, listed?.works, listed?.lastUsedAt === null], ["Phone", true, false]);
  const by = rowsOf<{ metadata: string }>(
    prism,
    "select metadata from audit_log where action = 'auth.login' order by seq",
  );
  assert.deepEqual(by.map(({ metadata }) => JSON.parse(metadata).secondFactor).filter(Boolean), [
    "passkey",
    "recovery code",
  ]);
});

test("the answer of a second step counts for its login and its account only", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  await makeAccount(prism, { username: "bob" });
  const ann = await addPasskey(prism, (await logIn(prism, "ann")).token);
  const bob = await addPasskey(prism, (await logIn(prism, "bob")).token);
  const prove = async (challenge: string, passkey: object) => {
    prism.parts.offers.accounts.backoff.clear();
    return outcomeOf(await secondStep(prism, { challenge, passkey }));
  };
  const [first, second] = [await challengeOf(prism, "ann"), await challengeOf(prism, "ann")];
  assert.equal(await prove(first, ann.passkey.answer(await optionsOf(prism, second))), REFUSED, "of another login");
  assert.equal(await prove(first, ann.passkey.answer(await optionsOf(prism))), REFUSED, "of a sign-in");
  assert.equal(await prove(first, bob.passkey.answer(await optionsOf(prism, first))), REFUSED, "of someone else");
  const of = await challengeOf(prism, "bob");
  assert.equal(
    await prove(first, ann.passkey.answer(await optionsOf(prism, of))),
    REFUSED,
    "challenge of someone else",
  );
  assert.equal(await prove(first, ann.passkey.answer(await optionsOf(prism, first), { forged: true })), REFUSED);
  const both = { challenge: first, code: "123456", passkey: ann.passkey.answer(await optionsOf(prism, first)) };
  assert.equal(outcomeOf(await secondStep(prism, both)), "400 VALIDATION_FAILED");
  const right = ann.passkey.answer(await optionsOf(prism, first));
  assert.equal(await prove(first, right), "200");
  assert.equal(await prove(second, right), REFUSED, "it was used");
  assert.equal(
    outcomeOf(await call(prism, "/api/v1/auth/passkey/begin", { challenge: "unknown" })),
    "410 LINK_EXPIRED",
  );
});

test("with a passkey neither the password alone nor a session changes the account's factors", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  const { passkey, id, recoveryCodes } = await addPasskey(prism, token);
  await makeAccount(prism, { username: "bob" });
  const bob = await addPasskey(prism, (await logIn(prism, "bob")).token);
  const changes = {
    add: (proof: object) => prism.post(`${PASSKEYS}/begin`, proof, { token }),
    remove: (proof: object) => prism.request("DELETE", `${PASSKEYS}/${id}`, proof, { token }),
    app: (proof: object) => prism.post(FACTOR, proof, { token }),
    codes: (proof: object) => prism.post(`${FACTOR}/recovery-codes`, proof, { token }),
  };
  const proofs = {
    none: [{}, "400 VALIDATION_FAILED"],
    "the password": [{ password: PASSWORD }, "400 VALIDATION_FAILED"],
    "a recovery code": [{ recoveryCode: recoveryCodes[1] }, "400 VALIDATION_FAILED"],
    "a wrong password": [{ password: "wrong", recoveryCode: recoveryCodes[1] }, REFUSED],
    "no app": [{ password: PASSWORD, code: "123456" }, REFUSED],
    "a passkey that did not verify its user": [
      { passkey: passkey.answer(await proofOptions(prism, token), { verifies: false }) },
      REFUSED,
    ],
    "an answer to a sign-in": [{ passkey: passkey.answer(await optionsOf(prism)) }, REFUSED],
    "someone else's": [{ passkey: bob.passkey.answer(await proofOptions(prism, token)) }, REFUSED],
  } as const;
  for (const [name, change] of Object.entries(changes))
    for (const [kind, [proof, outcome]] of Object.entries(proofs)) {
      prism.parts.offers.accounts.backoff.clear();
      assert.equal(outcomeOf(await change(proof)), outcome, `${name}: ${kind}`);
    }
  assert.equal(
    outcomeOf(await prism.request("DELETE", FACTOR, { password: PASSWORD }, { token })),
    "409 INVALID_STATE",
  );
  assert.deepEqual(await stateOf(prism, token), { enabled: true, recoveryCodesLeft: 10, app: false, passkeys: 1 });
  await challengeOf(prism, "ann");

  const proof = { passkey: passkey.answer(await proofOptions(prism, token)) };
  assert.equal(outcomeOf(await changes.add(proof)), "200", "a passkey that verified its user stands for both");
  assert.equal(outcomeOf(await changes.add(proof)), REFUSED, "once");
  const beside = passkey.answer(await proofOptions(prism, token), { verifies: false });
  assert.equal(outcomeOf(await changes.add({ password: PASSWORD, passkey: beside })), "200");
  assert.equal(outcomeOf(await changes.add({ password: PASSWORD, recoveryCode: recoveryCodes[0] })), "200");
});

test("app and passkeys are factors of one account, whose recovery codes end with the last of them", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { app, token, recoveryCodes } = await protect(prism, "ann");
  const first = await addPasskey(prism, token, { proof: { code: app.code() } });
  assert.deepEqual(first.recoveryCodes, [], "there are some already");
  const proof = async () => ({ passkey: first.passkey.answer(await proofOptions(prism, token)) });
  const second = await addPasskey(prism, token, { proof: await proof() });
  assert.deepEqual(
    (await listOf(prism, token)).map(({ name }) => name),
    ["Passkey 1", "Passkey 2"],
  );
  assert.equal((await prism.patch(`${PASSKEYS}/${first.id}`, { name: "Key" }, { token })).status, 204);
  assert.equal(
    outcomeOf(await prism.patch(`${PASSKEYS}/${first.id}`, { name: "" }, { token })),
    "400 VALIDATION_FAILED",
  );
  const { error } = (
    await call<{ error: { details: [{ factors: string[] }] } }>(prism, "/api/v1/auth/login", {
      login: "ann",
      password: PASSWORD,
    })
  ).body;
  assert.deepEqual(error.details[0].factors, ["passkey", "code", "recoveryCode"]);

  const other = await secondStep(prism, { challenge: await challengeOf(prism, "ann"), recoveryCode: recoveryCodes[0] });
  const remove = async (path: string) => prism.request("DELETE", path, await proof(), { token });
  assert.equal(outcomeOf(await remove(`${PASSKEYS}/${second.id}`)), "204");
  assert.equal(outcomeOf(await prism.get(ME, { token: other.body.token })), "401 SESSION_REVOKED");
  assert.equal(outcomeOf(await remove(`${PASSKEYS}/${second.id}`)), "404 PASSKEY_NOT_FOUND");
  assert.equal(outcomeOf(await remove(FACTOR)), "204");
  assert.deepEqual(await stateOf(prism, token), { enabled: true, recoveryCodesLeft: 9, app: false, passkeys: 1 });
  // The app comes back beside the passkey, and goes again.
  const pending = await prism.post<{ secret: string }>(FACTOR, await proof(), { token });
  assert.equal(pending.status, 201, pending.text);
  assert.equal(outcomeOf(await remove(`${PASSKEYS}/${first.id}`)), "204");
  assert.deepEqual(await stateOf(prism, token), { enabled: false, recoveryCodesLeft: 0, app: false, passkeys: 0 });
  assert.deepEqual([countOf(prism, "passkeys"), countOf(prism, "second_factors")], [0, 0]);
  await logIn(prism, "ann");
});

test("an answer makes one passkey, for its account, and an account has at most twenty", async (t) => {
  const clock = new FakeClock();
  const prism = await startAccounts(t, { clock });
  await makeAccount(prism, { username: "ann" });
  await makeAccount(prism, { username: "bob" });
  const { token } = await logIn(prism, "ann");
  const bob = (await logIn(prism, "bob")).token;
  const begin = async () =>
    (await prism.post<{ challenge: string }>(`${PASSKEYS}/begin`, { password: PASSWORD }, { token })).body;
  const add = async (passkey: object, as = token) => outcomeOf(await prism.post(PASSKEYS, { passkey }, { token: as }));
  const passkey = new SoftPasskey(prism);
  for (const ways of [{ origin: "https://evil.example" }, { rpId: "evil.example" }, { type: "webauthn.get" }])
    assert.equal(await add(passkey.made(await begin(), ways)), "400 VALIDATION_FAILED", JSON.stringify(ways));
  const options = await begin();
  assert.equal(await add(passkey.made(options), bob), "400 VALIDATION_FAILED", "begun by someone else");
  assert.equal(await add(passkey.made(await optionsOf(prism))), "400 VALIDATION_FAILED", "a challenge of a sign-in");
  const late = await begin();
  clock.advance(5 * 60_000);
  assert.equal(await add(passkey.made(late)), "400 VALIDATION_FAILED", "after five minutes");
  const [one, two] = [await begin(), await begin()];
  assert.equal(await add(passkey.made(one)), "201");
  assert.equal(await add(passkey.made(one)), "400 VALIDATION_FAILED", "answered before");
  assert.equal(await add(passkey.made(two)), "409 INVALID_STATE", "a known passkey");

  const { database } = prism.parts.base;
  await database.write(async (trx) => {
    const row = await trx.selectFrom("passkeys").selectAll().executeTakeFirstOrThrow();
    const more = Array.from({ length: 19 }, (_, n) => ({ ...row, id: `more-${n}`, credentialId: `more-${n}` }));
    await trx.insertInto("passkeys").values(more).execute();
  });
  const proof = { passkey: passkey.answer(await proofOptions(prism, token)) };
  assert.equal(outcomeOf(await prism.post(`${PASSKEYS}/begin`, proof, { token })), "409 LIMIT_REACHED");
});

test("administrators and the operator remove passkeys; a sign-in link asks for them", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  const { id } = await makeAccount(prism, { username: "ann" });
  const ann = await addPasskey(prism, (await logIn(prism, "ann")).token, { name: "Phone" });
  const at = ["--data-dir", prism.dir] as const;
  const run = { cwd: prism.dir };
  const { url } = await runJson<{ url: string }>(["user", "sign-in-link", "ann", ...at], run);
  const link = await call(prism, "/api/v1/auth/sign-in-link", { token: url.split("#token=")[1] });
  assert.equal(outcomeOf(link), "401 SECOND_FACTOR_REQUIRED");

  const shown = await runJson<{ passkeys: Listed[] }>(["user", "passkeys", "ann", ...at], run);
  assert.deepEqual(
    shown.passkeys.map(({ id, name }) => [id, name]),
    [[ann.id, "Phone"]],
  );
  const { stdout } = await runCli(["user", "passkeys", "ann", ...at], run);
  assert.match(stdout, /Phone +localhost/);
  const missing = await runCli(["user", "remove-passkey", "ann", "none", ...at], run);
  assert.equal(missing.status, 6);
  const removed = await runJson<object>(["user", "remove-passkey", "ann", ann.id, ...at], run);
  assert.deepEqual(removed, { id, removed: true });
  const { token } = await logIn(prism, "ann");

  await addPasskey(prism, token);
  assert.equal((await prism.delete(`/api/v1/users/${id}/second-factor`)).status, 204);
  assert.deepEqual([countOf(prism, "passkeys"), countOf(prism, "second_factors")], [0, 0]);
  await logIn(prism, "ann");
  const trail = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where action in ('user.passkey', 'user.second_factor') order by seq",
  );
  assert.deepEqual(
    trail.map(({ action, metadata }) => [action, ...Object.keys(JSON.parse(metadata))]),
    [
      ["user.passkey", "added"],
      ["user.passkey", "removed"],
      ["user.passkey", "added"],
      ["user.second_factor", "enabled", "passkeys"],
    ],
  );
});

test("after a change of the host passkeys do not work, which doctor says, and recovery codes do", async (t) => {
  const prism = await startAccounts(t, { clock: new FakeClock() });
  await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  const { database } = prism.parts.base;
  const doctor = (publicUrl?: string) => checkPasskeys(database.read, { publicUrl });
  assert.deepEqual(await doctor(), [], "nothing without passkeys");
  const { passkey, recoveryCodes } = await addPasskey(prism, token);
  assert.equal((await doctor())[0]?.severity, "ok");
  const [found] = await doctor("https://new.example.org");
  assert.match(found?.text ?? "", /localhost \(1 person\)/);

  const options = await optionsOf(prism);
  await database.write((trx) => trx.updateTable("passkeys").set({ rpId: "old.example.org" }).execute());
  assert.equal(outcomeOf(await call(prism, "/api/v1/auth/passkey", { passkey: passkey.answer(options) })), REFUSED);
  assert.deepEqual(
    (await listOf(prism, token)).map(({ works }) => works),
    [false],
  );
  const first = await call<{ error: { details: [{ challenge: string; factors: string[] }] } }>(
    prism,
    "/api/v1/auth/login",
    { login: "ann", password: PASSWORD },
  );
  const [{ challenge, factors }] = first.body.error.details;
  assert.deepEqual(factors, ["recoveryCode"]);
  assert.equal(outcomeOf(await secondStep(prism, { challenge, recoveryCode: recoveryCodes[0] })), "200");
});
