import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { logIn, makeAccount, outcomeOf, PASSWORD } from "../sessions/support/auth-client.ts";
import { protect } from "../sessions/support/second-factor.ts";
import { Browser, refusalOf, startWith } from "./support/browser.ts";
import { FakeProvider } from "./support/fake-provider.ts";

const OWN = "/api/v1/users/me/identities";
const MINUTE = 60_000;

interface Identities {
  readonly data: readonly { readonly id: string; readonly provider: string; readonly subject: string }[];
}

async function invited(prism: TestPrism, email: string, roles: readonly string[] = ["User"]): Promise<string> {
  const reply = await prism.post<{ id: string }>("/api/v1/users", { email, roles, status: "active" });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.id;
}

/** Begins to link in the session of a password login. */
async function linkStart(browser: Browser, token: string, body: object): Promise<URLSearchParams> {
  const reply = await browser.request("POST", OWN, { provider: "company", ...body }, token);
  assert.equal(reply.status, 201, reply.text);
  return new URL(String(reply.body["url"])).searchParams;
}

const answerOf = (asked: URLSearchParams) => ({ state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" });

test("an address links an account only if the provider has verified it, and the account has no other way in", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ link: "email_verified" })]);
  await invited(prism, "ann@example.com");
  await makeAccount(prism, { email: "password@example.com" });
  await invited(prism, "admin@example.com", ["Admin"]);
  await makeAccount(prism, { email: "factor@example.com", username: "factor" });
  await protect(prism, "factor");
  const signIn = (claims: object) => {
    provider.claims = { name: "X", ...claims };
    return refusalOf(new Browser(prism).signIn());
  };
  const ownerOf = (subject: string) =>
    scalarOf(prism, "select email from identities i join users u on u.id = i.userId where subject = ?", subject);

  for (const [name, email] of [
    ["an account with a password", "password@example.com"],
    ["an administrator", "admin@example.com"],
    ["an account with a second factor", "factor@example.com"],
  ] as const)
    await t.test(`not ${name}`, async () => {
      assert.equal(await signIn({ sub: name, email, email_verified: true }), "ACCOUNT_NOT_LINKED");
      assert.equal(ownerOf(name), undefined);
    });
  await t.test("not by an address that is not verified, or not said to be", async () => {
    for (const verified of [false, undefined, "true", 1]) {
      const sub = `unverified-${String(verified)}`;
      assert.equal(await signIn({ sub, email: "ann@example.com", email_verified: verified }), "ACCOUNT_PENDING");
      assert.equal(ownerOf(sub), null);
    }
  });
  await t.test("by a verified one, in any spelling", async () => {
    assert.equal(await signIn({ sub: "ann-1", email: "Ann@Example.com", email_verified: true }), null);
    assert.equal(ownerOf("ann-1"), "ann@example.com");
  });
  await t.test("not a second person of the same provider, to whom the address may have passed", async () => {
    assert.equal(await signIn({ sub: "ann-2", email: "ann@example.com", email_verified: true }), "ACCOUNT_NOT_LINKED");
  });
  await t.test("and never without the setting", async () => {
    const other = await startWith(t, [provider.settings()]);
    await invited(other, "ann@example.com");
    provider.claims = { sub: "ann-1", email: "ann@example.com", email_verified: true, name: "Ann" };
    assert.equal(await refusalOf(new Browser(other).signIn()), "ACCOUNT_NOT_LINKED");
  });
});

async function startLinking(t: TestContext) {
  const provider = await FakeProvider.start(t);
  const clock = new FakeClock();
  const prism = await startWith(t, [provider.settings()], { clock });
  const { id } = await makeAccount(prism, { username: "ann" });
  return { provider, clock, prism, id };
}

test("an account of a provider is linked from the account page, with a recent proof", async (t) => {
  const { clock, prism, id } = await startLinking(t);
  const { token } = await logIn(prism, "ann");
  const browser = new Browser(prism);

  await t.test("the password, or a session that was opened just now", async () => {
    clock.advance(10 * MINUTE + 1);
    assert.equal(
      outcomeOf(await browser.request("POST", OWN, { provider: "company" }, token)),
      "400 VALIDATION_FAILED",
    );
    const wrong = { provider: "company", password: "wrong" };
    assert.equal(outcomeOf(await browser.request("POST", OWN, wrong, token)), "401 INVALID_CREDENTIALS");
    assert.equal(outcomeOf(await browser.request("POST", OWN, { provider: "none" }, token)), "404 NOT_FOUND");
    assert.equal(browser.cookies.size, 0);
  });

  const asked = await linkStart(browser, token, { password: PASSWORD });
  const landing = await browser.back(answerOf(asked));
  assert.deepEqual([landing.path, landing.fragment.toString()], ["/dashboard/account/security", ""]);
  const { body } = await prism.get<Identities>(OWN, { token });
  assert.deepEqual(
    body.data.map(({ provider, subject }) => [provider, subject]),
    [["company", "ann-1"]],
  );
  const { body: shown } = await prism.get<Identities>(`/api/v1/users/${id}/identities`);
  assert.deepEqual(shown.data, body.data);

  const other = new Browser(prism);
  await other.signIn();
  assert.equal((await other.me())["id"], id);
  const actions = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where resourceId = ? and (action like 'user.identity%' or action = 'auth.login') order by seq",
    id,
  );
  assert.deepEqual(
    actions.map(({ action }) => action),
    ["auth.login", "user.identity_link", "auth.login"],
  );
  assert.match(actions[2]?.metadata ?? "", /"via":"oidc:company"/);
});

