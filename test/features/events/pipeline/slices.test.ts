import assert from "node:assert/strict";
import test from "node:test";
import { SLICE_ROWS } from "../../../../src/features/rules/deciding/incoming-event.ts";
import { MAX_DIRECT_RECIPIENTS } from "../../../../src/features/rules/deciding/rule-book.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { allDecided } from "./support/all-decided.ts";

const RULES = 900;

/** Rules that one event matches all of. */
async function makeRules(prism: TestPrism, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const rules = Array.from({ length: RULES }, (_, i) => ({
    name: `r${i}`,
    projectId: "default",
    condition: "exists(event.a)",
    targetUsers: ["me"],
    priority: i % 7,
    ...more,
  }));
  await prism.post("/api/v1/rules", { ...rules[0], name: "first", active: false });
  // One transaction stores a request, and must not take long.
  for (let at = 0; at < RULES; at += 100) {
    await answered(200, prism.post("/api/v1/rules/import", { rules: rules.slice(at, at + 100) }));
  }
}

/** How many notification rows each commit announces. */
function commitSizes(prism: TestPrism): number[] {
  const sizes: number[] = [];
  prism.parts.offers.announcer.onNotifications((told) => sizes.push(told.length));
  return sizes;
}

/** Each rule decided the event once, and the notifications came in the order of the rules. */
function assertDecidedOnce(prism: TestPrism, events: number): void {
  assert.deepEqual(
    [countOf(prism, "decisions"), countOf(prism, "notifications"), countOf(prism, "notification_recipients")],
    [events * RULES, events * RULES, events * RULES],
  );
  const order = rowsOf<{ seq: number; priority: number }>(
    prism,
    `select e.seq, n.priority from notification_recipients r join notifications n on n.id = r.notificationId
     join events e on e.id = n.eventId order by r.seq`,
  );
  const sorted = order.toSorted((a, b) => a.seq - b.seq || b.priority - a.priority);
  assert.deepEqual(order, sorted);
  assert.equal(scalarOf(prism, "select count(*) from rule_stats where matched <> ? or fired <> ?", events, events), 0);
}

test("one event that many rules match is decided in slices, in order, and none of its notifications is lost", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  const sizes = commitSizes(prism);
  for (let i = 0; i < 2; i++) assert.equal((await prism.post("/api/v1/events", { type: "x", a: 1 })).status, 202);
  await allDecided(prism);
  assertDecidedOnce(prism, 2);
  await eventually("all are announced", () => sizes.reduce((sum, size) => sum + size, 0) === 2 * RULES);
  assert.ok(Math.max(...sizes) <= SLICE_ROWS + MAX_DIRECT_RECIPIENTS, `commits of ${sizes.join(", ")} rows`);
  assert.match((await prism.get("/metrics")).text, /^prism_rule_slices_total [1-9]/m);
});

test("a large payload that every message repeats is decided in slices too", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism, { messageTemplate: "{{event.payload|json}}" });
  const sizes = commitSizes(prism);
  assert.equal((await prism.post("/api/v1/events", { type: "x", a: "y".repeat(250_000) })).status, 202);
  await allDecided(prism);
  assertDecidedOnce(prism, 1);
  assert.ok(Math.max(...sizes) <= SLICE_ROWS + MAX_DIRECT_RECIPIENTS, `commits of ${sizes.join(", ")} rows`);
});

test("after a crash between slices only the rules that remain are asked", async (t) => {
  const first = await startPrism(t, { settings: { "store.writer": "thread" } });
  await makeRules(first);
  await first.post("/api/v1/events", { type: "x", a: 1 });
  await first.post("/api/v1/events", { type: "x", a: 2 });
  const image = await crashImage(t, first);
  const prism = await startPrism(t, { dir: image });
  await allDecided(prism);
  assertDecidedOnce(prism, 2);
});

test("a stop between slices loses and repeats nothing", async (t) => {
  const prism = await startPrism(t);
  await makeRules(prism);
  await prism.post("/api/v1/events", { type: "x", a: 1 });
  for (let n = 0; n < 2; n++) await prism.restart();
  await allDecided(prism);
  assertDecidedOnce(prism, 1);
});

test("explain says of an event in slices which rules still wait", async (t) => {
  const prism = await startPrism(t, { settings: { "store.writer": "thread" } });
  await makeRules(prism);
  const { body } = await prism.post<{ id: string; seq: number }>("/api/v1/events", { type: "x", a: 1 });
  // The rest of the rules waits while a transaction has the writer.
  const held = await prism.services.db.write(async () => {
    const decided = scalarOf<number>(prism, "select count(*) from decisions where eventSeq = ?", body.seq);
    const reply = await prism.get<{ event: { state: string }; answer: string }>(`/api/v1/explain/event/${body.id}`);
    return { decided, reply };
  });
  assert.ok((held.decided ?? 0) > 0);
  if (held.decided !== RULES) {
    assert.equal(held.reply.body.event.state, "waiting");
    assert.match(held.reply.body.answer, /evaluated in slices, and some still wait/);
  }
  await allDecided(prism);
});

test("an event that is decided again is decided in slices as well", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", {
    name: "spoilt",
    projectId: "default",
    condition: "exists(event.a)",
    targetUsers: ["me"],
    priority: 100,
  });
  const [row] = rowsOf<Parameters<typeof prism.parts.offers.rules.put>[0]>(prism, "select * from rules");
  assert.ok(row);
  prism.parts.offers.rules.put({ ...row, targetRoles: "not JSON" });
  await prism.post("/api/v1/events", { type: "x", a: 1 });
  await eventually("it is poison", () => countOf(prism, "event_failures") === 1);
  // All rules are there before the retry can succeed.
  await makeRules(prism);
  const sizes = commitSizes(prism);
  await prism.delete(`/api/v1/rules/${row.id}`);
  await eventually(
    "the retry has decided it",
    () => scalarOf(prism, "select count(*) from event_failures where resolvedAt is null") === 0,
    20_000,
  );
  assertDecidedOnce(prism, 1);
  assert.ok(Math.max(...sizes) <= SLICE_ROWS + MAX_DIRECT_RECIPIENTS, `commits of ${sizes.join(", ")} rows`);
});
