import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { outcomeOf } from "../sessions/support/auth-client.ts";
import { Browser, startWith } from "./support/browser.ts";
import { FakeProvider } from "./support/fake-provider.ts";

const HOUR = 3_600_000;
const REFRESH = "/api/v1/auth/refresh";

async function start(t: TestContext, groupsEvery: string | null = "1h") {
  const provider = await FakeProvider.start(t);
  provider.claims = { ...provider.claims, groups: ["ops"] };
  provider.refreshToken = "refresh-1";
  const clock = new FakeClock();
  const settings = provider.settings({ provision: true, roles: { ops: "Operator" }, groupsEvery });
  const prism = await startWith(t, [settings], { clock });
  const browser = new Browser(prism);
  await browser.signIn();
  // An ID token of a refresh has no nonce.
  provider.claims = { ...provider.claims, nonce: undefined };
  return { provider, clock, prism, browser };
}

test("groups are read again when a session is refreshed and they are older than groupsEvery", async (t) => {
  const { provider, clock, prism, browser } = await start(t);
  assert.deepEqual((await browser.me())["roles"], ["Operator", "User"]);
  assert.equal(provider.tokenRequests.length, 1);
  clock.advance(HOUR);
  provider.claims = { ...provider.claims, groups: [] };
  provider.refreshToken = "refresh-2";
  assert.deepEqual((await browser.me())["roles"], ["User"]);
  assert.deepEqual(
    provider.tokenRequests.map((form) => form.get("refresh_token")),
    [null, "refresh-1"],
  );
  clock.advance(HOUR);
  await browser.me();
  assert.equal(provider.tokenRequests[2]?.get("refresh_token"), "refresh-2");

  const stored = scalarOf<Buffer>(prism, "select tokens from identities");
  assert.ok(stored && !stored.toString("latin1").includes("refresh-"));
});

test("a refusal of the provider ends the sessions that it opened, and no others", async (t) => {
  const { provider, clock, prism, browser } = await start(t);
  const token = await browser.accessToken();
  clock.advance(HOUR);
  provider.refusal = { status: 400, error: "invalid_grant" };
  assert.equal(outcomeOf(await browser.request("POST", REFRESH, {})), "401 SESSION_REVOKED");
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 401);
  assert.equal(scalarOf(prism, "select tokens from identities"), null);
  const ended = "select count(*) from sessions where revokedAt is not null and via is not 'oidc:company'";
  assert.equal(scalarOf(prism, ended), 0);
});

test("a provider that cannot be reached ends nothing, and is left alone for a minute", async (t) => {
  const { provider, clock, browser } = await start(t);
  clock.advance(HOUR);
  provider.refusal = { status: 503, error: "server_error" };
  assert.deepEqual((await browser.me())["roles"], ["Operator", "User"]);
  await browser.me();
  assert.equal(provider.tokenRequests.length, 2);
  clock.advance(60_000);
  provider.refusal = null;
  provider.claims = { ...provider.claims, groups: [] };
  assert.deepEqual((await browser.me())["roles"], ["User"]);
});

test("a provider that hangs delays no refresh for long; its answer counts when it comes", async (t) => {
  const { provider, clock, prism, browser } = await start(t);
  clock.advance(HOUR);
  provider.claims = { ...provider.claims, groups: [] };
  let answer: () => void = () => undefined;
  provider.until = new Promise((resolve) => {
    answer = resolve;
  });
  assert.deepEqual((await browser.me())["roles"], ["Operator", "User"]);
  answer();
  await eventually(
    "the groups",
    () => scalarOf(prism, "select count(*) from user_roles r join identities i on i.userId = r.userId") === 1,
  );
  assert.deepEqual((await browser.me())["roles"], ["User"]);
});

test("another person's answer changes nothing", async (t) => {
  const { provider, clock, browser } = await start(t);
  clock.advance(HOUR);
  provider.claims = { ...provider.claims, sub: "someone-else", groups: [] };
  assert.deepEqual((await browser.me())["roles"], ["Operator", "User"]);
});

test("without groupsEvery no token of the provider is kept, and one that was kept goes at the next sign-in", async (t) => {
  const { prism, clock, provider, browser } = await start(t, null);
  assert.equal(scalarOf(prism, "select tokens from identities"), null);
  clock.advance(HOUR);
  await browser.me();
  assert.equal(provider.tokenRequests.length, 1);
});
