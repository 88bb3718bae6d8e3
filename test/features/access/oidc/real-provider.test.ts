import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import type { PrismOptions } from "../../../helpers/prism.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { Browser, startWith } from "./support/browser.ts";
import { ProviderVisit, RealProvider } from "./support/real-provider.ts";

const HOUR = 3_600_000;

async function start(t: TestContext, more: object = {}, options: PrismOptions = {}) {
  const provider = await RealProvider.start(t);
  const prism = await startWith(t, [provider.settings({ roles: { ops: "Operator" }, ...more })], options);
  provider.register(`http://localhost:${prism.app.port}`, prism.app.port);
  const visit = new ProviderVisit();
  const browser = new Browser(prism);
  const signIn = async () => {
    const reply = await browser.request("GET", "/auth/oidc/company?returnTo=/rules");
    const back = await visit.follow(reply.headers.get("location") ?? "");
    return browser.back(Object.fromEntries(back.searchParams));
  };
  return { provider, prism, visit, browser, signIn };
}

test("a person signs in at oidc-provider, with roles from groups", async (t) => {
  const { provider, browser, signIn } = await start(t);
  const landing = await signIn();
  assert.deepEqual([landing.path, landing.fragment.toString()], ["/dashboard/rules", "signed-in="]);
  const me = await browser.me();
  assert.deepEqual(
    ["username", "email", "name", "roles"].map((name) => me[name]),
    ["ann", "ann@example.com", "Ann Lee", ["Operator", "User"]],
  );
  provider.person = { ...provider.person, groups: [] };
  await signIn();
  assert.deepEqual((await browser.me())["roles"], ["User"]);
});

test("groups of oidc-provider are read again by its refresh token", async (t) => {
  const scopes = ["openid", "profile", "email", "groups", "offline_access"];
  const clock = new FakeClock();
  const { provider, browser, signIn } = await start(t, { groupsEvery: "1h", scopes }, { clock });
  await signIn();
  provider.person = { ...provider.person, groups: [] };
  assert.deepEqual((await browser.me())["roles"], ["Operator", "User"]);
  clock.advance(HOUR);
  assert.deepEqual((await browser.me())["roles"], ["User"]);
});

test("a sign-out at oidc-provider ends the session and its sockets here", async (t) => {
  const { provider, prism, visit, browser, signIn } = await start(t);
  await signIn();
  const token = await browser.accessToken();
  const socket = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws?token=${token}`);
  await visit.signOut(provider.url);
  assert.equal(provider.logoutError, null);
  await socket.end;
  assert.equal((await prism.get("/api/v1/users/me", { token })).status, 401);
});
