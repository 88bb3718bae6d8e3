import assert from "node:assert/strict";
import test from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";

const RULES = 15;
/** In the main thread a write set is written before a test could see the backlog. */
const IN_THREAD = { settings: { "store.writer": "thread" } };

/** Enough rules that a seal of a few hundred events uses up its rows long before its end. */
async function makeRules(prism: TestPrism): Promise<void> {
  for (let i = 0; i < RULES; i++) {
    const rule = { name: `r${i}`, condition: "event.storm == true", targetUsers: ["me"], priority: RULES - i };
    assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  }
}

const storm = (count: number) => Array.from({ length: count }, (_, i) => ({ type: "s", payload: { storm: true, i } }));
const undecided = (prism: TestPrism) =>
  scalarOf<number>(prism, "select count(*) from events where processedAt is null");

/**
 * Every event met every rule once, and the notifications came in the order of events and of rules.
 */
function assertDecidedInOrder(prism: TestPrism): void {
  const events = scalarOf<number>(prism, "select count(*) from events where type = 's'") ?? 0;
  assert.deepEqual(
    [countOf(prism, "decisions"), countOf(prism, "notifications"), countOf(prism, "notification_recipients")],
    [events * RULES, events * RULES, events * RULES],
  );
  const told = rowsOf<{ seq: number; priority: number }>(
    prism,
    `select e.seq, n.priority from notification_recipients r join notifications n on n.id = r.notificationId
     join events e on e.id = n.eventId order by r.seq`,
  );
  const inOrder = told.toSorted((a, b) => a.seq - b.seq || b.priority - a.priority);
  assert.deepEqual(told, inOrder);
  const totals = rowsOf<{ matched: number; fired: number }>(prism, "select matched, fired from rule_stats");
  assert.deepEqual(totals, Array(RULES).fill({ matched: events, fired: events }));
}

test("when a seal has used its budget the rest is stored undecided and decided in order, each event once", async (t) => {
  const prism = await startPrism(t, IN_THREAD);
  await makeRules(prism);
  const replies = await Promise.all([
    prism.post("/api/v1/events", storm(1000)),
    prism.post("/api/v1/events", storm(700)),
    ...Array.from({ length: 50 }, () => prism.post("/api/v1/events", { type: "s", storm: true })),
  ]);
  assert.ok(replies.every(({ status }) => status === 202));
  assert.ok(Number(undecided(prism)) > 0, "ingest did not wait for the storm");
  await eventually("all are decided", () => undecided(prism) === 0);
  assertDecidedInOrder(prism);
});

test("while the rest waits, new events queue after it; afterwards they are decided with their commit again", async (t) => {
  const prism = await startPrism(t, IN_THREAD);
  const { backlog } = prism.parts.offers;
  await makeRules(prism);
  await prism.post("/api/v1/events", storm(1000));
  assert.equal(backlog.isBehind, true);
  assert.ok(backlog.lag() > 0);
  const late = await prism.post<{ seq: number }>("/api/v1/events", { type: "s", storm: true });
  const older = "select count(*) from events where processedAt is null and seq < ?";
  await eventually("the late one is decided", () =>
    scalarOf(prism, "select processedAt from events where seq = ?", late.body.seq),
  );
  assert.equal(scalarOf(prism, older, late.body.seq), 0);
  await eventually("nothing waits", () => !backlog.isBehind);
  assert.equal(backlog.lag(), 0);
  const next = await prism.post<{ seq: number }>("/api/v1/events", { type: "s", storm: true });
  assert.notEqual(scalarOf(prism, "select processedAt from events where seq = ?", next.body.seq), null);
  assertDecidedInOrder(prism);
});

test("the backlog ends although large requests keep coming", async (t) => {
  const prism = await startPrism(t, IN_THREAD);
  const { backlog } = prism.parts.offers;
  await makeRules(prism);
  await prism.post("/api/v1/events", storm(1000));
  assert.equal(backlog.isBehind, true);
  let isOver = false;
  const calm = Array.from({ length: 1000 }, (_, i) => ({ type: "calm", payload: { i } }));
  const producers = Array.from({ length: 3 }, async () => {
    while (!isOver) assert.equal((await prism.post("/api/v1/events?results=errors", calm)).status, 202);
  });
  await eventually("it has ended, with producers at work", () => !backlog.isBehind, 60_000);
  isOver = true;
  await Promise.all(producers);
  await eventually("all are decided", () => undecided(prism) === 0);
  assertDecidedInOrder(prism);
});

test("S2-29: what waits to be decided is decided after a crash, once and in order", async (t) => {
  keepsPromise(t, "S2-29");
  const first = await startPrism(t);
  await makeRules(first);
  await first.post("/api/v1/events", storm(2000));
  const image = await crashImage(t, first);
  const prism = await startPrism(t, { dir: image });
  assert.equal(scalarOf(prism, "select count(*) from events"), 2000, "every acknowledged event is there");
  await answered(202, prism.post("/api/v1/events", storm(20)));
  await eventually("all are decided", () => undecided(prism) === 0);
  assertDecidedInOrder(prism);
});

test("what waits to be decided is decided after a stop in the middle, once and in order", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  await prism.post("/api/v1/events", storm(2000));
  for (let n = 0; n < 3; n++) await prism.restart();
  await eventually("all are decided", () => undecided(prism) === 0);
  assertDecidedInOrder(prism);
});

test("events that were deleted while they waited are not decided", async (t) => {
  const prism = await startPrism(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  await makeRules(prism);
  await prism.post(
    "/api/v1/events",
    storm(1000).map((event) => ({ ...event, projectId: "shop" })),
  );
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}/events`)).status, 200);
  await eventually("nothing waits", () => !prism.parts.offers.backlog.isBehind);
  assert.deepEqual(
    [countOf(prism, "events"), countOf(prism, "decisions"), countOf(prism, "event_failures")],
    [0, 0, 0],
  );
});

test("a rule that changes while events wait decides those that are decided afterwards", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  await prism.post("/api/v1/events", storm(1500));
  const [first] = rowsOf<{ id: string }>(prism, "select id from rules where name = 'r0'");
  await prism.delete(`/api/v1/rules/${first?.id}`);
  const last = await prism.post<{ seq: number }>("/api/v1/events", { type: "s", storm: true });
  await eventually("all are decided", () => undecided(prism) === 0);
  const of = (seq: number) => scalarOf(prism, "select count(*) from decisions where eventSeq = ?", seq);
  assert.deepEqual([of(1), of(last.body.seq)], [RULES, RULES - 1]);
  const changes = rowsOf<{ n: number }>(
    prism,
    "select count(*) as n from decisions group by eventSeq order by eventSeq",
  );
  const counts = changes.map(({ n }) => n);
  const sorted = counts.toSorted((a, b) => b - a);
  assert.deepEqual(counts, sorted, "before it by all rules, behind it by all but one");
});
