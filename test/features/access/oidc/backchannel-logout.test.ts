import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test, { type TestContext } from "node:test";
import { SignJWT } from "jose";
import { scalarOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { type Claims, IssuerKey } from "../authenticate/support/issuer.ts";
import { outcomeOf } from "../sessions/support/auth-client.ts";
import { Browser, startWith } from "./support/browser.ts";
import { FakeProvider, unsigned } from "./support/fake-provider.ts";

const EVENTS = { "http://schemas.openid.net/event/backchannel-logout": {} };

async function start(t: TestContext) {
  const provider = await FakeProvider.start(t);
  const prism = await startWith(t, [provider.settings({ provision: true })]);
  const signIn = async (sid: string) => {
    provider.claims = { ...provider.claims, sid };
    const browser = new Browser(prism);
    await browser.signIn();
    return browser.accessToken();
  };
  const send = (token: string, name = "company") =>
    prism.request(
      "POST",
      `/auth/oidc/${name}/backchannel-logout`,
      new URLSearchParams({ logout_token: token }).toString(),
      {
        token: null,
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
      },
    );
  const tokenOf = (claims: Claims, header: Claims = { typ: "logout+jwt" }) =>
    provider.token({ jti: randomUUID(), events: EVENTS, ...claims }, header);
  const isIn = async (token: string) => (await prism.get("/api/v1/users/me", { token })).status === 200;
  return { provider, prism, signIn, send, tokenOf, isIn };
}

test("a logout token ends the session that it names, with its sockets", async (t) => {
  const { prism, signIn, send, tokenOf, isIn } = await start(t);
  const [desk, phone] = [await signIn("desk"), await signIn("phone")];
  const socket = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws?token=${desk}`);
  assert.equal((await send(await tokenOf({ sid: "desk" }))).status, 200);
  await socket.end;
  assert.deepEqual([await isIn(desk), await isIn(phone)], [false, true]);
  assert.equal(scalarOf(prism, "select revokeReason from sessions where sid = 'desk'"), "provider");
});

test("a logout token with a subject alone ends all sessions that the provider opened for the person", async (t) => {
  const { prism, signIn, send, tokenOf, isIn } = await start(t);
  const [desk, phone] = [await signIn("desk"), await signIn("phone")];
  assert.equal((await send(await tokenOf({ sub: "ann-1" }))).status, 200);
  assert.deepEqual(
    [await isIn(desk), await isIn(phone), (await prism.get("/api/v1/users/me")).status],
    [false, false, 200],
  );
  assert.equal((await send(await tokenOf({ sub: "unknown" }))).status, 200);
});

test("logout tokens that end nothing", async (t) => {
  const { provider, signIn, send, tokenOf, isIn } = await start(t);
  const session = await signIn("desk");
  const now = Math.floor(Date.now() / 1000);
  const other = await IssuerKey.make("k1", "RS256");
  const claims = { iss: provider.url, aud: "prism", iat: now, jti: "x", sid: "desk", events: EVENTS };
  const hmac = new SignJWT(claims).setProtectedHeader({ alg: "HS256" });
  for (const [name, token] of [
    ["an ID token", provider.token({ sub: "ann-1", sid: "desk", jti: "1" })],
    ["without events", tokenOf({ sid: "desk", events: undefined })],
    ["of another event", tokenOf({ sid: "desk", events: { "https://example.com/other": {} } })],
    ["with a nonce", tokenOf({ sid: "desk", nonce: "n" })],
    ["for another client", tokenOf({ sid: "desk", aud: "another" })],
    ["of another issuer", tokenOf({ sid: "desk", iss: "https://evil.example.com" })],
    ["without a time", tokenOf({ sid: "desk", iat: undefined })],
    ["of an hour ago", tokenOf({ sid: "desk", iat: now - 3600 })],
    ["that has expired", tokenOf({ sid: "desk", exp: now - 120 })],
    ["without an id", tokenOf({ sid: "desk", jti: undefined })],
    ["with no one in it", tokenOf({})],
    ["of a false key", other.token(claims, { typ: "logout+jwt" })],
    ["without a signature", unsigned(claims)],
    ["signed with the client's secret", hmac.sign(Buffer.from("a secret of prism"))],
    ["of another type", tokenOf({ sid: "desk" }, { typ: "at+jwt" })],
    ["that is none", ""],
  ] as const)
    await t.test(name, async () => {
      assert.equal(outcomeOf(await send(await token)), "400 VALIDATION_FAILED");
      assert.ok(await isIn(session));
    });
  await t.test("at an unknown provider", async () => {
    assert.equal((await send(await tokenOf({ sid: "desk" }), "none")).status, 404);
  });
  await t.test("a second time", async () => {
    const token = await tokenOf({ sid: "elsewhere" });
    assert.equal((await send(token)).status, 200);
    assert.equal((await send(token)).status, 400);
  });
});
