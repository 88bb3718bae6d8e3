import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../helpers/fake-clock.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { CARRIERS, type ClientOptions, SocketIoClient } from "./support/socketio-client.ts";

for (const carrier of CARRIERS) {
  test(`over ${carrier} every kind of credential is accepted in every position, and nothing else`, async (t) => {
    const prism = await startPrism(t);
    const shop = await makeProject(prism);
    const token = prism.adminToken;
    const ticket = async () => (await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", {})).body.ticket;
    const spent = await ticket();
    const accepted: Record<string, ClientOptions> = {
      "auth.token": { auth: { token } },
      "auth.token, a key": { auth: { token: shop.apiKey } },
      "query token": { query: { token } },
      "query ticket": { query: { ticket: spent } },
      header: { extraHeaders: { Authorization: `Bearer ${token}` } },
      "the same one twice": { auth: { token }, query: { token } },
      "members of the application's own": { auth: { token, device: "phone", offset: null } },
    };
    for (const [name, options] of Object.entries(accepted)) {
      const client = SocketIoClient.start(t, prism.url, { transports: [carrier], ...options });
      const ready = await client.expect("ready");
      assert.equal(typeof ready["userId"], name.endsWith("a key") ? "object" : "string", name);
    }
    const refused: [code: string, options: ClientOptions][] = [
      ["UNAUTHENTICATED", {}],
      ["UNAUTHENTICATED", { auth: { token: null } }],
      ["TOKEN_INVALID", { auth: { token: "nonsense" } }],
      ["INVALID_API_KEY", { auth: { token: "prk_nonsense" } }],
      ["TOKEN_INVALID", { query: { ticket: spent } }],
      ["AMBIGUOUS_CREDENTIALS", { auth: { token: shop.apiKey }, query: { token } }],
      ["AMBIGUOUS_CREDENTIALS", { query: { token }, extraHeaders: { Authorization: `Bearer ${token}` } }],
      ["VALIDATION_FAILED", { auth: { token, offset: "12" } }],
      ["VALIDATION_FAILED", { auth: { token, offset: -1 } }],
      ["VALIDATION_FAILED", { auth: { token, offset: 1.5 } }],
      ["VALIDATION_FAILED", { auth: { token: 5 } }],
    ];
    for (const [code, options] of refused) {
      const client = SocketIoClient.start(t, prism.url, { transports: [carrier], ...options });
      assert.equal((await client.refused())["code"], code, JSON.stringify(options));
      assert.equal(client.socket.active, false, "the library does not come back by itself");
    }
  });
}

test("an expired token is reported by its code", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "60s" } });
  const token = prism.adminToken;
  clock.advance(300_000);
  const client = SocketIoClient.start(t, prism.url, { transports: ["websocket"], auth: { token } });
  assert.equal((await client.refused())["code"], "TOKEN_EXPIRED");
});

test("a connection beyond the limit per user is refused with a retry time", async (t) => {
  const prism = await startPrism(t, { settings: { "realtime.maxPerUser": "2" } });
  const auth = { token: prism.adminToken };
  for (const carrier of CARRIERS) await SocketIoClient.ready(t, prism.url, carrier, auth);
  const third = SocketIoClient.start(t, prism.url, { transports: ["websocket"], auth });
  const { code, retryAfterMs } = await third.refused();
  assert.deepEqual([code, retryAfterMs], ["RATE_LIMITED", 10_000]);
});

test("a namespace that the settings do not name is refused, and no credential is ever logged", async (t) => {
  const written = new LogLines();
  const prism = await startPrism(t, { log: written, settings: { "realtime.socketioNamespaces": "/alerts" } });
  const uma = await makeUser(prism, "uma");
  for (const carrier of CARRIERS) {
    const client = SocketIoClient.start(t, `${prism.url}/admin`, {
      transports: [carrier],
      auth: { token: uma.token },
      query: { token: uma.token },
    });
    assert.equal((await client.refused())["message"], "Invalid namespace");
    const auth = { token: uma.token };
    await SocketIoClient.ready(t, `${prism.url}/alerts`, carrier, auth, { query: auth });
    await SocketIoClient.ready(t, prism.url, carrier, { token: uma.token }, { query: { token: uma.token } });
  }
  // Of what Socket.IO clients ask for, requests that are refused are logged.
  await prism.get(`/socket.io/?EIO=4&transport=polling&sid=none&token=${uma.token}`, { token: uma.token });
  const text = JSON.stringify(written.lines);
  assert.match(text, /\/socket\.io\//);
  assert.ok(!text.includes(uma.token));
});
