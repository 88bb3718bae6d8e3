import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Event as EventView } from "../../../src/client/api-types.gen.ts";
import { makeProject } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";

interface Page {
  data: EventView[];
  page: number | null;
  limit: number;
  total?: number;
  nextCursor: string | null;
  error?: { code: string };
}

const list = (prism: TestPrism, query = "") => prism.get<Page>(`/api/v1/events${query}`);
const numbers = ({ data }: Page) => data.map(({ seq }) => seq);

async function fill(prism: TestPrism, count: number, more: (i: number) => object = () => ({})): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => ({ type: "a", payload: { i }, ...more(i) }));
  await prism.post("/api/v1/events", events);
}

test("S1-38: GET /events gives a key the last 20 of its project, newest first", async (t) => {
  keepsPromise(t, "S1-38");
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  await fill(prism, 30);
  await prism.post(
    "/ingest",
    Array.from({ length: 25 }, (_, i) => ({ type: "mine", payload: { i } })),
    {
      apiKey: shop.apiKey,
    },
  );
  const { body } = await prism.get<Page>("/events", { apiKey: shop.apiKey });
  assert.deepEqual(
    [body.data.length, body.limit, body.page, body.total],
    [20, 20, 1, undefined],
    "no total unless a page or an offset is asked for",
  );
  assert.deepEqual(
    numbers(body),
    numbers(body).toSorted((a, b) => b - a),
  );
  assert.ok(body.data.every(({ type }) => type === "mine"));
  assert.notEqual(body.nextCursor, null);
});

test("an event is shown with all its members", async (t) => {
  const prism = await startPrism(t);
  const sent = {
    type: "a.b",
    payload: { n: 1 },
    source: "s",
    level: "warn",
    occurredAt: "2026-01-02T03:04:05Z",
    dedupeKey: "k",
  };
  const { body } = await prism.post<{ id: string; receivedAt: string }>("/api/v1/events", sent);
  const [shown] = (await list(prism)).body.data as unknown as Record<string, unknown>[];
  assert.deepEqual(shown, {
    id: body.id,
    seq: 1,
    projectId: prism.parts.offers.projects.defaultId,
    ...sent,
    occurredAt: "2026-01-02T03:04:05.000Z",
    receivedAt: body.receivedAt,
    processedAt: shown?.["processedAt"],
    correlationId: body.id,
  });
  assert.match(String(shown?.["processedAt"]), /^2\d{3}-/);
});

test("each filter leaves what it says", async (t) => {
  const prism = await startPrism(t);
  for (const event of [
    { type: "order.created", level: "info", source: "web" },
    { type: "order.failed", level: "error", source: "web" },
    { type: "orders", level: "warn" },
    { type: "payment.failed", level: "fatal", source: "job" },
    { type: "order", level: "debug" },
  ])
    await prism.post("/api/v1/events", event);
  const all = (await list(prism)).body.data;
  const at = (seq: number) => encodeURIComponent(all.find((event) => event.seq === seq)?.receivedAt ?? "");
  const between = all.filter(
    ({ receivedAt }) => receivedAt >= decodeURIComponent(at(2)) && receivedAt < decodeURIComponent(at(4)),
  );
  for (const [name, query, seqs] of [
    ["one type", "?type=order.failed", [2]],
    ["several types", "?type=order,orders", [5, 3]],
    ["the beginning of a type", "?type=order.*", [2, 1]],
    ["the beginning of a type without a dot", "?type=order*", [5, 3, 2, 1]],
    ["types and beginnings together", "?type=payment.*,order", [5, 4]],
    ["one level", "?level=error", [2]],
    ["several levels", "?level=error,fatal", [4, 2]],
    ["a source", "?source=web", [2, 1]],
    ["everything after a number", "?afterSeq=3", [5, 4]],
    ["processed ones", "?processed=true", [5, 4, 3, 2, 1]],
    ["unprocessed ones", "?processed=false", []],
    ["a time, its beginning included and its end not", `?from=${at(2)}&to=${at(4)}`, between.map(({ seq }) => seq)],
    ["filters together", "?type=order.*&level=error", [2]],
    ["nothing of a type that does not exist", "?type=none", []],
  ] as const) {
    await t.test(name, async () => {
      const { status, body } = await list(prism, query);
      assert.deepEqual([status, numbers(body)], [200, seqs]);
      const counted = await list(prism, `${query}&limit=1&page=1`);
      assert.equal(counted.body.total, seqs.length);
    });
  }
});

