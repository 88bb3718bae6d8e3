import assert from "node:assert/strict";
import test from "node:test";
import { openPort } from "../../../cluster/support/port.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { outcomeOf } from "../sessions/support/auth-client.ts";
import { Browser, refusalOf, startWith } from "./support/browser.ts";
import { FakeProvider } from "./support/fake-provider.ts";

test("sign-in at a provider through a node that follows: what is used up is used up on the leader", async (t) => {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const port = await openPort(t);
  port.leads(prism.url);
  const node: TestPrism = Object.create(prism, { url: { value: port.url } });
  const browser = new Browser(node);
  const asked = await browser.start();
  const cookies = [...browser.cookies];
  const answer = { state: asked.get("state") ?? "", code: asked.get("nonce") ?? "" };
  assert.equal((await browser.back(answer)).path, "/dashboard/");
  assert.equal((await browser.me())["status"], "active");

  for (const [name, server] of Object.entries({ node, leader: prism })) {
    const copy = new Browser(server);
    for (const [cookie, value] of cookies) copy.cookies.set(cookie, value);
    assert.equal(await refusalOf(copy.back(answer)), "SIGN_IN_EXPIRED", `a second time at the ${name}`);
  }
  const token = await provider.token({
    ...{ sub: "ann-1", jti: "1", events: { "http://schemas.openid.net/event/backchannel-logout": {} } },
  });
  const logOut = (server: TestPrism) =>
    server.request("POST", "/auth/oidc/company/backchannel-logout", `logout_token=${token}`, {
      ...{ token: null, headers: { "Content-Type": "application/x-www-form-urlencoded" } },
    });
  const access = await browser.accessToken();
  assert.equal((await logOut(node)).status, 200);
  assert.equal((await prism.get("/api/v1/users/me", { token: access })).status, 401);
  assert.equal(outcomeOf(await logOut(prism)), "400 VALIDATION_FAILED", "its jti is known to the leader");
});
