import assert from "node:assert/strict";
import test from "node:test";
import type { User } from "../../../../src/client/api-types.gen.ts";
import { proxySignInHeaders } from "../../../../src/http/server/headers.ts";
import { openPort } from "../../../cluster/support/port.ts";
import { answered } from "../../../helpers/prism.ts";
import { startAccounts } from "../sessions/support/auth-client.ts";
import { get, PROXY, proxied } from "./support.ts";

test("a node that follows does not pass the header on: to the leader it would come from a node", async (t) => {
  const prism = await startAccounts(t, {
    settings: { ...PROXY, "auth.proxyHeader.groups": "Remote-Groups", trustedProxies: "127.0.0.1" },
  });
  const { body } = await answered(201, prism.post<User>("/api/v1/users", { username: "grace", status: "active" }));
  const identity = { provider: "proxy:remote-user", subject: "grace" };
  await answered(201, prism.post(`/api/v1/users/${body.id}/identities`, identity));
  const port = await openPort(t, { notPassed: proxySignInHeaders(prism.parts.base.config) });
  port.leads(prism.url);
  assert.equal((await get(`${prism.url}/auth/proxy`, proxied("grace"))).status, 302, "to the leader itself");
  const passed = await get(`${port.url}/auth/proxy`, proxied("grace"));
  assert.deepEqual([passed.status, passed.headers["set-cookie"]], [403, undefined], passed.text);
  assert.match(passed.text, /PROXY_REFUSED/);
  const seen = [...proxySignInHeaders(prism.parts.base.config)].sort();
  assert.deepEqual(seen, ["prism-proxy-secret", "remote-groups", "remote-user"]);

  const careless = await openPort(t);
  careless.leads(prism.url);
  assert.equal(
    (await get(`${careless.url}/auth/proxy`, proxied("grace"))).status,
    302,
    "else it would be the node's word",
  );
});
