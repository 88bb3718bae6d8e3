import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { call, logIn, makeAccount, outcomeOf, PASSWORD } from "../sessions/support/auth-client.ts";
import { Browser, refusalOf, startWith } from "./support/browser.ts";
import { FakeProvider } from "./support/fake-provider.ts";

const ANN = { sub: "ann-1", name: "Ann", email: "ann@example.com", email_verified: true };
const SUBJECT = { provider: "company", subject: "boss" };

interface Invited {
  readonly id: string;
  readonly inviteUrl: string;
}

test("an address links only as the provider has verified it, with no character changed", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ link: "email_verified" })]);
  await prism.post("/api/v1/users", { email: "mike@example.com", roles: ["User"], status: "active" });
  for (const email of [
    "mi\u212ae@example.com",
    "mi\u202ake@example.com",
    "mi\u200eke@example.com",
    "mi\u0001ke@example.com",
    "mike@example.com\u200f",
    " mike@example.com",
  ]) {
    provider.claims = { sub: `s-${escape(email)}`, name: "X", email, email_verified: true };
    assert.equal(await refusalOf(new Browser(prism).signIn()), "ACCOUNT_PENDING", escape(email));
  }
  const linked = "select count(*) from identities i join users u on u.id = i.userId where u.email is not null";
  assert.equal(scalarOf(prism, linked), 0);
});

test("userClaim email takes a verified address alone", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ userClaim: "email", provision: true })]);
  provider.claims = { ...ANN, sub: "1" };
  assert.equal(await refusalOf(new Browser(prism).signIn()), null);
  for (const verified of [false, undefined, "true"]) {
    provider.claims = { ...ANN, sub: "2", email_verified: verified };
    provider.info = { sub: "2" };
    assert.equal(await refusalOf(new Browser(prism).signIn()), "PROVIDER_REFUSED");
  }
});

test("a provider that is taken out of the settings refreshes no session", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const browser = new Browser(prism);
  await browser.signIn();
  await browser.accessToken();
  const { config } = prism.parts.base;
  prism.app.reload({ ...config, auth: { ...config.auth, oidc: [] } });
  assert.equal(outcomeOf(await browser.request("POST", "/api/v1/auth/refresh", {})), "401 SESSION_REVOKED");
  assert.equal(scalarOf(prism, "select revokeReason from sessions where via = 'oidc:company'"), "provider");
});

test("an invited account, also the own one, does not give way to another", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings()]);
  await prism.post("/api/v1/roles", { name: "Manager", permissions: ["users:manage"] });
  const { body } = await prism.post<Invited>("/api/v1/users", { email: "boss@example.com", roles: ["Admin"] });
  assert.equal((await prism.post(`/api/v1/users/${body.id}/identities`, SUBJECT)).status, 201);
  await makeAccount(prism, { username: "mia" }, { roles: ["Manager"] });
  const low = await makeAccount(prism, { username: "low" }, { roles: [] });
  const { token } = await logIn(prism, "mia");
  const path = `/api/v1/users/${low.id}/identities`;
  assert.equal(outcomeOf(await prism.post(path, SUBJECT, { token })), "409 IDENTITY_TAKEN");

  await makeAccount(prism, { username: "other" });
  const browser = new Browser(prism);
  const own = await logIn(prism, "other");
  const begun = await browser.request("POST", "/api/v1/users/me/identities", { provider: "company" }, own.token);
  const asked = new URL(String(begun.body["url"])).searchParams;
  provider.claims = { sub: "boss", name: "B" };
  provider.info = { sub: "boss" };
  const answer = { state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" };
  assert.equal(await refusalOf(browser.back(answer)), "IDENTITY_TAKEN");
  assert.equal(scalarOf(prism, "select deletedAt from users where id = ?", body.id), null);
});

test("the link of an invitation ends with the first sign-in at a provider", async (t) => {
  const provider = await FakeProvider.start(t);
  provider.claims = ANN;
  const prism = await startWith(t, [provider.settings({ link: "email_verified" })]);
  const { body } = await prism.post<Invited>("/api/v1/users", { email: "ann@example.com", roles: ["User"] });
  assert.equal(await refusalOf(new Browser(prism).signIn()), null);
  const inviteToken = body.inviteUrl.replace(/.*token=/, "");
  const taken = await call<{ error?: { code: string } }>(prism, "/api/v1/auth/register", {
    inviteToken,
    password: PASSWORD,
    username: "mallory",
  });
  assert.equal(taken.body.error?.code, "LINK_EXPIRED", taken.text);
  assert.equal(scalarOf(prism, "select passwordHash from users where id = ?", body.id), null);
});

test("unlinking ends sessions and rights of every name that the provider had", async (t) => {
  const provider = await FakeProvider.start(t);
  const named = (name: string) => provider.settings({ name, provision: true, roles: { ops: "Admin" } });
  const prism = await startWith(t, [named("old"), named("new")]);
  const person = { sub: "ann-1", name: "Ann" };
  provider.info = { sub: "ann-1" };
  provider.claims = { ...person, groups: ["ops"] };
  const browser = new Browser(prism);
  await browser.signIn("old");
  provider.claims = { ...person, groups: [] };
  await browser.signIn("new");
  const { id, roles } = await browser.me();
  assert.deepEqual(roles, ["Admin", "User"], "the other provider does not say so");
  const identity = String(scalarOf(prism, "select id from identities"));
  assert.equal((await prism.delete(`/api/v1/users/${String(id)}/identities/${identity}`)).status, 204);
  assert.deepEqual((await prism.get(`/api/v1/users/${String(id)}`)).body["roles"], ["User"]);
  assert.equal(scalarOf(prism, "select count(*) from sessions where via is not null and revokedAt is null"), 0);
});

