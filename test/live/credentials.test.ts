import assert from "node:assert/strict";
import test from "node:test";
import { createServiceToken, createUser } from "../../src/features/access/users/create-user.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { makeProject } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { Refused } from "./support/live-client.ts";
import { type SocketOptions, WebSocketClient } from "./support/web-socket-client.ts";

interface Attempt {
  readonly name: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly protocols?: readonly string[];
}

async function serviceToken(prism: TestPrism): Promise<string> {
  const { parts } = prism;
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  return (await parts.base.database.write((trx) => createServiceToken(parts.base, { userId: me.id, name: "CI" }, trx)))
    .token;
}

/** How the server answers a WebSocket upgrade: 101 or the error's status and code. */
async function upgradeOf(t: test.TestContext, url: string, options: SocketOptions): Promise<string> {
  try {
    const client = await WebSocketClient.openFor(t, url, options);
    return `101 ${client.upgradeHeaders["sec-websocket-protocol"] ?? ""}`.trim();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `${error.status} ${error.code}`;
  }
}

async function streamOf(url: string, headers: Readonly<Record<string, string>> | undefined): Promise<string> {
  const abort = new AbortController();
  const response = await fetch(url, { headers: { ...headers }, signal: abort.signal });
  if (response.status === 200) {
    abort.abort();
    return "200";
  }
  return `${response.status} ${((await response.json()) as { error: { code: string } }).error.code}`;
}

test("S1-39 S1-40: every kind of credential is accepted in every position; an invalid one is refused before the upgrade", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const service = await serviceToken(prism);
  const user = prism.adminToken;
  const accepted: Attempt[] = [
    { name: "access token in the header", headers: { Authorization: `Bearer ${user}` } },
    { name: "service token in the header", headers: { Authorization: `Bearer ${service}` } },
    { name: "API key in the header", headers: { "X-API-Key": shop.apiKey } },
    { name: "API key as Authorization", headers: { Authorization: `ApiKey ${shop.apiKey}` } },
    { name: "API key as bearer", headers: { Authorization: `bearer ${shop.apiKey}` } },
    { name: "access token in the query", query: `?token=${user}` },
    { name: "service token in the query", query: `?token=${service}` },
    { name: "API key in the query", query: `?token=${shop.apiKey}` },
  ];
  const refused: (Attempt & { readonly answer: string })[] = [
    { name: "nothing", answer: "401 UNAUTHENTICATED" },
    { name: "an unknown scheme", headers: { Authorization: "Basic eDp5" }, answer: "401 UNAUTHENTICATED" },
    { name: "no JWT", headers: { Authorization: "Bearer x.y.z" }, answer: "401 TOKEN_INVALID" },
    { name: "an invalid service token", query: "?token=prt_nonsense", answer: "401 TOKEN_INVALID" },
    { name: "an invalid key", query: "?token=prk_nonsense", answer: "401 INVALID_API_KEY" },
    { name: "an empty token", query: "?token=", answer: "401 TOKEN_INVALID" },
    {
      name: "header and query",
      headers: { Authorization: `Bearer ${user}` },
      query: `?token=${user}`,
      answer: "400 AMBIGUOUS_CREDENTIALS",
    },
    {
      name: "two tokens in the query",
      query: `?token=${user}&token=${user}`,
      answer: "400 VALIDATION_FAILED",
    },
  ];
  const paths = ["/ws", `/realtime/${shop.id}`, `/api/v1/realtime/${shop.id}`, "/realtime/shop"];
  for (const { name, headers, query = "", protocols = [] } of accepted) {
    await t.test(name, async (t) => {
      for (const path of paths) {
        const answer = await upgradeOf(t, `${prism.wsUrl}${path}${query}`, { headers: { ...headers }, protocols });
        assert.equal(answer, "101", path);
      }
      for (const path of paths.slice(1)) {
        assert.equal(await streamOf(`${prism.url}${path}/sse${query}`, headers), "200", `${path}/sse`);
      }
    });
  }
  for (const { name, headers, query = "", answer } of refused) {
    await t.test(`refused: ${name}`, async (t) => {
      for (const path of paths) {
        assert.equal(await upgradeOf(t, `${prism.wsUrl}${path}${query}`, { headers: { ...headers } }), answer, path);
      }
      assert.equal(await streamOf(`${prism.url}/realtime/shop/sse${query}`, headers), answer);
    });
  }
});

test("a token may be sent as a subprotocol; only prism.v1 is selected, so the token is not echoed", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  for (const [name, protocols, answer] of [
    ["access token", ["prism.v1", `bearer.${prism.adminToken}`], "101 prism.v1"],
    ["in the other order", [`bearer.${prism.adminToken}`, "prism.v1"], "101 prism.v1"],
    ["API key", ["prism.v1", `bearer.${shop.apiKey}`], "101 prism.v1"],
    ["a token that is none", ["prism.v1", "bearer.x"], "401 TOKEN_INVALID"],
    ["no token", ["prism.v1"], "401 UNAUTHENTICATED"],
    ["two tokens", ["prism.v1", `bearer.${shop.apiKey}`, "bearer.x"], "400 AMBIGUOUS_CREDENTIALS"],
  ] as const) {
    for (const path of ["/ws", `/realtime/${shop.id}`]) {
      assert.equal(await upgradeOf(t, `${prism.wsUrl}${path}`, { protocols }), answer, `${name}, ${path}`);
    }
  }
});

test("a token in the query is accepted for live streams only, and no log line contains one", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const shop = await makeProject(prism);
  const elsewhere = await prism.get(`/api/v1/users/me?token=${prism.adminToken}`, { token: null });
  assert.equal(elsewhere.status, 401);
  await upgradeOf(t, `${prism.wsUrl}/ws?token=${prism.adminToken}`, {});
  await upgradeOf(t, `${prism.wsUrl}/realtime/${shop.id}?token=${shop.apiKey}`, {});
  await upgradeOf(t, `${prism.wsUrl}/ws?token=prk_wrong`, {});
  await upgradeOf(t, `${prism.wsUrl}/ws`, { protocols: ["prism.v1", `bearer.${prism.adminToken}`] });
  await streamOf(`${prism.url}/realtime/${shop.id}/sse?token=${shop.apiKey}`, {});
  const { text: metrics } = await prism.get("/metrics");
  const written = JSON.stringify(log.lines) + metrics;
  assert.ok(log.lines.some(({ fields }) => fields["status"] === 101));
  for (const secret of [prism.adminToken, shop.apiKey, "prk_wrong"]) assert.equal(written.includes(secret), false);
});

test("an account that is not active gets 403", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const { parts } = prism;
  const { id } = await parts.base.database.write((trx) =>
    createUser(parts.base, { username: "pia", roles: ["User"], status: "pending" }, trx),
  );
  const { token } = await parts.offers.accessTokens.issue(id);
  assert.equal(await upgradeOf(t, `${prism.wsUrl}/ws?token=${token}`, {}), "403 ACCOUNT_PENDING");
  assert.equal(await streamOf(`${prism.url}/realtime/${shop.id}/sse?token=${token}`, {}), "403 ACCOUNT_PENDING");
});

test("a ticket for another stream acknowledges nothing", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", { stream: "channel:alerts" });
  const bound = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws?ticket=${body.ticket}`);
  await bound.expect({ op: "welcome" });
  const answer = await bound.ask({ op: "ack", id: "1", stream: "user:me", offset: 1 });
  assert.equal((answer["error"] as { code: string } | undefined)?.code, "CHANNEL_FORBIDDEN");
});
