import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import fc from "fast-check";
import type { BacktestReply } from "../../../../src/features/rules/backtest-schema.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { allDecided, backtest, makeRule } from "./backtests.ts";

const host = "{{event.host}}";

const RESTRAINTS = [
  { name: "nothing" },
  { name: "suppression", suppression: { count: 3, windowMs: 60_000 } },
  { name: "suppression by host", suppression: { count: 2, windowMs: 10_000, mode: "batch", key: host } },
  { name: "dedupe", dedupe: { key: host, windowMs: 30_000 } },
  { name: "cooldown", cooldownMs: 20_000 },
  {
    name: "all of it",
    suppression: { count: 4, windowMs: 40_000, key: host },
    dedupe: { key: "{{event.n}}", windowMs: 5000 },
    cooldownMs: 7000,
  },
  { name: "threshold by host", threshold: { count: 3, windowMs: 10_000, key: host } },
  { name: "threshold with a cooldown", threshold: { count: 5, windowMs: 30_000 }, cooldownMs: 20_000 },
  { name: "alert by host", alert: { key: host, resolve: "event.n == 0" } },
  {
    name: "threshold, alert and dedupe",
    threshold: { count: 2, windowMs: 20_000, key: host },
    alert: { key: host, resolve: "event.n == 0" },
    dedupe: { key: host, windowMs: 30_000 },
  },
] as const;

const EVENTS = fc.array(
  fc.record({
    payload: fc.record({ n: fc.integer({ min: 0, max: 4 }), host: fc.constantFrom("a", "b", "c") }),
    // Also backwards: the clock may be set.
    stepMs: fc.constantFrom(0, 0, 1, 500, 3000, 11_000, -2000),
  }),
  process.env["TEST_ALL_RUNS"] ? { minLength: 200, maxLength: 250 } : { minLength: 100, maxLength: 125 },
);

async function play(prism: TestPrism, clock: FakeClock, events: readonly { payload: object; stepMs: number }[]) {
  for (const { payload, stepMs } of events) {
    if (stepMs < 0) clock.set(stepMs);
    else clock.advance(stepMs);
    await answered(202, prism.post("/events", { type: "a", payload }));
  }
  await allDecided(prism);
}

function firedOf(prism: TestPrism, ruleId: string): Set<number> {
  const rows = rowsOf<{ eventSeq: number }>(
    prism,
    "select eventSeq from decisions where ruleId = ? and outcome = 'fired' and eventSeq not in (select eventSeq from event_failures)",
    ruleId,
  );
  return new Set(rows.map(({ eventSeq }) => eventSeq));
}

function countsOf(result: BacktestReply | Record<string, unknown>) {
  const { matched, fired, suppressed, deduped, cooled } = result;
  const { counted, alertsOpened, alertsResolved } = result;
  return { matched, fired, suppressed, deduped, cooled, counted, alertsOpened, alertsResolved };
}

const RUNS = process.env["TEST_ALL_RUNS"] ? 2 : 1;

/** A backtest comes to what the live engine decided on the same events. */
export async function liveEquals(t: TestContext, settings: Record<string, string>, defaultCount: number | null) {
  for (const [run, events] of fc.sample(EVENTS, { numRuns: RUNS, seed: 11 + (defaultCount ?? 0) }).entries())
    await t.test(`run ${run} of ${events.length} events`, async (t) => {
      const clock = new FakeClock();
      const prism = await startPrism(t, { clock, settings });
      const ids = new Map<string, string>();
      for (const rule of RESTRAINTS) ids.set(rule.name, await makeRule(prism, { ...rule, condition: "event.n > 0" }));
      await play(prism, clock, events);
      await eventually(
        "the alerts have taken their signals",
        () => scalarOf<number>(prism, "select count(*) from alert_signals") === 0,
      );
      await allDecided(prism);
      // With the events of alerts and incidents, of which more may follow.
      const stored = scalarOf<number>(prism, "select count(*) from events") ?? 0;
      assert.ok(stored > events.length);
      for (const [name, ruleId] of ids) {
        const { body: stats } = await prism.get(`/api/v1/rules/${ruleId}/stats`);
        const result = await backtest(prism, { ruleId, samples: 20 });
        assert.deepEqual(countsOf(result), countsOf(stats), name);
        assert.ok(result.scanned >= stored);
        assert.deepEqual([result.errors, result.diff], [0, { added: 0, removed: 0 }]);
        const fired = firedOf(prism, ruleId);
        assert.deepEqual(valuesOf(result.samples, "seq"), [...fired].sort((a, b) => a - b).slice(0, 20), name);
      }
      const plain = ids.get("nothing") ?? "";
      for (const { name, ...restraint } of RESTRAINTS) {
        const { diff } = await backtest(prism, { ruleId: plain, ...restraint });
        const [before, after] = [firedOf(prism, plain), firedOf(prism, ids.get(name) ?? "")];
        const added = [...after].filter((seq) => !before.has(seq)).length;
        const removed = [...before].filter((seq) => !after.has(seq)).length;
        assert.deepEqual(diff, { added, removed }, `against "${name}"`);
      }
    });
}
