import assert from "node:assert/strict";
import test from "node:test";
import { appendEvents } from "../../../src/features/events/index.ts";
import { crashImage } from "../../helpers/crash-image.ts";
import { eventually } from "../../helpers/eventually.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import { startPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../helpers/values.ts";

async function append(
  prism: TestPrism,
  types: readonly string[],
  then: () => void = () => undefined,
): Promise<string[]> {
  const projectId = prism.parts.offers.defaultProjectId;
  return prism.services.db.write(async (trx) => {
    const events = types.map((type) => ({ projectId, type, level: "warn" as const, payload: { n: 1 } }));
    const ids = await appendEvents(trx, events, { source: "server", now: 1000 });
    then();
    return ids;
  });
}

const rule = { name: "r", condition: "startsWith(event.type, 'own.') and event.n == 1", targetUsers: ["me"] };
const seen = (prism: TestPrism) =>
  rowsOf<{ type: string; seq: number }>(
    prism,
    "select type, seq from events where processedAt is not null order by seq",
  );
async function decided(prism: TestPrism, count: number) {
  await eventually(`${count} events are decided`, () => seen(prism).length >= count);
  return seen(prism);
}

test("events of a transaction are stored with it, decided by rules once, and published in their order", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const published: number[] = [];
  prism.parts.offers.announcer.onEvents((events) => published.push(...events.map(({ seq }) => seq)));
  // Ingest and transactions take turns.
  const posts = Array.from({ length: 20 }, (_, i) => prism.post("/api/v1/events", { type: `posted.${i}` }));
  const appends = Array.from({ length: 20 }, (_, i) => append(prism, [`own.a${i}`, `own.b${i}`]));
  await Promise.all([...posts, ...appends]);
  const events = await decided(prism, 60);
  assert.deepEqual(published, valuesOf(events, "seq"));
  await eventually("all matches notify", () => rowsOf(prism, "select 1 from notifications").length >= 40);
  const matches = rowsOf<{ n: number }>(
    prism,
    "select count(*) as n from decisions where outcome = 'fired' group by eventSeq order by n desc",
  );
  assert.deepEqual([matches.length, matches[0]?.n], [40, 1]);
  const { body } = await prism.get<{ data: { source: string; payload: unknown; level: string }[] }>(
    "/api/v1/events?type=own.a0",
  );
  assert.deepEqual(rowsWith(body.data, "source", "payload", "level"), [["server", { n: 1 }, "warn"]]);
});

test("a transaction that is rolled back leaves no event, and the next ones are decided", async (t) => {
  const prism = await startPrism(t);
  const failing = append(prism, ["own.a"], () => {
    throw new Error("rolled back");
  });
  await assert.rejects(failing, /rolled back/);
  await append(prism, ["own.b"]);
  assert.deepEqual(valuesOf(await decided(prism, 1), "type"), ["own.b"]);
});

test("after kill -9 the next start decides the events of committed transactions", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", rule);
  await append(prism, ["own.a", "own.b"]);
  const killed = await startPrism(t, { dir: await crashImage(t, prism) });
  assert.deepEqual(valuesOf(await decided(killed, 2), "type"), ["own.a", "own.b"]);
  await eventually("each notifies", () => rowsOf(killed, "select 1 from notifications").length === 2);
});

test("an event waits for no more than two transactions, while many of them store events", async (t) => {
  const prism = await startPrism(t, { settings: { "store.writer": "thread" } });
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const projectId = prism.parts.offers.defaultProjectId;
  const count = 150;
  let begun = 0;
  const appends = Promise.all(
    Array.from({ length: count }, (_, i) =>
      append(prism, [`own.a${i}`], () => {
        begun++;
      }),
    ),
  );
  let most = 0;
  while (begun < count - 3) {
    const before = begun;
    await prism.parts.offers.ingest.ingest({
      projectId,
      type: "posted",
      level: "info",
      source: "test",
      payload: {},
    });
    most = Math.max(most, begun - before);
  }
  await appends;
  // One that has the writer, and one that is granted in the turn in which the event is answered.
  assert.ok(most <= 2, `it has waited for ${most}`);
});
