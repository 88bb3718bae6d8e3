import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { countOf } from "../../helpers/tables.ts";

interface Tried {
  matched: boolean;
  value: unknown;
  trace: { pos: number; text: string; value: unknown }[];
  title?: string;
  message?: string;
  error?: { code: string; details?: { path: string; position: number }[] };
}

const PATH = "/api/v1/rules/test";

test("a condition is tried on an event that is sent with it, and says how it came to its answer", async (t) => {
  const prism = await startPrism(t);
  const { status, body } = await prism.post<Tried>(PATH, {
    condition: "event.type == 'payment' && event.amount > 1000",
    event: { type: "payment", amount: 1500, payload: { note: "x" } },
    templates: { title: "{{event.amount}} {{event.note}}", message: "{{event.level}}" },
  });
  assert.equal(status, 200);
  assert.deepEqual([body.matched, body.value, body.title, body.message], [true, true, "1500 x", "info"]);
  const found = body.trace.find(({ text }) => text === "event.amount");
  assert.deepEqual(found, { pos: 27, text: "event.amount", value: 1500 });
  const missed = await prism.post<Tried>(PATH, { condition: "event.amount > 1000", event: { amount: "1500" } });
  assert.deepEqual([missed.body.matched, missed.body.title], [false, undefined]);
});

test("the event is folded and checked as ingest would; a type may be left out", async (t) => {
  const prism = await startPrism(t);
  for (const { event, condition, matched, code } of [
    { event: {}, condition: "event.type == 'test'", matched: true },
    { event: { a: 1, payload: { a: 2 } }, condition: "event.a == 2", matched: true },
    { event: { level: "error" }, condition: "event.level == 'error'", matched: true },
    { event: {}, condition: "event.projectId != null && event.id != null && now() > 0", matched: true },
    { event: { type: "" }, condition: "true == true", code: "VALIDATION_FAILED" },
    { event: { payload: [] }, condition: "true == true", code: "VALIDATION_FAILED" },
  ]) {
    const { body } = await prism.post<Tried>(PATH, { condition, event });
    assert.deepEqual([body.matched, body.error?.code], [matched, code], condition);
  }
});

test("a condition is tested on a stored event, by callers who may read it", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/projects", { name: "shop" });
  const viewer = await makeUser(prism, "vic", ["Viewer"]);
  const own = await prism.post<{ id: string }>("/api/v1/events", { type: "a", amount: 5 });
  const shops = await prism.post<{ id: string }>("/api/v1/events", { type: "a", projectId: "shop" });
  const attempt = (eventId: string) =>
    prism.post<Tried>(PATH, { condition: "event.amount == 5", eventId }, { token: viewer.token });
  assert.deepEqual([(await attempt(own.body.id)).body.matched], [true]);
  for (const id of [shops.body.id, "0198c0de-0000-7000-8000-00000000dead"]) {
    const { status, body } = await attempt(id);
    assert.deepEqual([status, body.error?.code], [404, "EVENT_NOT_FOUND"]);
  }
});

test("what cannot be tried is refused, and nothing is stored in any case", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "user", ["User"]);
  for (const { body, status, code, path } of [
    { body: { condition: "event.x ==", event: {} }, status: 422, code: "INVALID_CONDITION", path: "condition" },
    { body: { condition: "", event: {} }, status: 422, code: "INVALID_CONDITION", path: "condition" },
    {
      body: { condition: "event.x == 1", event: {}, templates: { title: "{{x" } },
      status: 422,
      code: "INVALID_TEMPLATE",
      path: "title",
    },
    { body: { condition: "event.x == 1" }, status: 400, code: "VALIDATION_FAILED" },
    {
      body: { condition: "event.x == 1", event: {}, eventId: "0198c0de-0000-7000-8000-00000000dead" },
      status: 400,
      code: "VALIDATION_FAILED",
    },
    { body: { condition: "event.x == 1", eventId: "x" }, status: 400, code: "VALIDATION_FAILED" },
    { body: { event: {} }, status: 400, code: "VALIDATION_FAILED" },
  ]) {
    const reply = await prism.post<Tried>(PATH, body);
    assert.deepEqual([reply.status, reply.body.error?.code], [status, code], JSON.stringify(body));
    if (path) assert.equal(reply.body.error?.details?.[0]?.path, path);
  }
  const refused = await prism.post<Tried>(PATH, { condition: "event.x == 1", event: {} }, { token });
  assert.deepEqual([refused.status, refused.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
  for (const table of ["events", "rules", "decisions", "notifications"]) assert.equal(countOf(prism, table), 0);
});