test("a link is refused once its session has ended, to a service token, and for another's account", async (t) => {
  const { provider, prism } = await startLinking(t);
  const { token } = await logIn(prism, "ann");
  const browser = new Browser(prism);
  const asked = await linkStart(browser, token, {});
  await prism.post("/api/v1/auth/logout", {}, { token });
  assert.deepEqual(await refusalOf(browser.back(answerOf(asked))), "SESSION_REVOKED");
  assert.equal(scalarOf(prism, "select count(*) from identities"), 0);

  const again = (await logIn(prism, "ann")).token;
  const { body } = await prism.post<{ token: string }>(
    "/api/v1/users/me/tokens",
    { name: "t", scopes: ["account:own"] },
    { token: again },
  );
  assert.equal(outcomeOf(await prism.post(OWN, { provider: "company" }, { token: body.token })), "403 FORBIDDEN");

  const bob = await makeAccount(prism, { username: "bob" });
  const subject = { provider: "company", subject: "ann-1" };
  assert.equal((await prism.post(`/api/v1/users/${bob.id}/identities`, subject)).status, 201);
  const third = new Browser(prism);
  assert.equal(await refusalOf(third.back(answerOf(await linkStart(third, again, {})))), "IDENTITY_TAKEN");
  provider.claims = { ...provider.claims, sub: "ann-9" };
  assert.equal(await refusalOf(third.back(answerOf(await linkStart(third, again, {})))), null);
});

test("an account that a sign-in made and that waits for approval gives way to the one that is linked", async (t) => {
  const { provider, prism, id } = await startLinking(t);
  provider.claims = { sub: "ann-1", name: "Ann", email: "ann@example.com" };
  assert.equal(await refusalOf(new Browser(prism).signIn()), "ACCOUNT_PENDING");
  const { token } = await logIn(prism, "ann");
  const browser = new Browser(prism);
  assert.equal(await refusalOf(browser.back(answerOf(await linkStart(browser, token, {})))), null);
  await browser.signIn();
  assert.equal((await browser.me())["id"], id);
  assert.equal(scalarOf(prism, "select count(*) from users where status = 'pending' and deletedAt is null"), 0);
});

test("unlinking leaves a way in, ends the provider's sessions and takes back what its groups gave", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true, roles: { ops: "Operator" } })]);
  provider.claims = { ...provider.claims, groups: ["ops"] };
  const browser = new Browser(prism);
  await browser.signIn();
  const me = await browser.me();
  assert.deepEqual(me["roles"], ["Operator", "User"]);
  const token = await browser.accessToken();
  const { body } = await prism.get<Identities>(OWN, { token });
  const path = `${OWN}/${body.data[0]?.id}`;
  assert.equal(outcomeOf(await prism.delete(path, { token })), "409 INVALID_STATE");
  assert.equal(outcomeOf(await prism.delete(`${OWN}/unknown`, { token })), "404 IDENTITY_NOT_FOUND");

  const managed = `/api/v1/users/${String(me["id"])}/identities`;
  assert.equal((await prism.delete(`${managed}/${body.data[0]?.id}`)).status, 204);
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 401);
  const { body: user } = await prism.get(`/api/v1/users/${String(me["id"])}`);
  assert.deepEqual(user["roles"], ["User"]);
  assert.deepEqual((await prism.get<Identities>(managed)).body.data, []);
});

test("a manager of users links and unlinks no one with more rights, and not the own account", async (t) => {
  const { prism } = await startLinking(t);
  const role = { name: "Manager", permissions: ["users:manage"] };
  assert.equal((await prism.post("/api/v1/roles", role)).status, 201);
  const admin = await makeAccount(prism, { username: "root" }, { roles: ["Admin"] });
  const manager = await makeAccount(prism, { username: "mia" }, { roles: ["Manager"] });
  const { token } = await logIn(prism, "mia");
  const subject = { provider: "company", subject: "evil" };
  const link = (id: string) => prism.post(`/api/v1/users/${id}/identities`, subject, { token });
  assert.equal(outcomeOf(await link(admin.id)), "422 PRIVILEGE_ESCALATION");
  assert.equal(outcomeOf(await link(manager.id)), "409 INVALID_STATE");
  const { body } = await prism.post<{ id: string }>(`/api/v1/users/${admin.id}/identities`, subject);
  const remove = await prism.delete(`/api/v1/users/${admin.id}/identities/${body.id}`, { token });
  assert.equal(outcomeOf(remove), "422 PRIVILEGE_ESCALATION");
});

test("a removed account loses its identities, so that the person may come back as a new one", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const browser = new Browser(prism);
  await browser.signIn();
  const { id } = await browser.me();
  assert.equal((await prism.delete(`/api/v1/users/${String(id)}`)).status, 204);
  assert.equal(scalarOf(prism, "select count(*) from identities"), 0);
  const again = new Browser(prism);
  await again.signIn();
  assert.notEqual((await again.me())["id"], id);
});