test("a query that is not one is refused", async (t) => {
  const prism = await startPrism(t);
  const rules = await prism.get<Page>("/api/v1/rules?limit=1&sort=name");
  await prism.post("/api/v1/rules", { name: "a", condition: "true == true", targetUsers: ["me"] });
  await prism.post("/api/v1/rules", { name: "b", condition: "true == true", targetUsers: ["me"] });
  const foreign = (await prism.get<Page>("/api/v1/rules?limit=1&sort=name")).body.nextCursor;
  assert.equal(rules.body.nextCursor, null);
  for (const { query, code = "VALIDATION_FAILED" } of [
    { query: "?limit=0" },
    { query: "?limit=1001" },
    { query: "?limit=x" },
    { query: "?page=0" },
    { query: "?offset=100001" },
    { query: "?page=1&offset=0" },
    { query: "?page=1&cursor=abc" },
    { query: "?offset=0&cursor=abc" },
    { query: "?cursor=abc", code: "INVALID_CURSOR" },
    { query: `?cursor=${foreign}`, code: "INVALID_CURSOR" },
    { query: "?type=*.failed" },
    { query: "?level=loud" },
    { query: "?level=" },
    { query: "?from=yesterday" },
    { query: "?from=2026-01-01" },
    { query: "?processed=maybe" },
    { query: "?afterSeq=-1" },
    { query: "?unknown=1" },
    { query: "?limit=1&limit=2" },
  ]) {
    await t.test(query, async () => {
      const { status, body } = await list(prism, query.replaceAll(" ", "%20"));
      assert.deepEqual([status, body.error?.code], [400, code]);
    });
  }
});

test("joined pages give each event once, by page, by offset and by cursor, while new ones come in", async (t) => {
  const prism = await startPrism(t);
  await fill(prism, 37, (i) => ({ level: i % 3 ? "info" : "error", type: i % 2 ? "a" : "b" }));
  const everything = numbers((await list(prism, "?limit=1000")).body);
  assert.equal(everything.length, 37);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom("page", "offset", "cursor"),
      fc.constantFrom("", "&level=error", "&type=b", "&type=a,b", "&afterSeq=9"),
      async (limit, kind, filter) => {
        const expected = numbers((await list(prism, `?limit=1000${filter}`)).body);
        const seen: number[] = [];
        let cursor: string | null = null;
        for (let n = 0; ; n++) {
          const place: string = {
            page: `&page=${n + 1}`,
            offset: `&offset=${n * limit}`,
            cursor: cursor === null ? "" : `&cursor=${cursor}`,
          }[kind];
          const { body } = await list(prism, `?limit=${limit}${filter}${place}`);
          seen.push(...numbers(body));
          cursor = body.nextCursor;
          if (kind !== "cursor") assert.equal(body.total, expected.length);
          assert.equal(body.nextCursor === null, seen.length >= expected.length, "null exactly at the end");
          if (body.nextCursor === null) break;
        }
        assert.deepEqual(seen, expected);
      },
    ),
    { numRuns: 40 },
  );
  const first = (await list(prism, "?limit=10")).body;
  await fill(prism, 5);
  const second = (await list(prism, `?limit=10&cursor=${first.nextCursor}`)).body;
  assert.deepEqual([...numbers(first), ...numbers(second)], everything.slice(0, 20));
  assert.equal(second.page, null);
});

test("GET /events/:id returns the outcome of the event", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'a'", targetUsers: ["me"] });
  await prism.post("/api/v1/rules", { name: "q", condition: "event.type == 'a'", targetUsers: ["me"] });
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "a", payload: { big: 1 } });
  const read = await prism.get<EventView & { notifications: string[] }>(`/api/v1/events/${body.id}`);
  const sent = await prism.get<{ data: { id: string; eventId: string }[] }>("/api/v1/notifications");
  assert.deepEqual(read.body.notifications.toSorted(), sent.body.data.map(({ id }) => id).toSorted());
  assert.ok(sent.body.data.every(({ eventId }) => eventId === body.id));
  for (const id of ["nonsense", "0198c0de-0000-7000-8000-00000000dead", body.id.toUpperCase()])
    assert.equal((await prism.get(`/api/v1/events/${id}`)).status, 404);
});
