import assert from "node:assert/strict";
import test from "node:test";
import type { BacktestReply } from "../../../src/features/rules/backtest-schema.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { allDecided, backtest, makeRule, storeEvents } from "./support/backtests.ts";

function countsOf(result: BacktestReply | Record<string, unknown>) {
  const { matched, fired, suppressed, deduped, cooled } = result;
  const { counted, alertsOpened, alertsResolved } = result;
  return { matched, fired, suppressed, deduped, cooled, counted, alertsOpened, alertsResolved };
}

test("50 000 stored events are evaluated while ingest continues, with the result of the live engine", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const rule = { name: "r", condition: "event.n % 100 == 0", suppression: { count: 50, windowMs: 86_400_000 } };
  const ruleId = await makeRule(prism, rule);
  await storeEvents(prism, 50_000);
  await allDecided(prism);
  const { body: stats } = await prism.get(`/api/v1/rules/${ruleId}/stats`);
  const to = new Date(
    Math.max(...rowsOf<{ at: number }>(prism, "select max(receivedAt) as at from events").map(({ at }) => at)) + 1,
  );
  let isOver = false;
  const ingest = (async () => {
    let accepted = 0;
    while (!isOver) {
      await answered(202, prism.post("/events", { type: "a", payload: { n: -1 } }));
      accepted++;
    }
    return accepted;
  })();
  const result = await backtest(prism, { ruleId, to: to.toISOString() }).finally(() => {
    isOver = true;
  });
  assert.ok((await ingest) > 0);
  assert.equal(result.scanned, 50_000);
  assert.deepEqual(countsOf(result), countsOf(stats));
  assert.deepEqual([result.matched, result.fired, result.suppressed], [500, 50, 450]);
});
