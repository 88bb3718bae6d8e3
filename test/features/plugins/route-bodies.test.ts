import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import { ModuleDir, moduleText, startWith, stateOf } from "./support/module-dir.ts";

const ECHO = `
  const { createHash } = await import("node:crypto");
  const echo = (req) => ({
    body: req.body instanceof Uint8Array ? "bytes " + req.body.length : req.body,
    sha256: createHash("sha256").update(req.rawBody).digest("hex"),
  });
  server.post("/any", { public: true, rawBody: true, bodyTypes: ["*"] }, echo);
  server.post("/json", { public: true, rawBody: true }, echo);
  server.post("/form", { public: true, bodyTypes: ["application/x-www-form-urlencoded"] }, (req) => req.body);
  server.post("/none", { public: true }, (req) => ({ length: req.rawBody.length }));
  server.post("/large", { public: true, maxBytes: 3_000_000, bodyTypes: ["application/octet-stream"] }, (req) => ({ bytes: req.body.length }));`;

const codeOf = (body: unknown): unknown => (body as { error?: { code?: unknown } }).error?.code;
const sha256 = (text: string | Uint8Array): string => createHash("sha256").update(text).digest("hex");

test("a route takes the content types it names, and gives the bytes as they came", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("echo", moduleText("echo", ECHO));
  const prism = await startWith(t, modules);
  const send = (path: string, type: string, body: string | Uint8Array) =>
    prism.post(path, body, { token: null, headers: { "Content-Type": type } });
  for (const [path, type, body, value] of [
    ["/any", "application/json", ' { "a": 1.0, "b": "\\u00e9" }\n', { a: 1, b: "é" }],
    ["/any", "application/cloudevents+json", '{"a":1}', { a: 1 }],
    ["/any", "application/x-www-form-urlencoded", "a=1&b=x+y&a=2", { a: ["1", "2"], b: "x y" }],
    ["/any", "text/plain; charset=utf-8", "grüße", "grüße"],
    ["/any", "text/plain; charset=iso-8859-1", "abc", "bytes 3"],
    ["/any", "application/xml", "<a/>", "bytes 4"],
    ["/any", "image/png", new Uint8Array([137, 80, 0, 255]), "bytes 4"],
    ["/any", "application/json", "", {}],
    ["/json", "application/json", '{"a" : 1}', { a: 1 }],
  ] as const) {
    const reply = await send(path, type, body);
    assert.deepEqual([reply.status, reply.body], [200, { body: value, sha256: sha256(body) }], `${path} ${type}`);
  }
  assert.deepEqual((await send("/form", "application/x-www-form-urlencoded", "to=%2B49&to=x")).body, {
    to: ["+49", "x"],
  });
  for (const [path, type] of [
    ["/json", "text/plain"],
    ["/form", "application/json"],
    ["/none", "application/x-www-form-urlencoded"],
  ] as const)
    assert.equal((await send(path, type, "a")).status, 415, `${path} ${type}`);
  assert.equal((await send("/any", "application/json", "{")).status, 400, "malformed JSON, once it is read");
  const fields = await send("/form", "application/x-www-form-urlencoded", `a=1${"&b=1".repeat(10_000)}`);
  assert.deepEqual([fields.status, codeOf(fields.body)], [413, "PAYLOAD_TOO_LARGE"]);
  assert.equal((await send("/none", "application/json", "{}")).status, 500, "only with rawBody: true");
});

test("maxBytes bounds the body, up to what the setting allows", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("echo", moduleText("echo", ECHO));
  modules.put("greedy", moduleText("greedy", `server.post("/greedy", { maxBytes: 4_000_001 }, () => 1);`));
  const prism = await startWith(t, modules, { settings: { "modules.maxBodyBytes": "4000000" } });
  const send = (bytes: number) =>
    prism.post("/large", new Uint8Array(bytes), {
      token: null,
      headers: { "Content-Type": "application/octet-stream" },
    });
  const taken = await send(3_000_000);
  assert.deepEqual([taken.status, taken.body], [200, { bytes: 3_000_000 }]);
  assert.equal((await send(3_000_001)).status, 413);
  assert.match((await stateOf(prism, "greedy"))?.error ?? "", /maxBytes .* at most 4000000 \(modules\.maxBodyBytes\)/);
  assert.equal(prism.parts.core.bodies.bufferedBytes, 0, "all bytes are given back");
});

