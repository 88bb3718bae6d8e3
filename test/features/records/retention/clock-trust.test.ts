import assert from "node:assert/strict";
import test from "node:test";
import { DAY_MS } from "../../../../src/core/time/clock.ts";
import { type ClockFacts, judgeClock } from "../../../../src/features/records/retention/clock-trust.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";

const HOUR_MS = 3_600_000;

/** Runs the retention job as its schedule does. @returns its result */
async function retention(prism: TestPrism): Promise<Record<string, unknown>> {
  const before = rowsOf(prism, "select 1 from jobs where kind = 'retention.sweep' and state = 'succeeded'").length;
  await prism.parts.offers.retention.begin();
  const done = await eventually("the sweep", () => {
    const rows = rowsOf<{ result: string }>(
      prism,
      "select result from jobs where kind = 'retention.sweep' and state = 'succeeded' order by seq",
    );
    return rows.length > before ? rows.at(-1) : undefined;
  });
  return JSON.parse(done.result) as Record<string, unknown>;
}

for (const { name, settings } of [
  { name: "a day on the same clock", settings: {} },
  { name: "the operator", settings: { "retention.trustClock": "true" } },
])
  test(`events outlive a start with the clock 45 days ahead, until ${name} confirms it`, async (t) => {
    const clock = new FakeClock();
    const first = await startPrism(t, { clock });
    for (let n = 0; n < 3; n++) assert.equal((await first.post("/api/v1/events", { type: "a" })).status, 202);
    await first.stop();
    clock.advance(45 * DAY_MS);
    const wrong = await startPrism(t, { clock, dir: first.dir });
    const { waits } = await retention(wrong);
    assert.match(String(waits), /jumped 45 days ahead .* retention removes nothing/);
    assert.equal(countOf(wrong, "events"), 3);
    const { body } = await wrong.get<{ warnings: string[] }>("/api/v1/status");
    assert.ok(body.warnings.some((text) => /jumped 45 days/.test(text)));
    await wrong.stop();
    // A new start, with rows of the wrong time in the database, is as careful.
    clock.advance(HOUR_MS);
    const again = await startPrism(t, { clock, dir: first.dir, settings });
    if (settings["retention.trustClock"] === undefined) {
      assert.ok("waits" in (await retention(again)));
      clock.advance(DAY_MS);
    }
    assert.equal((await retention(again))["events"], 3);
    assert.equal(countOf(again, "events"), 0);
  });

test("a clock is trusted while it advances, not after it jumps ahead, and again after a day", () => {
  let facts: ClockFacts = { trustedAt: null, doubtedAt: null };
  const at = (days: number): boolean => {
    facts = judgeClock(facts, days * DAY_MS);
    return facts.doubtedAt === null;
  };
  for (const [days, isBelieved, why] of [
    [100, true, "nothing is known"],
    [106, true, "off for a week"],
    [90, true, "set back"],
    [150, false, "60 days ahead"],
    [150.5, false, "half a day later"],
    [90.5, true, "set right"],
    [150, false, "ahead once more"],
    [151, true, "a day later"],
    [400, false, "a new jump"],
    [800, false, "a jump while in doubt is no day that passed"],
    [801, true, "a day later"],
  ] as const)
    assert.equal(at(days), isBelieved, `${days}: ${why}`);
});
