import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { ModuleDir, moduleText, startWith } from "./support/module-dir.ts";

const valibotUrl = import.meta.resolve("valibot");

/** A schema of no library at all: what the interface asks for, and nothing else. */
const HAND_MADE = `
const positive = {
  "~standard": {
    version: 1,
    vendor: "by-hand",
    validate: (value) => {
      const n = Number(value?.n);
      if (n > 0) return { value: { n, doubled: n * 2 } };
      return { issues: [{ message: "must be positive", path: [{ key: "n" }] }] };
    },
  },
};
const later = { "~standard": { ...positive["~standard"], validate: async (value) => positive["~standard"].validate(value) } };
`;

test("schemas of any library check path, query and body; what they make of it is what the handler gets", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "shapes",
    moduleText(
      "shapes",
      `
    server.post("/shapes/hand", { body: positive }, (req) => req.body);
    server.post("/shapes/later", { body: later }, (req) => req.body);
    server.get("/shapes/query", { query: positive }, (req) => req.query);
    server.get("/shapes/n/:n", { params: positive }, (req) => req.params);
    server.post("/shapes/valibot", {
      body: v.strictObject({ name: v.pipe(v.string(), v.maxLength(5)), tags: v.optional(v.array(v.string()), []) }),
      response: v.object({ name: v.string() }),
      summary: "Checked by valibot",
    }, (req) => req.body);
    server.put("/shapes/any", (req) => ({ got: req.body }));
  `,
      { before: `import * as v from ${JSON.stringify(valibotUrl)};\n${HAND_MADE}` },
    ),
  );
  const prism = await startWith(t, modules);
  for (const [name, reply, expected] of [
    ["by hand", prism.post("/shapes/hand", { n: 2 }), { n: 2, doubled: 4 }],
    ["asynchronous", prism.post("/shapes/later", { n: 2 }), { n: 2, doubled: 4 }],
    ["query", prism.get("/shapes/query?n=3"), { n: 3, doubled: 6 }],
    ["path", prism.get("/shapes/n/4"), { n: 4, doubled: 8 }],
    ["valibot", prism.post("/shapes/valibot", { name: "ann" }), { name: "ann", tags: [] }],
    ["no schema", prism.put("/shapes/any", [1, null, "x"]), { got: [1, null, "x"] }],
    ["no body", prism.put("/shapes/any"), { got: {} }],
  ] as const)
    await t.test(name, async () => {
      const { status, body } = await reply;
      assert.deepEqual([status, body], [200, expected]);
    });
  interface Refusal extends Record<string, unknown> {
    readonly error: { readonly code: string; readonly details: readonly { path: string }[] };
  }
  for (const [name, reply, path] of [
    ["by hand", prism.post<Refusal>("/shapes/hand", { n: -1 }), "n"],
    ["asynchronous", prism.post<Refusal>("/shapes/later", {}), "n"],
    ["query", prism.get<Refusal>("/shapes/query?n=x"), "n"],
    ["path", prism.get<Refusal>("/shapes/n/none"), "n"],
    ["valibot", prism.post<Refusal>("/shapes/valibot", { name: "too long", tags: [] }), "name"],
    ["valibot, deeper", prism.post<Refusal>("/shapes/valibot", { name: "a", tags: ["x", 1] }), "tags.1"],
  ] as const)
    await t.test(`${name}, refused`, async () => {
      const { status, body } = await reply;
      assert.deepEqual([status, body.error.code, body.error.details[0]?.path], [400, "VALIDATION_FAILED", path]);
    });
  assert.equal((await prism.post("/shapes/hand", "{")).status, 400);
  assert.equal((await prism.post("/shapes/hand", "n=1", { headers: { "Content-Type": "text/plain" } })).status, 415);
  await documents(prism);
});

async function documents(prism: Awaited<ReturnType<typeof startWith>>): Promise<void> {
  interface Document extends Record<string, unknown> {
    readonly paths: Record<
      string,
      Record<string, { summary: string; tags: string[]; requestBody: unknown; responses: Record<string, unknown> }>
    >;
  }
  const { body } = await prism.get<Document>("/openapi.json");
  const checked = body.paths["/shapes/valibot"]?.["post"];
  assert.equal(checked?.summary, "Checked by valibot");
  assert.deepEqual(checked?.tags, ["Module shapes"]);
  assert.match(JSON.stringify(checked?.requestBody), /"maxLength":5/);
  assert.match(JSON.stringify(checked?.responses["200"]), /"name"/);
  assert.deepEqual(body.paths["/shapes/hand"]?.["post"]?.requestBody, {
    required: false,
    content: { "application/json": { schema: {} } },
  });
  assert.ok(body.paths["/shapes/n/{n}"]?.["get"]);
  await prism.post("/api/v1/modules/shapes/disable");
  const after = (await prism.get<Document>("/openapi.json")).body;
  assert.ok(
    !Object.keys(after.paths).some((path) => path.startsWith("/shapes")),
    "what is not there is not documented",
  );
}

