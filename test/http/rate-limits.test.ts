import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import WebSocket from "ws";
import { PrismError } from "../../src/core/errors.ts";
import { type Route, route, undescribed } from "../../src/http/api/route.ts";
import type { Authenticator } from "../../src/http/server/credentials.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { startBareKernel, testUser } from "./support/bare-kernel.ts";
import { errorCodeOf, exchangeRaw, type RawReply, requestText } from "./support/raw-connection.ts";

function get(path: string, more: Partial<Route>): Route {
  return {
    ...route({
      method: "GET",
      path,
      summary: "",
      tag: "test",
      access: "public",
      response: undescribed,
      handle: () => "pong",
    }),
    ...more,
  };
}

const ROUTES = [
  get("/public", { access: "public" }),
  get("/health", { access: "public", unlimited: true }),
  get("/private", { access: {} }),
  get("/rules", { access: { permission: "rules:read" } }),
];

/** `Bearer <user>` is that user; a name that starts with `bad` is invalid. */
const byName: Authenticator["authenticate"] = ({ secret }) => {
  if (secret.startsWith("bad")) throw new PrismError("TOKEN_INVALID", "nobody");
  return testUser(secret);
};

const IP_LIMIT = 3;
const USER_LIMIT = 5;
const LIMITS = { ip: IP_LIMIT, user: USER_LIMIT };
const MINUTE_MS = 60_000;

function startLimited(
  t: TestContext,
  more: { trustedProxies?: readonly string[]; maxBuckets?: number; enabled?: boolean; global?: number } = {},
) {
  const { enabled = true, global, ...options } = more;
  const limits = { ...LIMITS, enabled, global };
  const bare = startBareKernel(t, { routes: ROUTES, authenticate: byName, limits, ...options });
  const ask = (path: string, ...headers: string[]): Promise<RawReply> =>
    exchangeRaw(t, bare.port, requestText("GET", path, headers));
  return { ...bare, ask };
}

async function statuses(times: number, ask: () => Promise<RawReply>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) all.push((await ask()).status);
  return all;
}

test("S2-92, S4-34: requests without valid credentials are limited by address, 429 with Retry-After", async (t) => {
  keepsPromise(t, ["S2-92", "S4-34"]);
  const { ask, clock } = startLimited(t);
  assert.deepEqual(await statuses(IP_LIMIT, () => ask("/public")), [200, 200, 200]);
  const refused = await ask("/public");
  assert.deepEqual([refused.status, errorCodeOf(refused)], [429, "RATE_LIMITED"]);
  assert.equal(refused.headers.get("retry-after"), "20");
  const shown = ["limit", "remaining", "reset"].map((name) => refused.headers.get(`ratelimit-${name}`));
  assert.deepEqual(shown, ["3", "0", "60"]);
  clock.advance(20_000);
  assert.deepEqual(await statuses(2, () => ask("/public")), [200, 429], "one more after the stated time");
  clock.advance(MINUTE_MS);
  assert.deepEqual(await statuses(IP_LIMIT + 1, () => ask("/public")), [200, 200, 200, 429]);
});

test("what counts by address, and what does not", async (t) => {
  for (const row of [
    { name: "no credentials count", path: "/private", headers: [], status: 401, counts: true },
    {
      name: "bad credentials count",
      path: "/private",
      headers: ["Authorization: Bearer bad"],
      status: 401,
      counts: true,
    },
    {
      name: "ambiguous credentials count",
      path: "/private",
      headers: ["Authorization: Bearer a", "X-API-Key: b"],
      status: 400,
      counts: true,
    },
    {
      name: "an unknown scheme counts",
      path: "/private",
      headers: ["Authorization: Basic YTpi"],
      status: 401,
      counts: true,
    },
    {
      name: "valid credentials do not",
      path: "/private",
      headers: ["Authorization: Bearer a"],
      status: 200,
      counts: false,
    },
    { name: "probes do not", path: "/health", headers: [], status: 200, counts: false },
    { name: "an unknown path counts", path: "/nothing", headers: [], status: 404, counts: true },
    {
      name: "an unknown path with bad credentials counts",
      path: "/nothing",
      headers: ["Authorization: Bearer bad"],
      status: 404,
      counts: true,
    },
    {
      name: "an unknown path with valid credentials does not",
      path: "/nothing",
      headers: ["Authorization: Bearer a"],
      status: 404,
      counts: false,
    },
  ]) {
    await t.test(row.name, async (t) => {
      const { ask } = startLimited(t);
      const seen = await statuses(IP_LIMIT + 1, () => ask(row.path, ...row.headers));
      assert.deepEqual(seen, [row.status, row.status, row.status, row.counts ? 429 : row.status]);
    });
  }
});

