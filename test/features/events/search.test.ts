import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import type { EventPage as Page, EventPaths as Paths } from "../../../src/client/api-types.gen.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { allDecided } from "./pipeline/support/all-decided.ts";

const list = async (prism: TestPrism, query: string): Promise<Page> => {
  const reply = await answered(200, prism.get<Page>(`/api/v1/events?${query}`));
  return reply.body;
};
const typesOf = ({ data }: Page): string[] => data.map(({ type }) => type);

test("q finds text in type, source and payload, literally and in any case", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/events", [
    { type: "payment", payload: { text: "100% of Anna" } },
    { type: "anna.login", payload: {} },
    { type: "x", source: "ANNA-1", payload: {} },
    { type: "y", payload: { text: "bob" } },
  ]);
  assert.deepEqual(typesOf(await list(prism, "q=anna")), ["x", "anna.login", "payment"]);
  assert.deepEqual(typesOf(await list(prism, "q=0%25%20of")), ["payment"]);
  assert.deepEqual(typesOf(await list(prism, "q=anna&type=payment")), ["payment"]);
  await answered(400, prism.get("/api/v1/events?q=anna&page=1"));
});

test("a search looks through a part of the log per page and continues by cursor", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  await prism.post("/api/v1/events", [{ type: "old", payload: { text: "needle" }, projectId: shop.id }]);
  await prism.parts.base.database.write((trx) =>
    sql`with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < 60000)
      insert into events (id, projectId, type, level, payload, occurredAt, receivedAt, processedAt)
      select 'e' || i, ${shop.id}, 'x', 'info', '{}', 1, 1, 1 from n`.execute(trx),
  );
  const first = await list(prism, `q=needle&projectId=${shop.id}`);
  assert.deepEqual(first.data, []);
  assert.ok(first.nextCursor);
  const second = await list(prism, `q=needle&projectId=${shop.id}&cursor=${first.nextCursor}`);
  assert.deepEqual([typesOf(second), second.nextCursor], [["old"], null]);
});

test("a page of a search reads a limited size of payloads, however many events match the filters", async (t) => {
  const prism = await startPrism(t);
  const text = "x".repeat(200_000);
  await prism.post("/api/v1/events", [{ type: "old", payload: { text: "needle" } }]);
  await prism.parts.base.database.write((trx) =>
    sql`with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < 300)
      insert into events (id, projectId, type, level, payload, occurredAt, receivedAt, processedAt)
      select 'e' || i, (select projectId from events), 'x', 'info', ${JSON.stringify({ text })}, 1, 1, 1 from n`.execute(
      trx,
    ),
  );
  let pages = 1;
  let page = await list(prism, "q=needle");
  for (; page.nextCursor && page.data.length === 0; pages++)
    page = await list(prism, `q=needle&cursor=${page.nextCursor}`);
  assert.deepEqual([typesOf(page), page.nextCursor, pages], [["old"], null, 2]);
});

test("projectId=* lists the events of all projects that the caller may read", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const vera = await makeUser(prism, "vera", ["Viewer"]);
  await prism.post("/api/v1/events", [{ type: "a" }, { type: "b", projectId: shop.id }]);
  assert.deepEqual(typesOf(await list(prism, "projectId=*")), ["b", "a"]);
  assert.deepEqual(typesOf(await list(prism, "projectId=*&type=a")), ["a"]);
  const { body } = await prism.get<Page>("/api/v1/events?projectId=*", { token: vera.token });
  assert.deepEqual(typesOf(body), ["a"]);
});

test("include=outcome says what the rules made of each event", async (t) => {
  const prism = await startPrism(t);
  const rule = (name: string, more: object) =>
    prism.post("/api/v1/rules", { name, targetUsers: ["me"], projectId: "default", ...more });
  await rule("fires", { condition: "event.type == 'a'", dedupe: { key: "{{ event.key }}", windowMs: 60_000 } });
  await rule("without people", { condition: "event.type == 'b'", targetUsers: [], targetRoles: ["Auditor"] });
  await prism.post("/api/v1/events", [
    { type: "a", payload: { key: 1 } },
    { type: "a", payload: { key: 1 } },
    { type: "b" },
    { type: "c" },
  ]);
  await allDecided(prism);
  const { data } = await list(prism, "include=outcome");
  const rows = data.map(({ outcome }) => [outcome?.result, outcome?.rules]);
  assert.deepEqual(rows, [
    ["no rule", 0],
    ["no recipients", 1],
    ["deduped", 1],
    ["fired", 1],
  ]);
  assert.ok(data[3]?.outcome?.notificationId);
  assert.equal((await list(prism, "")).data[0]?.outcome, undefined);
});

test("an event that waits for the rules is pending", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/events", [{ type: "a" }]);
  await allDecided(prism);
  await prism.parts.base.database.write((trx) => trx.updateTable("events").set({ processedAt: null }).execute());
  const outcome = async () => (await list(prism, "include=outcome")).data[0]?.outcome?.result;
  assert.equal(await outcome(), "pending");
  const { seq } = (await list(prism, "")).data[0] ?? { seq: 0 };
  await prism.parts.base.database.write((trx) =>
    trx
      .insertInto("event_failures")
      .values({
        consumer: "rule-engine",
        eventSeq: seq,
        attempts: 1,
        createdAt: 1,
        lastError: null,
        jobId: null,
        resolvedAt: null,
      })
      .execute(),
  );
  assert.equal(await outcome(), "failed");
});

test("the paths of recent events can be written in conditions as they are", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/events", [
    {
      type: "order",
      source: "shop",
      payload: {
        total: 12.5,
        type: "hidden",
        "a-b": { not: true },
        lines: [{ sku: "A" }, { sku: "B" }],
        note: "x".repeat(200),
        ['quo"te']: 1,
      },
    },
    { type: "order", payload: { total: "none", or: null } },
    { type: "payment", payload: { total: 3 } },
  ]);
  const { body } = await prism.get<Paths>("/api/v1/events/paths");
  const found = new Map(body.paths.map((each) => [each.path, each]));
  assert.deepEqual([body.events, body.types, body.sources], [3, ["order", "payment"], ["shop"]]);
  assert.deepEqual(found.get("event.total"), {
    path: "event.total",
    type: "number",
    types: ["number", "string"],
    examples: [3, "none", 12.5],
    count: 3,
  });
  assert.deepEqual(found.get("event.type")?.examples, ["payment", "order"]);
  assert.equal(found.get("event.payload.type")?.examples[0], "hidden");
  assert.equal(found.get('event["a-b"]["not"]')?.type, "boolean");
  assert.equal(found.get("event.lines")?.type, "list");
  assert.deepEqual(found.get("event.lines[0].sku")?.examples, ["A"]);
  assert.equal(found.get('event["or"]')?.type, "null");
  assert.equal(String(found.get("event.note")?.examples[0]).length <= 101, true);
  assert.ok(!body.paths.some(({ path }) => path.includes("quo")));
  for (const { path } of body.paths) {
    const tested = await prism.post("/api/v1/rules/test", { condition: `${path} == 1`, event: { type: "a" } });
    assert.equal(tested.status, 200, `${path}: ${tested.text}`);
  }

  const ofOrders = await prism.get<Paths>("/api/v1/events/paths?type=order");
  assert.equal(ofOrders.body.events, 2);
  const everywhere = await prism.get<Paths>("/api/v1/events/paths?projectId=*");
  assert.equal(everywhere.body.events, 3);
});
