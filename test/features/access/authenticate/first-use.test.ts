import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test, { type TestContext } from "node:test";
import { io } from "socket.io-client";
import { VERSION } from "../../../../src/core/runtime.ts";
import { AccessTokens } from "../../../../src/features/access/authenticate/access-tokens.ts";
import { session } from "../../../app/support/effects.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { Refused } from "../../../live/support/live-client.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { FrameStream } from "../../protocols/gotify/support.ts";

const ME = "/api/v1/users/me";

/** A token of the server before its restart, or of another node: this one has not seen it. */
async function fresh({ parts }: TestPrism, userId: string, sessionId: string | null = null): Promise<string> {
  const { config, clock } = parts.base;
  const { audience, accessExpires } = config.auth;
  const tokens = new AccessTokens({ secret: config.secrets.access, audience, expiresMs: accessExpires, clock });
  return (await tokens.issue(userId, sessionId)).token;
}

/** The token with a signature of another secret. */
function forged(token: string): string {
  const input = token.slice(0, token.lastIndexOf("."));
  return `${input}.${createHmac("sha256", "another").update(input).digest("base64url")}`;
}

async function upgrade(t: TestContext, url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  try {
    await WebSocketClient.openFor(t, url, { headers });
    return "101";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `${error.status} ${error.code}`;
  }
}

function join(prism: TestPrism, token: string): Promise<string> {
  const socket = io(prism.url, { auth: { token }, transports: ["websocket"], reconnection: false });
  return new Promise<string>((resolve) => {
    socket.on("connect", () => resolve("101"));
    socket.on("connect_error", (error: Error & { data?: { code?: string } }) => resolve(`401 ${error.data?.code}`));
  }).finally(() => socket.disconnect());
}

async function sse(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const abort = new AbortController();
  const { status } = await fetch(url, { headers, signal: abort.signal });
  abort.abort();
  return String(status);
}

test("a token is good wherever it is sent first, and one with a wrong signature opens nothing there", async (t) => {
  const prism = await startPrism(t, { settings: { trustedProxies: "127.0.0.1/32" } });
  const shop = await makeProject(prism);
  const { body: me } = await prism.get<{ id: string }>(ME);
  const far = { "X-Forwarded-For": "203.0.113.9" };
  const gotify = async (token: string, headers: readonly string[]) =>
    (await FrameStream.open(t, prism.app.port, { path: `/gotify/stream${token}`, headers })).status;
  const seen = async (path: string, token: string) =>
    (await prism.get<{ version?: string }>(path, { token, headers: far })).body.version;
  for (const [name, use, good, bad] of [
    ["a request", async (token) => (await prism.get(ME, { token })).status, 200, 401],
    ["a body", async (token) => (await prism.post("/api/v1/projects", { name: "x" }, { token })).status, 201, 401],
    [
      "/ws",
      (token) => upgrade(t, `${prism.wsUrl}/ws`, { Authorization: `Bearer ${token}` }),
      "101",
      "401 TOKEN_INVALID",
    ],
    ["/ws, in the query", (token) => upgrade(t, `${prism.wsUrl}/ws?token=${token}`), "101", "401 TOKEN_INVALID"],
    [
      "/realtime",
      (token) => upgrade(t, `${prism.wsUrl}/realtime/${shop.id}?token=${token}`),
      "101",
      "401 TOKEN_INVALID",
    ],
    ["tasks", (token) => upgrade(t, `${prism.wsUrl}/ws/updates?token=${token}`), "101", "401 TOKEN_INVALID"],
    ["Socket.IO", (token) => join(prism, token), "101", "401 TOKEN_INVALID"],
    ["server-sent events", (token) => sse(`${prism.url}/realtime/${shop.id}/sse?token=${token}`, {}), "200", "401"],
    ["ntfy", async (token) => (await prism.get("/ntfy/v1/account", { token })).status, 200, 401],
    [
      "ntfy's sockets",
      (token) => upgrade(t, `${prism.wsUrl}/ntfy/a/ws`, { Authorization: `Bearer ${token}` }),
      "101",
      "401 undefined",
    ],
    [
      "Gotify",
      async (token) => (await prism.get("/gotify/message", { token: null, headers: { "X-Gotify-Key": token } })).status,
      200,
      401,
    ],
    ["Gotify's stream", (token) => gotify(`?token=${token}`, []), 101, 401],
    ["Gotify's stream, by its header", (token) => gotify("", [`X-Gotify-Key: ${token}`]), 101, 401],
    ["/health", (token) => seen("/health", token), VERSION, undefined],
    ["/setup", (token) => seen("/api/v1/setup", token), VERSION, undefined],
    [
      "consent of CloudEvents",
      async (token) =>
        (
          await fetch(`${prism.url}/api/v1/events`, {
            method: "OPTIONS",
            headers: { Authorization: `Bearer ${token}`, "WebHook-Request-Origin": "a.example" },
          })
        ).headers.get("webhook-allowed-origin"),
      "a.example",
      null,
    ],
  ] satisfies readonly [string, (token: string) => Promise<unknown>, unknown, unknown][]) {
    await t.test(name, async () => {
      assert.equal(await use(await fresh(prism, me.id)), good);
      assert.equal(await use(forged(await fresh(prism, me.id))), bad, "forged");
    });
  }
});

