import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";

interface BatchReply {
  accepted: number;
  duplicates: number;
  rejected: number;
  firstSeq: number | null;
  lastSeq: number | null;
  results: { index: number; id?: string; status: string; error?: { code: string; message: string; path: string } }[];
  error?: { code: string; details?: Record<string, unknown>[] };
}

const NDJSON = { "Content-Type": "application/x-ndjson" };

function send(prism: TestPrism, body: unknown, headers: Record<string, string> = {}, query = "") {
  return prism.post<BatchReply>(`/api/v1/events${query}`, body, { headers });
}

test("S2-28: an array of events is stored in its order, each item with a result of its own", async (t) => {
  keepsPromise(t, "S2-28");
  const prism = await startPrism(t);
  const { status, body } = await send(prism, [
    { type: "a.first", payload: { n: 1 } },
    { type: "" },
    { type: "a.second" },
    7,
    { type: "a.third", source: [] },
    { type: "a.last" },
  ]);
  assert.equal(status, 202);
  const { results, ...counts } = body;
  assert.deepEqual(counts, {
    accepted: 3,
    duplicates: 0,
    rejected: 3,
    firstSeq: counts.firstSeq,
    lastSeq: Number(counts.firstSeq) + 2,
  });
  const rows = results.map(({ index, status: outcome, error }) => [index, outcome, error?.code, error?.path]);
  assert.deepEqual(rows, [
    [0, "accepted", undefined, undefined],
    [1, "rejected", "VALIDATION_FAILED", "type"],
    [2, "accepted", undefined, undefined],
    [3, "rejected", "VALIDATION_FAILED", ""],
    [4, "rejected", "VALIDATION_FAILED", "source"],
    [5, "accepted", undefined, undefined],
  ]);
  const stored = rowsOf<{ id: string; type: string }>(prism, "select id, type from events order by seq");
  assert.deepEqual(valuesOf(stored, "type"), ["a.first", "a.second", "a.last"]);
  assert.deepEqual(valuesOf(stored, "id"), [results[0]?.id, results[2]?.id, results[5]?.id]);
});

test("NDJSON: blank lines are skipped, a line that is not JSON is that line's error alone", async (t) => {
  const prism = await startPrism(t);
  const lines = ['{"type":"a"}', "", "  \t ", "{broken", '{"type":"b"}\r', "[]", '{"type":"c"}'];
  for (const contentType of ["application/x-ndjson", "application/x-ndjson; charset=utf-8", "Application/X-NDJSON"]) {
    const { body } = await answered(202, send(prism, lines.join("\n"), { "Content-Type": contentType }));
    const shown = body.results.map(({ status: outcome, error }) => error?.code ?? outcome);
    assert.deepEqual(shown, ["accepted", "MALFORMED_JSON", "accepted", "VALIDATION_FAILED", "accepted"]);
  }
});

test("a batch in gzip is read as one in plain text", async (t) => {
  const prism = await startPrism(t);
  const text = Array.from({ length: 50 }, (_, i) => `{"type":"a","n":${i}}`).join("\n");
  const reply = await send(prism, gzipSync(text), { ...NDJSON, "Content-Encoding": "gzip" });
  assert.deepEqual([reply.status, reply.body.accepted], [202, 50]);
});

test("?results= says which results are wanted; of long NDJSON only errors are returned by default", async (t) => {
  const prism = await startPrism(t);
  const lines = (count: number) => `${'{"type":"a"}\n'.repeat(count - 1)}{"type":""}`;
  const array = [{ type: "a" }, { type: "" }];
  for (const row of [
    { name: "an array returns all", body: array, headers: {}, query: "", told: 2 },
    { name: "an array returns errors on request", body: array, headers: {}, query: "?results=errors", told: 1 },
    { name: "1000 lines tell all", body: lines(1000), headers: NDJSON, query: "", told: 1000 },
    { name: "1001 lines tell errors", body: lines(1001), headers: NDJSON, query: "", told: 1 },
    {
      name: "1001 lines tell all when asked to",
      body: lines(1001),
      headers: NDJSON,
      query: "?results=all",
      told: 1001,
    },
  ]) {
    await t.test(row.name, async () => {
      const { status, body } = await send(prism, row.body, row.headers, row.query);
      assert.deepEqual([status, body.results.length, body.rejected], [202, row.told, 1]);
      assert.equal(body.results.at(-1)?.error?.code, "VALIDATION_FAILED");
    });
  }
  assert.equal((await send(prism, array, {}, "?results=some")).status, 400);
});

test("a batch of which nothing can be stored is refused as a whole", async (t) => {
  const prism = await startPrism(t);
  const { status, body } = await send(prism, [{ type: "" }, { level: "info" }, "x"]);
  assert.deepEqual([status, body.error?.code], [422, "BATCH_REJECTED"]);
  assert.deepEqual(
    body.error?.details?.map(({ index, code, path }) => [index, code, path]),
    [
      [0, "VALIDATION_FAILED", "type"],
      [1, "VALIDATION_FAILED", "type"],
      [2, "VALIDATION_FAILED", ""],
    ],
  );
  assert.equal(countOf(prism, "events"), 0);
});

