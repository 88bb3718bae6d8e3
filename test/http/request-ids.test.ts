import assert from "node:assert/strict";
import test from "node:test";
import { isUuid } from "../../src/core/ids.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { ping, startBareKernel } from "./support/bare-kernel.ts";
import { exchangeRaw, requestText } from "./support/raw-connection.ts";

test("S2-101, S2-104: request and correlation ids are taken over where they are well formed, else made, and always echoed", async (t) => {
  keepsPromise(t, ["S2-101", "S2-104"]);
  const { port } = startBareKernel(t, { routes: [ping] });
  for (const [name, id, isTaken] of [
    ["letters and digits", "Abc123", true],
    ["every sign that is allowed", "a.b_c:d-e", true],
    ["one character", "x", true],
    ["128 characters", "a".repeat(128), true],
    ["129 characters", "a".repeat(129), false],
    ["a space", "a b", false],
    ["a slash", "a/b", false],
    ["a quote", 'a"b', false],
    ["a comma", "a,b", false],
    ["a percent sign", "a%0d%0ab", false],
    ["markup", "<script>", false],
    ["a letter beyond ASCII in the middle", "a\u00e9b", false],
    ["nothing", "", false],
  ] as const) {
    await t.test(`${name}: ${isTaken ? "taken" : "generated"}`, async (t) => {
      for (const path of ["/ping", "/unknown"]) {
        const fields = [`X-Request-Id: ${id}`, `X-Correlation-Id: ${id}`];
        const { headers } = await exchangeRaw(t, port, Buffer.from(requestText("GET", path, fields), "latin1"));
        const [requestId = "", correlationId = ""] = [headers.get("x-request-id"), headers.get("x-correlation-id")];
        if (isTaken) assert.deepEqual([requestId, correlationId], [id, id]);
        else {
          assert.ok(isUuid(requestId), requestId);
          assert.equal(correlationId, requestId, "without one of the caller's it is the request's");
        }
      }
    });
  }
});

test("a correlation id is separate from the request id", async (t) => {
  const { port } = startBareKernel(t, { routes: [ping] });
  const { headers } = await exchangeRaw(
    t,
    port,
    requestText("GET", "/ping", ["X-Request-Id: r", "X-Correlation-Id: c"]),
  );
  assert.deepEqual([headers.get("x-request-id"), headers.get("x-correlation-id")], ["r", "c"]);
});

test("a repeated field is not an id", async (t) => {
  const { port } = startBareKernel(t, { routes: [ping] });
  const { headers } = await exchangeRaw(t, port, requestText("GET", "/ping", ["X-Request-Id: a", "X-Request-Id: b"]));
  assert.ok(isUuid(headers.get("x-request-id") ?? ""));
});

test("S2-101: every answer carries the ids, errors and upgrades included", async (t) => {
  keepsPromise(t, "S2-101");
  const prism = await startPrism(t);
  const credential = `Authorization: Bearer ${prism.adminToken}`;
  const upgrade = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  const ids = ["X-Request-Id: r-1", "X-Correlation-Id: c-1"];
  for (const [name, status, text, method] of [
    ["200", 200, requestText("GET", "/health", ids)],
    ["HEAD", 200, requestText("HEAD", "/health", ids), "HEAD"],
    ["a preflight", 204, requestText("OPTIONS", "/health", ids)],
    ["a page", 200, requestText("GET", "/docs", ids)],
    ["400", 400, requestText("POST", "/events", [...ids, credential, "Content-Type: application/json"], "{")],
    ["401", 401, requestText("GET", "/api/v1/rules", ids)],
    ["404", 404, requestText("GET", "/nothing", ids)],
    ["405", 405, requestText("PUT", "/health", ids)],
    ["413", 413, requestText("POST", "/events", [...ids, credential, "Content-Length: 99999999"])],
    ["414", 414, requestText("GET", `/${"a".repeat(9000)}`, ids)],
    ["426", 426, requestText("GET", "/ws", ids)],
    ["an event stream", 200, requestText("GET", "/realtime/default/sse", [...ids, credential]), "HEAD"],
    ["101", 101, requestText("GET", "/ws", [...ids, credential, ...upgrade])],
    ["a refused upgrade", 401, requestText("GET", "/ws", [...ids, ...upgrade])],
  ] as const) {
    await t.test(name, async (t) => {
      const reply = await exchangeRaw(t, prism.app.port, text, method);
      assert.equal(reply.status, status);
      assert.deepEqual([reply.headers.get("x-request-id"), reply.headers.get("x-correlation-id")], ["r-1", "c-1"]);
      if (status >= 400) {
        const { error } = JSON.parse(reply.body) as { error: { requestId: string } };
        assert.equal(error.requestId, "r-1");
      }
    });
  }
});

