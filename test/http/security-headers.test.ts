import assert from "node:assert/strict";
import test from "node:test";
import { headerValue } from "../../src/http/server/headers.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { exchangeRaw, RawConnection, requestText } from "./support/raw-connection.ts";

/** The set of contract 12.1 for JSON; what concerns HTML only is left to pages. */
const API = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const PAGE = {
  ...API,
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};

const SECURITY = Object.keys({ ...PAGE, "strict-transport-security": "" });
const TELLTALE = ["server", "x-powered-by", "uwebsockets"];

test("S2-90: every answer carries exactly the security headers of its class, and none that names the software", async (t) => {
  keepsPromise(t, "S2-90");
  const prism = await startPrism(t);
  const credential = `Authorization: Bearer ${prism.adminToken}`;
  for (const [name, text, expected, method] of [
    ["JSON", requestText("GET", "/api/v1/rules", [credential]), API],
    ["HEAD", requestText("HEAD", "/api/v1/rules", [credential]), API, "HEAD"],
    ["a probe", requestText("GET", "/health"), API],
    [
      "accepted ingest",
      requestText("POST", "/events", [credential, "Content-Type: application/json"], '{"type":"a"}'),
      API,
    ],
    ["401", requestText("GET", "/api/v1/rules"), API],
    ["404", requestText("GET", "/nothing"), API],
    ["a preflight", requestText("OPTIONS", "/health"), API],
    ["the OpenAPI document", requestText("HEAD", "/openapi.json"), API, "HEAD"],
    ["metrics", requestText("GET", "/metrics"), API],
    ["an export", requestText("GET", "/api/v1/events/export", [credential]), API],
    ["the documentation's page", requestText("GET", "/docs"), PAGE],
    ["the API page", requestText("GET", "/docs/api"), PAGE],
    ["its script", requestText("GET", "/docs/init.js"), PAGE],
  ] as const) {
    await t.test(name, async (t) => {
      const { headers } = await exchangeRaw(t, prism.app.port, text, method);
      const sent = Object.fromEntries([...headers].filter(([field]) => SECURITY.includes(field)));
      assert.deepEqual(sent, expected);
      for (const field of TELLTALE) assert.equal(headers.has(field), false, field);
    });
  }
});

test("answers are not to be kept, but for those that say so", async (t) => {
  const prism = await startPrism(t);
  const rule = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
  });
  for (const [path, expected] of [
    ["/health", "no-store"],
    ["/api/v1/rules", "no-store"],
    [`/api/v1/rules/${rule.body.id}`, "private, no-cache"],
    ["/api/v1/projects/default", "private, no-cache"],
    ["/api/v1/notifications", "no-store"],
    ["/api/v1/rules/none", "no-store"],
    ["/openapi.json", "no-cache"],
    ["/docs", "no-cache"],
    ["/prism-client.js", "no-cache"],
  ] as const) {
    await t.test(path, async () => {
      const reply = await prism.get(path);
      assert.equal(reply.headers.get("cache-control"), expected);
    });
  }
});

test("gzip is used for OpenAPI, docs and exports where the client takes it", async (t) => {
  const prism = await startPrism(t);
  const credential = `Authorization: Bearer ${prism.adminToken}`;
  for (const path of [
    "/openapi.json",
    "/docs",
    "/docs/swagger-ui-bundle.js",
    "/prism-client.js",
    "/api/v1/events/export",
    "/api/v1/audit/export",
  ]) {
    for (const [accept, encoding] of [
      ["Accept-Encoding: gzip, deflate, br", "gzip"],
      ["Accept-Encoding: br;q=1.0, gzip;q=0.5", "gzip"],
      ["Accept-Encoding: gzip;q=0", undefined],
      ["Accept-Encoding: xgzip", undefined],
      ["X-None: 1", undefined],
    ] as const) {
      await t.test(`${path} with ${accept}`, async (t) => {
        const connection = await RawConnection.open(t, prism.app.port);
        connection.send(requestText("HEAD", path, [credential, accept]));
        const { status, headers } = await connection.reply("HEAD");
        assert.deepEqual([status, headers.get("content-encoding")], [200, encoding]);
        if (encoding) assert.match(headers.get("vary") ?? "", /Accept-Encoding/);
      });
    }
  }
});

test("nothing that comes from outside ends a header line", () => {
  assert.equal(headerValue("a\r\nSet-Cookie: b\0\u{1f600}é"), "aSet-Cookie: bé");
});
