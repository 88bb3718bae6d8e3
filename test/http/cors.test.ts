import assert from "node:assert/strict";
import test from "node:test";
import { route, undescribed } from "../../src/http/api/route.ts";
import { CorsPolicy } from "../../src/http/server/access.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { startBareKernel } from "./support/bare-kernel.ts";
import { exchangeRaw, type RawReply, requestText } from "./support/raw-connection.ts";

const LISTED = "https://app.example.com";

const ping = route({
  method: "GET",
  path: "/ping",
  summary: "",
  tag: "test",
  access: {},
  response: undescribed,
  handle: () => "pong",
});

function corsOf({ headers }: RawReply): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("access-control-") || name === "vary"));
}

const EXPOSED =
  "ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Correlation-Id, X-Request-Id";

test("S2-91: a listed origin may call with credentials and read the headers that matter; another gets an answer it cannot read", async (t) => {
  keepsPromise(t, "S2-91");
  const { port } = startBareKernel(t, { routes: [ping], corsOrigins: [LISTED] });
  const allowed = {
    "access-control-allow-origin": LISTED,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": EXPOSED,
    vary: "Origin",
  };
  for (const [name, origin, expected] of [
    ["the listed origin", LISTED, allowed],
    ["another scheme", "http://app.example.com", { vary: "Origin" }],
    ["another port", `${LISTED}:8443`, { vary: "Origin" }],
    ["a subdomain", "https://x.app.example.com", { vary: "Origin" }],
    ["the listed name as a prefix", `${LISTED}.evil.example`, { vary: "Origin" }],
    ["another case", "https://APP.example.com", { vary: "Origin" }],
    ["a trailing slash", `${LISTED}/`, { vary: "Origin" }],
    ["null", "null", { vary: "Origin" }],
    ["localhost, where there is a list", "http://localhost:5173", { vary: "Origin" }],
  ] as const) {
    await t.test(name, async (t) => {
      for (const target of ["/ping", "/nothing"]) {
        const reply = await exchangeRaw(
          t,
          port,
          requestText("GET", target, [`Origin: ${origin}`, "Authorization: Bearer x"]),
        );
        assert.deepEqual(corsOf(reply), expected);
      }
    });
  }
  await t.test("no Origin at all", async (t) => {
    assert.deepEqual(corsOf(await exchangeRaw(t, port, requestText("GET", "/nothing"))), {});
  });
});

test("S2-91: OPTIONS answers 204 and the methods of the path, without credentials; a preflight says for how long", async (t) => {
  keepsPromise(t, "S2-91");
  const { port } = startBareKernel(t, { routes: [ping], corsOrigins: [LISTED] });
  const preflight = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"];
  await t.test("of the listed origin", async (t) => {
    const reply = await exchangeRaw(t, port, requestText("OPTIONS", "/ping", [`Origin: ${LISTED}`, ...preflight]));
    assert.equal(reply.status, 204);
    assert.equal(reply.headers.get("allow"), "GET, HEAD, OPTIONS");
    const { "access-control-allow-headers": allowedHeaders = "", ...rest } = corsOf(reply);
    assert.deepEqual(rest, {
      "access-control-allow-origin": LISTED,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET, HEAD, OPTIONS",
      "access-control-expose-headers": EXPOSED,
      "access-control-max-age": "600",
      vary: "Origin",
    });
    for (const name of ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-API-Key", "Last-Event-ID"]) {
      assert.ok(allowedHeaders.split(", ").includes(name), name);
    }
  });
  await t.test("of another origin: no permission in it", async (t) => {
    const reply = await exchangeRaw(
      t,
      port,
      requestText("OPTIONS", "/ping", ["Origin: https://evil.example", ...preflight]),
    );
    assert.deepEqual([reply.status, reply.headers.has("access-control-allow-origin")], [204, false]);
  });
  await t.test("that is not a preflight", async (t) => {
    const reply = await exchangeRaw(t, port, requestText("OPTIONS", "/ping"));
    assert.deepEqual([reply.status, reply.headers.get("allow"), corsOf(reply)], [204, "GET, HEAD, OPTIONS", {}]);
  });
  await t.test("of a path that does not exist: 404", async (t) => {
    assert.equal((await exchangeRaw(t, port, requestText("OPTIONS", "/nothing", preflight))).status, 404);
  });
});

test("without a list, development allows any port of this machine, and production none", () => {
  const development = new CorsPolicy(undefined, true);
  const production = new CorsPolicy(undefined, false);
  for (const [origin, isAllowed] of [
    ["http://localhost", true],
    ["http://localhost:5173", true],
    ["https://localhost:8443", true],
    ["http://127.0.0.1:3000", true],
    ["http://[::1]:3000", true],
    ["http://localhost.evil.example", false],
    ["http://evil.example#localhost", false],
    ["http://localhost:5173.evil.example", false],
    ["http://127.0.0.2:3000", false],
    ["ftp://localhost", false],
    ["null", false],
    ["", false],
  ] as const) {
    assert.equal(development.allows(origin), isAllowed, origin);
    assert.equal(production.allows(origin), false, origin);
    assert.equal(new CorsPolicy([], true).allows(origin), false, `${origin}, with an empty list`);
  }
});

test("a reload changes the allowed origins for the next request", async (t) => {
  const prism = await startPrism(t, { settings: { "cors.origins": LISTED } });
  const allowedOrigin = async (): Promise<string | null> => {
    const reply = await prism.get("/health", { headers: { Origin: LISTED } });
    return reply.headers.get("access-control-allow-origin");
  };
  assert.equal(await allowedOrigin(), LISTED);
  const { config } = prism.parts.base;
  prism.app.reload({ ...config, cors: { origins: [] } });
  assert.equal(await allowedOrigin(), null);
});
