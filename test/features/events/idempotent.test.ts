import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { startPrism } from "../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";

interface Batch {
  accepted: number;
  duplicates: number;
  rejected: number;
  results?: { id?: string; status: string }[];
  error?: { code: string };
}

const keyed = (key: string) => ({ headers: { "Idempotency-Key": key } });

test("the answer to one event is stored with it and given again", async (t) => {
  const prism = await startPrism(t);
  const first = await prism.post("/api/v1/events", { type: "a" }, keyed("k1"));
  await prism.restart();
  const again = await prism.post("/api/v1/events", { type: "a" }, keyed("k1"));
  assert.deepEqual([again.status, again.body], [202, first.body]);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal(countOf(prism, "events"), 1);
});

test("a refused event leaves no row, so its key is free", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await prism.post("/api/v1/events", { type: "" }, keyed("k"))).status, 400);
  assert.equal((await prism.post("/api/v1/events", [{ type: "" }], keyed("k"))).status, 422);
  assert.equal(countOf(prism, "idempotency_keys"), 0);
  assert.equal((await prism.post("/api/v1/events", { type: "a" }, keyed("k"))).status, 202);
});

test("a batch of several slices is answered again with its counts", async (t) => {
  const prism = await startPrism(t);
  const events = [...Array.from({ length: 2400 }, () => ({ type: "a" })), { type: "" }];
  const first = await prism.post<Batch>("/api/v1/events", events, keyed("k"));
  const again = await prism.post<Batch>("/api/v1/events", events, keyed("k"));
  const { results, ...counts } = first.body;
  assert.equal(results?.length, 2401);
  assert.deepEqual([again.status, again.body], [202, counts], "a long answer is kept without its results");
  assert.equal(countOf(prism, "events"), 2400);
});

test("an interrupted batch continues after the slices that are stored", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "prism-test-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const events = Array.from({ length: 2500 }, (_, i) => ({ type: "a", payload: { i, text: "x".repeat(1000) } }));
  const small = await startPrism(t, { dir, settings: { maxDbBytes: "3800000" } });
  const cut = await small.post<Batch>("/api/v1/events", events, keyed("k"));
  assert.deepEqual([cut.status, cut.body.error?.code], [507, "STORAGE_FULL"]);
  const done = countOf(small, "events");
  assert.ok(done > 0 && done < 2500, `${done} events of whole slices are stored`);
  assert.deepEqual(rowsOf(small, "select status, response from idempotency_keys"), [
    { status: null, response: String(done) },
  ]);
  await small.stop();

  const prism = await startPrism(t, { dir });
  const { status, body } = await prism.post<Batch>("/api/v1/events", events, keyed("k"));
  assert.deepEqual([status, body.accepted], [202, 2500]);
  assert.deepEqual(
    body.results?.map(({ id, status: outcome }) => [outcome, id !== undefined]),
    events.map((_, i) => ["accepted", i >= done]),
    "those that were done are reported without id",
  );
  assert.equal(countOf(prism, "events"), 2500);
  assert.equal(scalarOf(prism, "select count(distinct payload ->> 'i') from events"), 2500);
});

test("a key that was used with another body is refused", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/events", { type: "a" }, keyed("k"));
  const other = await prism.post<Batch>("/api/v1/events", { type: "b" }, keyed("k"));
  assert.deepEqual([other.status, other.body.error?.code], [422, "IDEMPOTENCY_KEY_REUSED"]);
});