test("a batch of one accepted item or one duplicate is accepted", async (t) => {
  const prism = await startPrism(t);
  const event = { type: "a", dedupeKey: "k" };
  const first = await send(prism, [event, { type: "" }]);
  assert.deepEqual([first.status, first.body.accepted, first.body.rejected], [202, 1, 1]);
  const again = await send(prism, [event, { type: "" }]);
  assert.deepEqual([again.status, again.body.duplicates, again.body.firstSeq], [202, 1, null]);
});

test("a body that is not a batch is refused and nothing of it is stored", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.maxBatch": "3" } });
  for (const { name, body, headers = {}, status, code } of [
    { name: "an empty array", body: "[]", status: 400, code: "VALIDATION_FAILED" },
    { name: "NDJSON without a line", body: "\n \n", headers: NDJSON, status: 400, code: "VALIDATION_FAILED" },
    { name: "an array that ends early", body: '[{"type":"a"}', status: 400, code: "MALFORMED_JSON" },
    { name: "a comma before the end", body: '[{"type":"a"},]', status: 400, code: "MALFORMED_JSON" },
    { name: "a missing comma", body: '[{"type":"a"} {"type":"b"}]', status: 400, code: "MALFORMED_JSON" },
    { name: "a lone comma", body: "[,]", status: 400, code: "MALFORMED_JSON" },
    { name: "data after the array", body: '[{"type":"a"}] x', status: 400, code: "MALFORMED_JSON" },
    { name: "an element that is not JSON", body: '[{"type":"a"},{"type":}]', status: 400, code: "MALFORMED_JSON" },
    { name: "brackets that do not match", body: '[{"type":"a"]}', status: 400, code: "MALFORMED_JSON" },
    { name: "nesting of 33 levels", body: `[${nested(33)}]`, status: 400, code: "MALFORMED_JSON" },
    { name: "a byte order mark", body: '\ufeff[{"type":"a"}]', status: 400, code: "MALFORMED_JSON" },
    {
      name: "bytes that are no JSON in any encoding",
      body: Buffer.from([0x5b, 0xff, 0x5d]),
      status: 400,
      code: "MALFORMED_JSON",
    },
    {
      name: "four items where three are allowed",
      body: `[${Array(4).fill('{"type":"a"}')}]`,
      status: 413,
      code: "BATCH_TOO_LARGE",
    },
    {
      name: "four lines where three are allowed",
      body: '{"type":"a"}\n'.repeat(4),
      headers: NDJSON,
      status: 413,
      code: "BATCH_TOO_LARGE",
    },
  ]) {
    await t.test(name, async () => {
      const reply = await send(prism, body, headers);
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
    });
  }
  assert.equal(countOf(prism, "events"), 0);
  assert.equal((await send(prism, `[${nested(32)}]`)).status, 202, "32 levels are allowed");
});

test("an element that is not JSON is named by its place", async (t) => {
  const prism = await startPrism(t);
  const { body } = await send(prism, '[{"type":"a"},{"type":"b"},{"type":"a"x}]');
  assert.equal(body.error?.details?.[0]?.["path"], "2");
});

test("the order of a request holds over slices of 1000 and over commits", async (t) => {
  const prism = await startPrism(t);
  const events = Array.from({ length: 2500 }, (_, i) => ({ type: "a", payload: { i } }));
  const [first, second] = await Promise.all([send(prism, events), send(prism, events)]);
  for (const { status, body } of [first, second]) {
    assert.deepEqual([status, body.accepted], [202, 2500]);
    const ids = body.results.map(({ id }) => id);
    const stored = rowsOf<{ seq: number; i: number }>(
      prism,
      "select seq, payload ->> 'i' as i from events where id in (select value from json_each(?)) order by seq",
      JSON.stringify(ids),
    );
    assert.deepEqual(
      stored.map(({ i }) => i),
      events.map((_, i) => i),
    );
    assert.deepEqual([stored[0]?.seq, stored.at(-1)?.seq], [body.firstSeq, body.lastSeq]);
  }
});

test("each item may name a project; one that the caller may not write to is that item's error", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const user = await makeUser(prism, "pia", ["User"]);
  const viewer = await makeUser(prism, "vic", ["Viewer"]);
  const events = [{ type: "a" }, { type: "a", projectId: "shop" }, { type: "a", projectId: "nowhere" }];
  const asUser = await prism.post<BatchReply>("/api/v1/events", events, { token: user.token });
  const shown = asUser.body.results.map(({ status, error }) => error?.code ?? status);
  assert.deepEqual(shown, ["accepted", "PROJECT_NOT_FOUND", "PROJECT_NOT_FOUND"]);
  const asKey = await prism.post<BatchReply>("/api/v1/events", [...events, { type: "a", projectId: shop.id }], {
    apiKey: shop.apiKey,
  });
  assert.deepEqual(
    asKey.body.results.map(({ status, error }) => error?.code ?? status),
    ["accepted", "accepted", "PROJECT_NOT_FOUND", "accepted"],
  );
  const asViewer = await prism.post<BatchReply>("/api/v1/events", events, { token: viewer.token });
  assert.deepEqual([asViewer.status, asViewer.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
});

function nested(levels: number): string {
  const inner = levels - 2;
  return `{"type":"a","payload":{"x":${"[".repeat(inner)}${"]".repeat(inner)}}}`;
}