test("requests that no route takes count like any other: by address, or by the owner of valid credentials", async (t) => {
  for (const { method, path, status, counts } of [
    { method: "POST", path: "/private", status: 405, counts: true },
    { method: "OPTIONS", path: "/private", status: 204, counts: true },
    { method: "OPTIONS", path: "/nothing", status: 404, counts: true },
    { method: "PROPFIND", path: "/nothing", status: 404, counts: true },
    { method: "POST", path: "/health", status: 405, counts: false },
    { method: "OPTIONS", path: "/health", status: 204, counts: false },
  ])
    await t.test(`${method} ${path}`, async (t) => {
      const { port } = startLimited(t);
      const send = (...headers: string[]) => exchangeRaw(t, port, requestText(method, path, headers));
      const seen = await statuses(IP_LIMIT + 1, () => send());
      assert.deepEqual(seen, [status, status, status, counts ? 429 : status]);
      const asAnna = () => send("Authorization: Bearer anna");
      const hers = await statuses(USER_LIMIT + 1, asAnna);
      assert.deepEqual(
        hers,
        [...Array(USER_LIMIT).fill(status), counts ? 429 : status],
        "her own limit, not the address's",
      );
    });
  await t.test("a refused one says when to come back, and names no methods", async (t) => {
    const { ask } = startLimited(t);
    await statuses(IP_LIMIT, () => ask("/nothing"));
    const refused = await ask("/nothing");
    assert.deepEqual([errorCodeOf(refused), refused.headers.get("retry-after")], ["RATE_LIMITED", "20"]);
    assert.equal((await ask("/public")).status, 429, "all count together");
  });
});

test("a user is limited over all its requests, and no other user by them", async (t) => {
  const { ask, clock } = startLimited(t);
  const asAnna = (path = "/private") => ask(path, "Authorization: Bearer anna");
  assert.deepEqual(await statuses(USER_LIMIT, asAnna), [200, 200, 200, 200, 200]);
  const refused = await asAnna();
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "12"]);
  assert.equal((await ask("/private", "Authorization: Bearer otto")).status, 200);
  clock.advance(12_000);
  assert.equal((await asAnna()).status, 200);
});

test("permission is checked before the rate", async (t) => {
  const { ask } = startLimited(t);
  const seen = await statuses(USER_LIMIT + 1, () => ask("/rules", "Authorization: Bearer anna"));
  assert.deepEqual(seen, [403, 403, 403, 403, 403, 403]);
  assert.equal((await ask("/private", "Authorization: Bearer anna")).status, 200, "refusals cost nothing");
});

test("limited answers carry RateLimit-*, others do not", async (t) => {
  const { ask } = startLimited(t);
  const remaining = async (path: string, ...headers: string[]) =>
    (await ask(path, ...headers)).headers.get("ratelimit-remaining");
  assert.equal(await remaining("/public"), "2");
  assert.equal(await remaining("/private", "Authorization: Bearer anna"), "4");
  assert.equal(await remaining("/health"), undefined);
});

