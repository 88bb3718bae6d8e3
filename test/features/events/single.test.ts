import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import type { StoredEvent as Single } from "../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../src/core/ids.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";

test("S1-37: one event is taken in with an API key on every path that seeds use", async (t) => {
  keepsPromise(t, "S1-37");
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  for (const path of ["/ingest", "/events", "/api/ingest", "/api/v1/ingest", "/api/v1/events"]) {
    await t.test(path, async () => {
      const { status, body } = await prism.post<Single>(
        path,
        { type: "order.created", payload: { path } },
        {
          apiKey: shop.apiKey,
        },
      );
      assert.equal(status, 202);
      const [row] = rowsOf<Record<string, unknown>>(prism, "select * from events where id = ?", body.id);
      assert.deepEqual(body, {
        id: row?.["id"],
        seq: row?.["seq"],
        status: "accepted",
        receivedAt: new Date(Number(row?.["receivedAt"])).toISOString(),
      });
      assert.equal(row?.["projectId"], shop.id);
    });
  }
});

test("S2-11: what is stored of an event: type, payload, source, times, level, keys", async (t) => {
  keepsPromise(t, "S2-11");
  const prism = await startPrism(t);
  const id = uuidv7();
  const before = Date.now();
  await prism.post("/api/v1/events", {
    id,
    type: "payment.failed",
    payload: { amount: 1500 },
    source: "billing\u0000 Cafe\u0301",
    level: "error",
    occurredAt: "2026-01-02T03:04:05.678+01:00",
    dedupeKey: "p-1",
  });
  const [row] = rowsOf<Record<string, unknown>>(prism, "select * from events where id = ?", id);
  const { receivedAt, processedAt, seq, projectId, ...rest } = row ?? {};
  assert.deepEqual(rest, {
    id,
    type: "payment.failed",
    level: "error",
    source: "billing Café",
    payload: '{"amount":1500}',
    dedupeKey: "p-1",
    occurredAt: Date.parse("2026-01-02T02:04:05.678Z"),
    correlationId: null,
  });
  assert.equal(seq, 1);
  assert.equal(projectId, prism.parts.offers.projects.defaultId);
  assert.ok(Number(receivedAt) >= before && Number(processedAt) >= before);
});

test("S2-104: the event's id is the request's id and its correlation id, unless the caller brings one", async (t) => {
  const prism = await startPrism(t);
  await t.test("without headers", async () => {
    const { body, headers } = await prism.post<Single>("/api/v1/events", { type: "a" });
    assert.equal(headers.get("x-request-id"), body.id);
    assert.equal(headers.get("x-correlation-id"), body.id);
    assert.equal(scalarOf(prism, "select correlationId from events where id = ?", body.id), null);
  });
  await t.test("with an id of the event's own", async () => {
    const id = uuidv7();
    const { body, headers } = await prism.post<Single>("/api/v1/events", { type: "a", id });
    assert.equal(body.id, id);
    assert.equal(headers.get("x-correlation-id"), id);
    assert.notEqual(headers.get("x-request-id"), id);
  });
  await t.test("a request id of the caller's names no event", async () => {
    const own = { headers: { "X-Request-Id": uuidv7() } };
    const first = await prism.post<Single>("/api/v1/events", { type: "a" }, own);
    const second = await prism.post<Single>("/api/v1/events", { type: "a" }, own);
    assert.notEqual(first.body.id, own.headers["X-Request-Id"]);
    assert.notEqual(first.body.id, second.body.id);
    assert.equal(first.headers.get("x-request-id"), own.headers["X-Request-Id"]);
  });
  await t.test("a correlation id of the caller's goes into event, notification and reply", async () => {
    await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'c'", targetUsers: ["me"] });
    const headers = { "X-Correlation-Id": "order-77" };
    const reply = await prism.post<Single>("/api/v1/events", { type: "c" }, { headers });
    assert.equal(reply.headers.get("x-correlation-id"), "order-77");
    const read = await prism.get<{ correlationId: string }>(`/api/v1/events/${reply.body.id}`);
    assert.equal(read.body.correlationId, "order-77");
    const { body } = await prism.get<{ data: { correlationId: string }[] }>("/api/v1/notifications");
    assert.deepEqual(valuesOf(body.data, "correlationId"), ["order-77"]);
  });
  await t.test("every event of a batch has an id of its own, and the caller's correlation id", async () => {
    const headers = { "X-Correlation-Id": "load-1" };
    const { body } = await prism.post<{ results: { id: string }[] }>("/api/v1/events", [{ type: "a" }, { type: "a" }], {
      headers,
    });
    const ids = body.results.map(({ id }) => id);
    assert.equal(new Set(ids).size, 2);
    for (const id of ids) assert.equal(scalarOf(prism, "select correlationId from events where id = ?", id), "load-1");
  });
});

test("an event of a disconnected sender may be stored; sent again under its key it is the first", async (t) => {
  const prism = await startPrism(t);
  const body = JSON.stringify({ type: "a", dedupeKey: "killed" });
  const socket = connect(prism.app.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${prism.adminToken}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    () => socket.resetAndDestroy(),
  );
  await once(socket, "close");
  const again = await answered(202, prism.post<Single>("/api/v1/events", body));
  assert.equal(scalarOf(prism, "select count(*) from events where dedupeKey = 'killed'"), 1);
  assert.equal(scalarOf(prism, "select id from events where dedupeKey = 'killed'"), again.body.id);
});

test("a body that stops half-way stores nothing", async (t) => {
  const prism = await startPrism(t);
  const socket = connect(prism.app.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${prism.adminToken}\r\n` +
      `Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"type":"a"}`,
  );
  await eventually("the request is under way", () => prism.parts.core.kernel.requests.count === 1);
  socket.destroy();
  await eventually("the request is over", () => prism.parts.core.kernel.requests.count === 0);
  assert.equal(countOf(prism, "events"), 0);
});

test("events that name no project belong to the one in the query, or to none that the caller may not write to", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const mallory = await makeUser(prism, "mallory");
  const path = `/api/v1/events?projectId=${shop.id}`;
  const projectOf = (id: unknown) => scalarOf(prism, "select projectId from events where id = ?", id);
  const one = await prism.post<Single>(path, { type: "a" });
  assert.equal(projectOf(one.body.id), shop.id);
  const batch = await prism.post<{ results: Single[] }>(path, [{ type: "b" }, { type: "c", projectId: "default" }]);
  const [own, named] = batch.body.results.map(({ id }) => projectOf(id));
  assert.equal(own, shop.id);
  assert.notEqual(named, shop.id);
  await answered(404, prism.post(path, { type: "d" }, { token: mallory.token }));
  assert.equal(countOf(prism, "events where type = 'd'"), 0);
});