test("a connection goes on with a token that was never sent before", async (t) => {
  const prism = await startPrism(t);
  const { id, token } = await makeUser(prism, "ann", ["User"]);
  const client = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws?token=${token}`);
  await client.expect({ op: "welcome" });
  const renewed = await client.ask({ op: "auth", id: "1", token: await fresh(prism, id) });
  assert.equal(renewed["error"], undefined);
  const refused = await client.ask({ op: "auth", id: "2", token: forged(await fresh(prism, id)) });
  assert.equal((refused["error"] as { code: string } | undefined)?.code, "TOKEN_INVALID");
});

test("a login that ends with the first use of its token is over for it", async (t) => {
  const prism = await startPrism(t);
  const { id } = await makeUser(prism, "ann", ["User"]);
  const login = await session(prism, id);
  const token = await fresh(prism, id, login.id);
  assert.equal((await prism.post("/api/v1/auth/logout", undefined, { token })).status, 204);
  const { status, body } = await prism.get<{ error: { code: string } }>(ME, { token });
  assert.deepEqual([status, body.error.code], [401, "SESSION_REVOKED"]);
});

test("a path without a route counts for the token's user, at its first use too", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "true", "rateLimit.ip": "3" } });
  const { id } = await makeUser(prism, "ann", ["User"]);
  const ask = async (token: string) => (await prism.get("/nowhere", { token })).status;
  for (let n = 0; n < 5; n++) assert.equal(await ask(await fresh(prism, id)), 404);
  const seen = new Set<number>();
  for (let n = 0; n < 5; n++) seen.add(await ask(forged(await fresh(prism, id))));
  assert.deepEqual(seen, new Set([404, 429]), "forged ones count for the address");
});

test("any number of tokens may come for the first time at once", async (t) => {
  const prism = await startPrism(t);
  const { id } = await makeUser(prism, "ann", ["User"]);
  const tokens = await Promise.all(Array.from({ length: 300 }, () => fresh(prism, id)));
  const statuses = await Promise.all(tokens.map(async (token) => (await prism.get(ME, { token })).status));
  assert.deepEqual(new Set(statuses), new Set([200]));
});

test("what a verified token may is asked at each use: its session, its account, its roles", async (t) => {
  const prism = await startPrism(t);
  const { id } = await makeUser(prism, "ann", ["Auditor"]);
  const login = await session(prism, id);
  for (const token of [login.token, await fresh(prism, id, login.id)]) {
    const audit = async () => {
      const { status, body } = await prism.get<{ error?: { code: string } }>("/api/v1/audit", { token });
      return `${status} ${body.error?.code ?? ""}`.trim();
    };
    assert.equal(await audit(), "200");
    for (const [role, outcome] of [
      ["Viewer", "403 UNAUTHORIZED_ROLE"],
      ["Auditor", "200"],
    ] as const) {
      assert.equal((await prism.patch(`/api/v1/users/${id}`, { roles: [role] })).status, 200);
      assert.equal(await audit(), outcome);
    }
  }
  assert.equal((await prism.post("/api/v1/auth/logout", undefined, { token: login.token })).status, 204);
  for (const token of [login.token, await fresh(prism, id, login.id)]) {
    const { body } = await prism.get<{ error: { code: string } }>(ME, { token });
    assert.equal(body.error.code, "SESSION_REVOKED");
  }
  const other = await fresh(prism, id);
  assert.equal((await prism.get(ME, { token: other })).status, 200, "a token without a session");
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "disabled" })).status, 200);
  const { status, body } = await prism.get<{ error: { code: string } }>(ME, { token: other });
  assert.deepEqual([status, body.error.code], [403, "ACCOUNT_DISABLED"]);
});
