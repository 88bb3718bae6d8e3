import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { Browser, refusalOf, startWith } from "../oidc/support/browser.ts";
import { FakeProvider } from "../oidc/support/fake-provider.ts";
import { call, logIn, makeAccount, outcomeOf } from "../sessions/support/auth-client.ts";
import { FACTOR } from "../sessions/support/second-factor.ts";
import { addPasskey, optionsOf, PASSKEYS, proofOptions, SIGN_IN } from "./support/soft-passkey.ts";

const IDENTITIES = "/api/v1/users/me/identities";
const NO_PASSWORD = { password: undefined };
const TEN_MINUTES = 600_000;

interface Linked {
  readonly data: readonly { readonly id: string }[];
}

test("an account that a provider made changes its factors within ten minutes of a sign-in", async (t) => {
  const provider = await FakeProvider.start(t);
  const clock = new FakeClock();
  const prism = await startWith(t, [provider.settings({ provision: true })], { clock });
  const browser = new Browser(prism);
  await browser.signIn();
  const old = await browser.accessToken();
  clock.advance(TEN_MINUTES + 1);
  assert.equal((await browser.me())["hasPassword"], false);
  const begin = (token: string) => prism.post(`${PASSKEYS}/begin`, {}, { token });
  for (const path of [FACTOR, `${PASSKEYS}/begin`])
    assert.equal(outcomeOf(await prism.post(path, {}, { token: old })), "409 INVALID_STATE", path);
  assert.match((await begin(old)).text, /Sign in again first/);
  assert.equal(outcomeOf(await prism.post(FACTOR, { password: "guessed" }, { token: old })), "401 INVALID_CREDENTIALS");

  await browser.signIn();
  const token = await browser.accessToken();
  const { passkey, recoveryCodes } = await addPasskey(prism, token, { proof: NO_PASSWORD });
  assert.equal(recoveryCodes.length, 10);
  assert.equal(outcomeOf(await begin(token)), "400 VALIDATION_FAILED", "the session alone is not enough any more");
  const { fragment } = await browser.signIn();
  assert.equal(fragment.get("factors"), "passkey recoveryCode");
  const challenge = fragment.get("challenge") ?? "";
  const answer = passkey.answer(await optionsOf(prism, challenge));
  const second = await call(prism, "/api/v1/auth/login/second-factor", { challenge, passkey: answer });
  assert.equal(second.status, 200, second.text);
  clock.advance(TEN_MINUTES + 1);
  const proof = { passkey: passkey.answer(await proofOptions(prism, second.body.token)) };
  const started = await prism.post(FACTOR, proof, { token: second.body.token });
  assert.equal(started.status, 201, "a passkey proves its owner at any time");
});

test("a password must be given by an account that has one, however new its session is", async (t) => {
  const prism = await startWith(t, []);
  await makeAccount(prism, { username: "ann" });
  const { token } = await logIn(prism, "ann");
  assert.equal(outcomeOf(await prism.post(`${PASSKEYS}/begin`, {}, { token })), "400 VALIDATION_FAILED");
});

test("a linked account, a passkey that signs in or a password: the last way in stays", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const browser = new Browser(prism);
  await browser.signIn();
  const token = await browser.accessToken();
  const { body } = await prism.get<Linked>(IDENTITIES, { token });
  const unlink = () => prism.delete(`${IDENTITIES}/${body.data[0]?.id}`, { token });
  const first = await addPasskey(prism, token, { proof: NO_PASSWORD, ways: { verifies: false } });
  assert.equal(outcomeOf(await unlink()), "409 INVALID_STATE", "a passkey that is a second factor only");

  const proof = { ...NO_PASSWORD, recoveryCode: first.recoveryCodes[0] };
  const { passkey, id } = await addPasskey(prism, token, { proof });
  assert.equal(outcomeOf(await unlink()), "204");
  const remove = async (which: string) => {
    const given = { passkey: passkey.answer(await proofOptions(prism, token)) };
    return outcomeOf(await prism.request("DELETE", `${PASSKEYS}/${which}`, given, { token }));
  };
  assert.equal(await remove(id), "409 INVALID_STATE");
  assert.equal(await remove(first.id), "204", "what is no way in goes");
  assert.equal((await call(prism, SIGN_IN, { passkey: passkey.answer(await optionsOf(prism)) })).status, 200);
});

test("with auth.localLogin off a passkey does not sign in alone, and is a second factor still", async (t) => {
  const provider = await FakeProvider.start(t);
  const settings = { "auth.localLogin": "off" };
  const prism = await startWith(t, [provider.settings()], { settings });
  const { id } = await makeAccount(prism, { username: "root" }, { roles: ["Admin"] });
  const { passkey } = await addPasskey(prism, (await logIn(prism, "root")).token);
  assert.equal((await call(prism, SIGN_IN, { passkey: passkey.answer(await optionsOf(prism)) })).status, 200);
  const answer = passkey.answer(await optionsOf(prism));
  // From now on an administrator can sign in at the provider: off counts.
  const subject = { provider: "company", subject: "ann-1" };
  assert.equal((await prism.post(`/api/v1/users/${id}/identities`, subject)).status, 201);
  assert.equal(outcomeOf(await call(prism, SIGN_IN, { passkey: answer })), "403 LOCAL_LOGIN_OFF");
  assert.equal(outcomeOf(await call(prism, `${SIGN_IN}/begin`, {})), "403 LOCAL_LOGIN_OFF");
  const { body: setup } = await prism.get<{ passkeys: boolean }>("/api/v1/setup", { token: null });
  assert.equal(setup.passkeys, false);

  const { fragment } = await new Browser(prism).signIn();
  const challenge = fragment.get("challenge") ?? "";
  const given = passkey.answer(await optionsOf(prism, challenge));
  const second = await call(prism, "/api/v1/auth/login/second-factor", { challenge, passkey: given });
  assert.deepEqual([second.status, second.body.user.id], [200, id], second.text);
});

test("a provider's sign-in opens no account that is disabled, and none after the provider is removed", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const browser = new Browser(prism);
  await browser.signIn();
  const { id } = await browser.me();
  const asked = await browser.start();
  assert.equal((await prism.patch(`/api/v1/users/${String(id)}`, { status: "disabled" })).status, 200);
  const back = { state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" };
  assert.equal(await refusalOf(browser.back(back)), "ACCOUNT_DISABLED");
  assert.equal((await prism.patch(`/api/v1/users/${String(id)}`, { status: "active" })).status, 200);
  const later = await browser.start();
  const { settings } = prism.parts.core;
  const { current } = settings;
  settings.reload({ ...current, auth: { ...current.auth, oidc: [] } });
  const late = { state: later.get("state") ?? "", code: later.get("nonce") ?? "" };
  assert.equal(await refusalOf(browser.back(late)), "NOT_FOUND");
});
