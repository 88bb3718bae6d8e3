import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { allDecided } from "./support/all-decided.ts";

const TEXT = "B".repeat(16_384);
/** 60 copies of the text, a step for each of its units: just below what one evaluation may do. */
const COSTLY = Array.from({ length: 60 }, (_, i) => `lower(event.a) != 'x${i}'`).join(" and ");
const STEPS = 60 * TEXT.length;
const LIMIT = 5_000_000;
const SETTINGS = { "limits.ruleStepsPerMinute": `${LIMIT}` };
const RULE = { targetUsers: ["me"], dedupe: null, suppression: null };

async function makeCostly(prism: TestPrism, projectId: string | null, count: number): Promise<void> {
  const rules = Array.from({ length: count }, (_, i) => ({ ...RULE, projectId, name: `r${i}`, condition: COSTLY }));
  await answered(200, prism.post("/api/v1/rules/import", { rules }));
}

const brokenIds = (prism: TestPrism): string[] =>
  rowsOf<{ id: string }>(prism, "select id from rules where tooCostlyVersion = version").map(({ id }) => id);

async function sendAndDecide(prism: TestPrism, events: readonly object[]): Promise<void> {
  const { status, text } = await prism.post("/api/v1/events", events);
  assert.ok(status < 300, text);
  await allDecided(prism);
}

test("a project whose rules take more than their share loses the costliest, one after another; other projects are not affected", async (t) => {
  const lines = new LogLines();
  const prism = await startPrism(t, { settings: SETTINGS, log: lines, clock: new FakeClock() });
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  await makeCostly(prism, shop.id, 12);
  const { body: good } = await prism.post<{ id: string }>("/api/v1/rules", {
    ...{ ...RULE, projectId: "default", name: "good", condition: "event.type == 'alarm'" },
  });
  const hostile = { type: "x", a: TEXT, projectId: shop.id };
  await sendAndDecide(prism, [hostile, { type: "alarm", projectId: "default" }]);
  assert.equal(scalarOf(prism, "select count(*) from decisions where ruleId = ?", good.id), 1);
  assert.equal(countOf(prism, "decisions"), 13, "rules that are broken later were asked once");
  // Stored by a transaction of its own, after the decision.
  await eventually("the first breaks are stored", () => brokenIds(prism).length >= 12 - LIMIT / STEPS);
  const first = brokenIds(prism).length;
  assert.ok(first >= 12 - LIMIT / STEPS && first < 12, `${first} are broken after one event`);

  for (let i = 0; i < 6; i++) await sendAndDecide(prism, [hostile]);
  await sendAndDecide(prism, [{ type: "alarm", projectId: "default" }]);
  assert.equal(scalarOf(prism, "select count(*) from decisions where ruleId = ?", good.id), 2);
  // Each is logged when it is decided, and stored by a transaction of its own.
  const logged = (): number => lines.lines.filter(({ message }) => message.startsWith("skipping a broken rule")).length;
  await eventually("every break is stored, and in the audit trail", () => {
    const audited = scalarOf(prism, "select count(*) from audit_log where action = 'rule.break'");
    return audited === logged() && audited === brokenIds(prism).length && audited > first;
  });
  const broken = brokenIds(prism);
  assert.ok(!broken.includes(good.id));
  assert.equal(logged(), broken.length);
  const kept = rowsOf<{ ruleId: string }>(prism, "select ruleId from decisions").filter(
    ({ ruleId }) => ruleId !== good.id && !broken.includes(ruleId),
  );
  assert.ok(kept.length * STEPS <= LIMIT, `rules that are left took ${kept.length} evaluations`);

  const path = `/api/v1/rules/${broken[0]}`;
  const { body } = await prism.get<{ broken: { code: string; message: string } }>(path);
  assert.equal(body.broken.code, "TOO_COSTLY");
  assert.match(body.broken.message, /limits\.ruleStepsPerMinute/);
  const edited = await prism.patch<{ broken: null }>(path, { condition: "event.type == 'y'" });
  assert.equal(edited.body.broken, null);
});

test("the share is that of a minute and of a project; rules for all projects have one of their own", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { settings: SETTINGS, clock });
  await makeCostly(prism, "default", 3);
  await makeCostly(prism, null, 3);
  for (let i = 0; i < 4; i++) {
    await sendAndDecide(prism, [{ type: "x", a: TEXT }]);
    clock.advance(60_000);
  }
  assert.equal(countOf(prism, "decisions"), 24);
  assert.deepEqual(brokenIds(prism), []);
});

test("conditions on usual events are not counted, however many events there are", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.ruleStepsPerMinute": "1000000" }, clock: new FakeClock() });
  const conditions = [
    "event.type == 'payment' && event.amount > 1000 && event.payload.status != 'failed'",
    "contains(lower(event.message), 'absent') or startsWith(event.message, 'fatal')",
    "matches(event.message, '^(GET|PUT) /api/v[0-9]+/[a-z]+') and event.level in ['error', 'warn']",
    "dec(event.amount) * dec('1.19') > dec('2000') and contains(lower(event.message), 'absent')",
  ];
  const rules = Array.from({ length: 20 }, (_, i) => {
    return { ...RULE, projectId: "default", name: `r${i}`, condition: conditions[i % conditions.length] };
  });
  await answered(200, prism.post("/api/v1/rules/import", { rules }));
  const message = `POST /api/v1/orders timeout ${"x".repeat(2000)}`;
  const event = { type: "payment", level: "error", amount: "1001", payload: { status: "failed" }, message };
  // 20 rules that read 2000 units each would be over the limit after 50 events.
  await sendAndDecide(
    prism,
    Array.from({ length: 500 }, () => event),
  );
  assert.deepEqual(brokenIds(prism), []);
  assert.equal(scalarOf(prism, "select count(*) from rule_stats where errors > 0"), 0);
});