test("what a handler gives back is the answer: JSON 200, 204 for nothing, or a reply of its own", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "answers",
    moduleText(
      "answers",
      `
    server.get("/answers/object", () => ({ a: 1 }));
    server.get("/answers/null", () => null);
    server.get("/answers/list", async () => [1, 2]);
    server.get("/answers/nothing", () => undefined);
    server.delete("/answers/nothing", async () => {});
    server.get("/answers/created", (req) => req.reply(201, { id: 7 }, { Location: "/answers/7" }));
    server.get("/answers/html", (req) => req.reply(200, "<p>hello</p>", { "content-type": "text/html; charset=utf-8" }));
    server.get("/answers/bytes", (req) => req.reply(200, new Uint8Array([1, 2, 255]), { "Content-Type": "application/octet-stream" }));
    server.get("/answers/teapot", (req) => req.reply(418, { tea: true }));
    server.get("/answers/quiet", (req) => req.reply(202));
    server.patch("/answers/echo/:a/:b", (req) => ({ params: req.params, query: req.query, id: req.id, agent: req.headers["x-agent"] }));
    server.get("/answers/busy", { errors: ["OVERLOADED"] }, () => { throw Object.assign(new Error("full up"), { code: "OVERLOADED" }); });
    server.get("/answers/undeclared", () => { throw Object.assign(new Error("hidden"), { code: "OVERLOADED" }); });
  `,
    ),
  );
  const prism = await startWith(t, modules);
  for (const [path, status, text, type] of [
    ["object", 200, '{"a":1}', "application/json; charset=utf-8"],
    ["null", 200, "null", "application/json; charset=utf-8"],
    ["list", 200, "[1,2]", "application/json; charset=utf-8"],
    ["nothing", 204, "", null],
    ["created", 201, '{"id":7}', "application/json; charset=utf-8"],
    ["html", 200, "<p>hello</p>", "text/html; charset=utf-8"],
    ["teapot", 418, '{"tea":true}', "application/json; charset=utf-8"],
    ["quiet", 202, "", null],
  ] as const)
    await t.test(path, async () => {
      const reply = await prism.get(`/answers/${path}`);
      assert.deepEqual([reply.status, reply.text, reply.headers.get("content-type")], [status, text, type]);
      assert.equal(reply.headers.get("cache-control"), "no-store");
      assert.equal(reply.headers.get("x-content-type-options"), "nosniff");
      assert.ok(reply.headers.get("x-request-id"));
    });
  assert.equal((await prism.get("/answers/created")).headers.get("location"), "/answers/7");
  const bytes = await fetch(`${prism.url}/answers/bytes`, { headers: { Authorization: `Bearer ${prism.adminToken}` } });
  assert.deepEqual([...new Uint8Array(await bytes.arrayBuffer())], [1, 2, 255]);
  assert.equal((await prism.delete("/answers/nothing")).status, 204);
  const echo = await prism.patch(
    "/answers/echo/x%2Fy/2?q=a+b",
    {},
    { headers: { "X-Agent": "me", "X-Request-Id": "r-1" } },
  );
  assert.deepEqual(echo.body, { params: { a: "x/y", b: "2" }, query: { q: "a b" }, id: "r-1", agent: "me" });
  const busy = await prism.get<{ error: { code: string; message: string } }>("/answers/busy");
  assert.deepEqual([busy.status, busy.body.error.code, busy.body.error.message], [503, "OVERLOADED", "full up"]);
  assert.equal((await prism.get("/answers/undeclared")).status, 500);
  const other = await prism.request("PUT", "/answers/object", {});
  assert.deepEqual([other.status, other.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
  const head = await prism.request("HEAD", "/answers/object");
  assert.deepEqual([head.status, head.text], [200, ""]);
});

test("a route's own rate limit counts each caller", async (t) => {
  const modules = new ModuleDir(t);
  modules.put(
    "limited",
    moduleText(
      "limited",
      `
    server.get("/limited", { rateLimit: { max: 2, windowMs: 10_000 } }, () => 1);
    server.get("/limited/open", { public: true, rateLimit: { max: 1, windowMs: 60_000 } }, () => 1);
  `,
    ),
  );
  const clock = new FakeClock();
  const prism = await startWith(t, modules, { clock });
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await prism.get("/limited")).status);
  assert.deepEqual(statuses, [200, 200, 429]);
  const refused = await prism.get("/limited");
  assert.deepEqual([refused.headers.get("ratelimit-limit"), refused.headers.get("retry-after")], ["2", "5"]);
  assert.equal((await prism.get("/limited/open", { token: null })).status, 200);
  assert.equal((await prism.get("/limited/open", { token: null })).status, 429);
  clock.advance(10_000);
  assert.equal((await prism.get("/limited")).status, 200);
});

test("the signal of a request aborts when its client goes away", async (t) => {
  const modules = new ModuleDir(t);
  const entered = deferred<void>();
  const aborted = deferred<string>();
  Object.assign(globalThis, { signalEntered: entered, signalAborted: aborted });
  modules.put(
    "patient",
    moduleText(
      "patient",
      `
    server.get("/patient", { public: true }, (req) => new Promise((resolve) => {
      req.signal.addEventListener("abort", () => { globalThis.signalAborted.resolve(String(req.signal.reason.message)); resolve(); });
      globalThis.signalEntered.resolve();
    }));
  `,
    ),
  );
  const prism = await startWith(t, modules);
  const socket = connect(prism.app.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("GET /patient HTTP/1.1\r\nHost: x\r\n\r\n");
  await entered.promise;
  socket.destroy();
  assert.equal(await aborted.promise, "the client has disconnected");
});