test("where it is set, one limit counts all callers together; without it callers do not affect each other", async (t) => {
  const { ask } = startLimited(t, { global: 4 });
  const seen: number[] = [];
  for (const name of ["ann", "bob", "cid", "ann", "bob"])
    seen.push((await ask("/private", `Authorization: Bearer ${name}`)).status);
  assert.deepEqual(seen, [200, 200, 200, 200, 429]);
  assert.equal((await ask("/public")).status, 429);
  assert.equal((await ask("/health")).status, 200, "probes are answered");
  const free = startLimited(t);
  for (let n = 0; n < 20; n++)
    assert.equal((await free.ask("/private", `Authorization: Bearer user-${n}`)).status, 200);
});

test("attempts to log in are counted by the forwarded address, IPv6 by /64, and by the name from everywhere", async (t) => {
  const settings = {
    trustedProxies: "127.0.0.0/8",
    "auth.bcryptCost": "4",
    "rateLimit.auth": "3",
    "rateLimit.authName": "4",
  };
  const prism = await startPrism(t, { settings, clock: new FakeClock() });
  const attempt = async (login: string, from: string): Promise<string> => {
    const headers = { "X-Forwarded-For": from };
    const reply = await prism.post("/auth/login", { login, password: "wrong" }, { token: null, headers });
    return `${reply.status} ${reply.headers.get("ratelimit-limit")}/${reply.headers.get("ratelimit-remaining")}`;
  };
  assert.equal(await attempt("ann", "2001:db8:1:2::1"), "401 3/2");
  assert.equal(await attempt("bob", "2001:db8:1:2::2"), "401 3/1");
  assert.equal(await attempt("cid", "203.0.113.9, 2001:db8:1:2:ffff::3"), "401 3/0");
  assert.equal(await attempt("dan", "2001:db8:1:2::4"), "429 3/0");
  assert.equal(await attempt("dan", "2001:db8:1:3::4"), "401 3/2", "the next /64 is another caller");
  for (const n of [1, 2, 3]) assert.match(await attempt("ann", `198.51.100.${n}`), /^401/);
  assert.equal(await attempt(" ANN ", "198.51.100.4"), "429 4/0", "one name, from any address");
});

test("rateLimit.enabled false turns limits off", async (t) => {
  const { ask } = startLimited(t, { enabled: false });
  const replies = [];
  for (let i = 0; i < 10; i++) replies.push(await ask("/public"), await ask("/private", "Authorization: Bearer anna"));
  for (const { status, headers } of replies) {
    assert.deepEqual([status, headers.has("ratelimit-limit")], [200, false]);
  }
});

test("behind a trusted proxy the forwarded address counts, IPv6 by /64; from other peers it is ignored", async (t) => {
  const from = (address: string): string => `X-Forwarded-For: ${address}`;
  await t.test("each forwarded IPv4 address for itself", async (t) => {
    const { ask } = startLimited(t, { trustedProxies: ["127.0.0.0/8"] });
    assert.deepEqual(await statuses(4, () => ask("/public", from("198.51.100.1"))), [200, 200, 200, 429]);
    assert.equal((await ask("/public", from("198.51.100.2"))).status, 200);
    assert.equal((await ask("/public", from("203.0.113.5, 198.51.100.1"))).status, 429, "read from the right");
  });
  await t.test("one /64 is one caller, however it is written", async (t) => {
    const { ask } = startLimited(t, { trustedProxies: ["127.0.0.0/8"] });
    const addresses = ["2001:db8:1:2::1", "2001:DB8:1:2:0:0:0:2", "2001:0db8:0001:0002::3", "2001:db8:1:2:ffff::4"];
    const seen: number[] = [];
    for (const address of addresses) seen.push((await ask("/public", from(address))).status);
    assert.deepEqual(seen, [200, 200, 200, 429]);
    assert.equal((await ask("/public", from("2001:db8:1:3::1"))).status, 200, "the next /64 is another caller");
  });
  await t.test("without trusted proxies the peer counts", async (t) => {
    const { ask } = startLimited(t);
    let n = 0;
    assert.deepEqual(await statuses(4, () => ask("/public", from(`198.51.100.${++n}`))), [200, 200, 200, 429]);
  });
});