test("the rateLimit of a public route takes the place of the limit for addresses, up to what the setting allows", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "busy",
    moduleText(
      "busy",
      `server.post("/busy", { public: true, rateLimit: { max: 50, windowMs: 3_600_000 } }, () => 1);
       server.post("/plain", { public: true }, () => 1);`,
    ),
  );
  modules.put(
    "greedy",
    moduleText("greedy", `server.post("/greedy", { rateLimit: { max: 101, windowMs: 60_000 } }, () => 1);`),
  );
  const settings = { "rateLimit.ip": "10", "modules.maxRequestsPerMinute": "100" };
  const prism = await startWith(t, modules, { settings });
  const statuses = async (path: string, times: number): Promise<number[]> => {
    const seen: number[] = [];
    for (let n = 0; n < times; n++) seen.push((await prism.post(path, {}, { token: null })).status);
    return seen;
  };
  const busy = await statuses("/busy", 52);
  assert.deepEqual([busy.filter((status) => status === 200).length, busy.at(-1)], [50, 429]);
  const plain = await statuses("/plain", 12);
  assert.ok(plain.includes(200), "the other routes have not been counted");
  assert.equal(plain.at(-1), 429);
  assert.match((await stateOf(prism, "greedy"))?.error ?? "", /rateLimit .* at most 100 a minute \(modules\.max/);
});

test("options of a body that make no sense fail the module", async (t) => {
  for (const [route, error] of [
    [`server.get("/a", { rawBody: true }, () => 1);`, /rawBody of a route must be absent on a GET route/],
    [`server.post("/a", { rawBody: "yes" }, () => 1);`, /rawBody of a route must be true or false/],
    [`server.post("/a", { bodyTypes: [] }, () => 1);`, /bodyTypes of a route must be a list/],
    [`server.post("/a", { bodyTypes: ["Text/Plain; charset=x"] }, () => 1);`, /bodyTypes of a route must be a list/],
    [`server.post("/a", { maxBytes: 0.5 }, () => 1);`, /maxBytes of a route must be a whole number/],
  ] as const) {
    const modules = new ModuleDir(t);
    modules.put("odd", moduleText("odd", route));
    const prism = await startWith(t, modules);
    assert.match((await stateOf(prism, "odd"))?.error ?? "", error);
  }
});

test("a body that comes while its module is replaced is answered 503; sent again it reaches the new instance", async (t) => {
  const modules = new ModuleDir(t);
  const gate = { registering: deferred<void>(), open: deferred<void>() };
  t.after(() => Object.assign(globalThis, { prismSlowGate: undefined }));
  const wait = "const gate = globalThis.prismSlowGate; gate?.registering.resolve(); await gate?.open.promise;";
  const put = (version: string): void =>
    modules.put("slow", moduleText("slow", `${wait} ${ECHO.replaceAll('"/', '"/slow/')}`, { version }));
  put("1.0.0");
  const prism = await startWith(t, modules);
  Object.assign(globalThis, { prismSlowGate: gate });
  put("2.0.0");
  const reloaded = prism.post("/api/v1/modules/slow/reload");
  await gate.registering.promise;
  const body = "comes too early ".repeat(5000);
  const headers = { "Content-Type": "text/plain" };
  const send = () => prism.post<{ sha256: string }>("/slow/any", body, { token: null, headers });
  const refused = await send();
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  assert.equal(prism.parts.core.bodies.bufferedBytes, 0);
  gate.open.resolve();
  assert.equal((await reloaded).status, 200);
  assert.equal((await send()).body.sha256, sha256(body));
});

test("the status of an answer has its reason phrase", async (t) => {
  const modules = new ModuleDir(t);
  const route = `server.get("/go/:status", { public: true }, (req) => req.reply(Number(req.params.status), undefined, { Location: "/health" }));`;
  modules.put("go", moduleText("go", route));
  const prism = await startWith(t, modules);
  for (const [status, phrase] of [
    [302, "Found"],
    [303, "See Other"],
    [402, "Payment Required"],
    [502, "Bad Gateway"],
  ] as const) {
    const response = await fetch(`${prism.url}/go/${status}`, { redirect: "manual" });
    assert.deepEqual([response.status, response.statusText], [status, phrase]);
  }
});