test("a sign-in under the new name of a provider takes away what it gave under the old one", async (t) => {
  const provider = await FakeProvider.start(t);
  const named = (name: string) => provider.settings({ name, provision: true, roles: { ops: "Operator" } });
  const prism = await startWith(t, [named("old"), named("new")]);
  provider.info = { sub: "ann-1" };
  provider.claims = { sub: "ann-1", name: "Ann", groups: ["ops"] };
  await new Browser(prism).signIn("old");
  const { config } = prism.parts.base;
  const oidc = config.auth.oidc.filter(({ name }) => name === "new");
  prism.app.reload({ ...config, auth: { ...config.auth, oidc } });
  provider.claims = { sub: "ann-1", name: "Ann", groups: [] };
  const browser = new Browser(prism);
  await browser.signIn("new");
  assert.deepEqual((await browser.me())["roles"], ["User"]);
});

test("an address that its account has not confirmed neither links nor keeps its owner out", async (t) => {
  const provider = await FakeProvider.start(t);
  provider.claims = ANN;
  const prism = await startWith(t, [provider.settings({ link: "email_verified", provision: true })]);
  const { id } = await makeAccount(prism, { username: "mallory", email: "ann@example.com" });
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ passwordHash: null, isEmailVerified: 0 }).where("id", "=", id).execute(),
  );
  const browser = new Browser(prism);
  assert.equal(await refusalOf(browser.signIn()), null);
  const me = await browser.me();
  assert.notEqual(me["id"], id);
  assert.equal(me["email"], null);
});

test("a published issuer that is not the setting is refused, and the finding says what to write", async (t) => {
  const provider = await FakeProvider.start(t);
  provider.metadata = { issuer: `${provider.url}/` };
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const reply = await prism.get("/auth/oidc/company", { token: null });
  assert.match(reply.headers.get("location") ?? "", /#error=PROVIDER_REFUSED$/);
  const [found] = prism.parts.offers.findings.known().filter(({ code }) => code === "oidc");
  assert.ok(JSON.stringify(found).includes(`its issuer is ${provider.url}/: write it so`), JSON.stringify(found));
});

test("a refresh without an ID token and without groups takes no rights away", async (t) => {
  const provider = await FakeProvider.start(t);
  const clock = new FakeClock();
  provider.claims = { ...ANN, groups: ["ops"] };
  provider.refreshToken = "refresh-1";
  const settings = provider.settings({ provision: true, roles: { ops: "Operator" }, groupsEvery: "1h" });
  const prism = await startWith(t, [settings], { clock });
  const browser = new Browser(prism);
  await browser.signIn();
  clock.advance(3_600_000);
  provider.forge = () => undefined as unknown as string;
  provider.info = { sub: "ann-1", name: "Ann" };
  assert.deepEqual((await browser.me())["roles"], ["Operator", "User"]);
  assert.equal(provider.tokenRequests.length, 2);
});

test("a disabled account gets no rights of groups for later", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true, roles: { ops: "Admin" } })]);
  provider.claims = { ...ANN, groups: [] };
  const browser = new Browser(prism);
  await browser.signIn();
  const id = String((await browser.me())["id"]);
  await prism.patch(`/api/v1/users/${id}`, { status: "disabled" });
  provider.claims = { ...ANN, groups: ["ops"] };
  assert.equal(await refusalOf(new Browser(prism).signIn()), "ACCOUNT_DISABLED");
  assert.deepEqual((await prism.get(`/api/v1/users/${id}`)).body["roles"], ["User"]);
});

test("sign-ins at once ask for what a provider publishes once, and forged logout tokens for its keys once", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings()]);
  await Promise.all(Array.from({ length: 10 }, () => prism.get("/auth/oidc/company", { token: null })));
  const asked = (path: string) => provider.requests.filter((each) => each === path).length;
  assert.equal(asked("/.well-known/openid-configuration"), 1);
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  for (let i = 0; i < 5; i++) {
    const body = `logout_token=${await provider.token({ jti: `j${i}`, aud: "another" })}`;
    await prism.request("POST", "/auth/oidc/company/backchannel-logout", body, { token: null, headers });
  }
  assert.equal(asked("/keys"), 1);
  assert.equal(rowsOf(prism, "select id from sessions where revokedAt is not null").length, 0);
});

test("the log has no text of a link that a stranger made", async (t) => {
  const provider = await FakeProvider.start(t);
  const log = new LogLines();
  const prism = await startWith(t, [provider.settings()], { log });
  const browser = new Browser(prism);
  const state = (await browser.start()).get("state") ?? "";
  const error = `evil\u001b[31m\nline ${"x".repeat(200)}`;
  assert.equal(await refusalOf(browser.back({ state, error })), "PROVIDER_REFUSED");
  const line = log.lines.map((each) => JSON.stringify(each)).find((each) => each.includes("evil"));
  assert.ok(line !== undefined && !/\\u001b|\\\\n|x{60}/.test(line), line);
});