test("S2-102, S2-104: one line per request has caller, operation and result, with the trace id, and no path, query or secret", async (t) => {
  keepsPromise(t, "S2-104");
  const log = new LogLines("debug");
  const prism = await startPrism(t, { log });
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const lineOf = (requestId: string) =>
    eventually("the line", () =>
      log.lines.find(({ fields, message }) => message === "request" && fields["requestId"] === requestId),
    );
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  await prism.get("/api/v1/rules/none?x=secret-in-query", {
    headers: {
      "X-Request-Id": "line-1",
      "X-Correlation-Id": "corr-1",
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    },
  });
  const { level, fields } = await lineOf("line-1");
  const { durationMs, ...rest } = fields;
  assert.equal(typeof durationMs, "number");
  assert.deepEqual(
    [level, rest],
    [
      "info",
      {
        requestId: "line-1",
        correlationId: "corr-1",
        traceId,
        userId: me.id,
        method: "GET",
        route: "/api/v1/rules/:id",
        status: 404,
      },
    ],
  );
  await t.test("an invalid traceparent is not logged", async () => {
    for (const [at, traceparent] of [
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `ff-${traceId}-b7ad6b7169203331-01`,
      `00-${traceId.toUpperCase()}-b7ad6b7169203331-01`,
      `00-${traceId}`,
      "nonsense",
    ].entries()) {
      await prism.get("/api/v1/rules", { headers: { "X-Request-Id": `trace-${at}`, traceparent } });
      assert.equal((await lineOf(`trace-${at}`)).fields["traceId"], undefined, traceparent);
    }
  });
  await t.test("a key is named by its id", async () => {
    const project = await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "p" });
    await prism.get("/events", { apiKey: project.body.apiKey, headers: { "X-Request-Id": "line-2" } });
    const line = await lineOf("line-2");
    assert.ok(isUuid(String(line.fields["keyId"])));
    assert.ok(!JSON.stringify(line).includes(project.body.apiKey));
  });
  await t.test("an accepted event is a debug line, with the event's id as correlation id", async () => {
    const event = await prism.post<{ id: string }>("/events", { type: "a" }, { headers: { "X-Request-Id": "line-3" } });
    const line = await lineOf("line-3");
    assert.deepEqual([line.level, line.fields["correlationId"]], ["debug", event.body.id]);
  });
  await t.test("no line holds a token", () => {
    assert.ok(!JSON.stringify(log.lines).includes(prism.adminToken));
    assert.ok(!JSON.stringify(log.lines).includes("secret-in-query"));
  });
});

test("refused ingest is logged ten times a second at most", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const startedAt = Date.now();
  for (let i = 0; i < 60; i++) await prism.post("/events", {});
  const seconds = Math.floor(Date.now() / 1000) - Math.floor(startedAt / 1000) + 1;
  const refused = log.lines.filter(({ fields, message }) => message === "request" && fields["status"] === 400);
  assert.ok(refused.length >= 10 && refused.length <= 10 * seconds, `${refused.length} lines in ${seconds} s`);
});