test("when the table of counters is full, newcomers are counted by their /16", async (t) => {
  const { ask } = startLimited(t, { trustedProxies: ["127.0.0.0/8"], maxBuckets: 2 });
  const from = (address: string) => ask("/public", `X-Forwarded-For: ${address}`);
  await from("192.0.2.1");
  await from("192.0.2.2");
  let n = 0;
  assert.deepEqual(await statuses(4, () => from(`198.51.100.${++n}`)), [200, 200, 200, 429]);
  assert.equal((await from("198.52.100.1")).status, 200, "another /16");
});

test("a key's own limit never exceeds the operator's", async (t) => {
  const settings = { "rateLimit.key": "5", "rateLimit.keyEvents": "4" };
  const prism = await startPrism(t, { clock: new FakeClock(), settings });
  const own = { name: "greedy", rateLimit: 1_000_000_000 };
  const { body } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", own);
  const send = (count: number) =>
    prism.post(
      "/events",
      Array.from({ length: count }, () => ({ type: "a" })),
      { apiKey: body.key },
    );
  assert.equal((await send(3)).status, 202);
  const events = await send(3);
  assert.deepEqual([events.status, events.headers.get("ratelimit-limit")], [429, "4"]);
  for (let i = 0; i < 3; i++) await prism.get("/events", { apiKey: body.key });
  const requests = await prism.get("/events", { apiKey: body.key });
  assert.deepEqual([requests.status, requests.headers.get("ratelimit-limit")], [429, "5"]);
});

test("a key is limited by its own limit, over requests and over events, and not by its address", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "rateLimit.ip": "1" } });
  const key = await prism.post<{ key: string }>("/api/v1/projects/default/keys", { name: "small", rateLimit: 10 });
  const apiKey = key.body.key;
  const event = () => prism.post("/events", { type: "a" }, { apiKey });
  for (let i = 0; i < 10; i++) assert.equal((await event()).status, 202);
  const refused = await event();
  assert.deepEqual(
    [refused.status, refused.headers.get("ratelimit-limit"), refused.headers.get("retry-after")],
    [429, "10", "6"],
  );
  clock.advance(MINUTE_MS);
  const batch = (count: number) =>
    prism.post(
      "/events",
      Array.from({ length: count }, () => ({ type: "a" })),
      { apiKey },
    );
  assert.equal((await batch(8)).status, 202);
  const tooMany = await batch(8);
  assert.deepEqual([tooMany.status, tooMany.headers.get("ratelimit-remaining")], [429, "2"], "events a minute");
  clock.advance(MINUTE_MS);
  assert.equal((await batch(25)).status, 202, "more than a minute's worth is served from a full bucket");
  clock.advance(MINUTE_MS);
  assert.equal((await batch(1)).status, 429, "and has to be earned afterwards");
});

test("all tokens of a user count together", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(), settings: { "rateLimit.user": "4" } });
  const anna = await makeUser(prism, "anna", ["Viewer"]);
  const { token: second } = await prism.parts.offers.accessTokens.issue(anna.id);
  const seen: number[] = [];
  for (const token of [anna.token, second, anna.token, second, anna.token]) {
    seen.push((await prism.get("/api/v1/users/me", { token })).status);
  }
  assert.deepEqual(seen, [200, 200, 200, 200, 429]);
});

test("upgrades are not counted by address, and a refused one is answered by its own error", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.ip": "2" } });
  for (let i = 0; i < 5; i++) {
    const status = await new Promise<number | undefined>((resolve) => {
      const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: "Bearer nonsense" } });
      socket.on("unexpected-response", (request, response) => {
        resolve(response.statusCode);
        request.destroy();
      });
      socket.on("error", () => undefined);
    });
    assert.equal(status, 401);
  }
});

test("a reload changes the limits for the next request", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.ip": "3" } });
  const ask = async () => (await prism.get("/openapi.json", { token: null })).headers.get("ratelimit-limit");
  assert.equal(await ask(), "3");
  const { config } = prism.parts.base;
  prism.app.reload({ ...config, rateLimit: { ...config.rateLimit, ip: 7 } });
  assert.equal(await ask(), "7");
});
