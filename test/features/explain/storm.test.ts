import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { ExplainView } from "../../../src/features/explain/schema.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { scalarOf } from "../../helpers/tables.ts";

const RULES = [
  { name: "storm", condition: "event.n >= 0", suppression: { count: 3, windowMs: 60_000 } },
  {
    name: "by host",
    condition: "event.host != 'c'",
    suppression: { count: 2, windowMs: 10_000, key: "{{event.host}}" },
  },
  { name: "joins", condition: "event.n > 1", dedupe: { key: "{{event.host}}", windowMs: 30_000 } },
  { name: "cools", condition: "event.n > 2", dedupe: { key: "{{event.host}}", windowMs: 5000 }, cooldownMs: 20_000 },
  { name: "nobody", condition: "event.n == 4", targetUsers: [], targetRoles: ["Auditor"] },
] as const;

const STATS = {
  fired: "fired",
  suppressed: "suppressed",
  deduped: "deduped",
  cooled: "cooled",
  noRecipients: "no recipients",
} as const;

/** The same events in every run. */
const EVENTS = fc.sample(
  fc.record({
    payload: fc.record({ n: fc.integer({ min: 0, max: 4 }), host: fc.constantFrom("a", "b", "c") }),
    gapMs: fc.constantFrom(0, 0, 10, 1000, 8000),
  }),
  { numRuns: 300, seed: 5 },
);

async function explain(prism: TestPrism, path: string): Promise<ExplainView> {
  const { body } = await answered(200, prism.get<ExplainView>(`/api/v1/explain/${path}`));
  return body;
}

test("S2-129 S2-115 explain accounts for every event of a storm: outcomes summed are the rules' totals", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const ruleIds = new Map<string, string>();
  for (const rule of RULES) {
    const made = await answered(201, prism.post<{ id: string }>("/api/v1/rules", { targetUsers: ["me"], ...rule }));
    ruleIds.set(rule.name, made.body.id);
  }
  const ids: string[] = [];
  for (const { payload, gapMs } of EVENTS) {
    clock.advance(gapMs);
    const { body } = await answered(202, prism.post<{ id: string }>("/events", { type: "a", payload }));
    ids.push(body.id);
  }
  await eventually(
    "all are decided",
    () => scalarOf<number>(prism, "select count(*) from events where processedAt is null") === 0,
  );
  const sums = new Map<string, Record<string, number>>();
  for (const id of ids) {
    const { rules, event } = await explain(prism, `event/${id}`);
    assert.deepEqual([event?.state, rules.length], ["decided", RULES.length]);
    for (const rule of rules) {
      const sum = sums.get(rule.ruleId) ?? {};
      sum[rule.outcome] = (sum[rule.outcome] ?? 0) + 1;
      sums.set(rule.ruleId, sum);
      assert.equal(rule.trace?.matched, rule.outcome !== "condition false", `${rule.name}: ${rule.outcome}`);
      if (rule.outcome === "deduped" || rule.outcome === "cooled") assert.ok(rule.earlier, rule.outcome);
      if (rule.outcome !== "suppressed") continue;
      assert.ok(rule.suppression?.storm, "the storm that held it back is known");
      const { matchesInWindow, limit } = rule.suppression;
      if (matchesInWindow !== null) assert.ok(matchesInWindow > limit, `${matchesInWindow} of ${limit}`);
    }
  }
  for (const [name, ruleId] of ruleIds) {
    const { body: stats } = await prism.get<Record<string, number>>(`/api/v1/rules/${ruleId}/stats`);
    const sum = sums.get(ruleId) ?? {};
    for (const [member, outcome] of Object.entries(STATS))
      assert.equal(sum[outcome] ?? 0, stats[member], `${name}: ${outcome}`);
    const matched = ids.length - (sum["condition false"] ?? 0);
    assert.equal(matched, stats["matched"], `${name}: matched`);
  }
  const outcomes = new Set([...sums.values()].flatMap((sum) => Object.keys(sum)));
  for (const outcome of ["fired", "suppressed", "deduped", "cooled", "no recipients"])
    assert.ok(outcomes.has(outcome), `the events made ${outcome}`);
});

test("a notice of a storm has its suppressed matches, and a user who was not notified finds it in explain", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const anna = await makeUser(prism, "anna");
  await prism.post("/api/v1/rules", { targetUsers: ["anna"], ...RULES[0] });
  const ids: string[] = [];
  for (let n = 0; n < 5; n++)
    ids.push((await prism.post<{ id: string }>("/events", { type: "a", payload: { n } })).body.id);
  const noticeId = await eventually("the notice is there", () =>
    scalarOf<string>(prism, "select noticeId from suppressed_batches where noticeId is not null"),
  );
  const notice = await explain(prism, `notification/${noticeId}`);
  assert.equal(notice.notifications[0]?.storm?.heldBack, 2);
  assert.match(notice.answer, /^It reports 2 suppressed matches, and went to 1 person/);
  const { user, answer } = await explain(prism, `event/${ids.at(-1)}?userId=${anna.id}`);
  assert.equal(user?.told, false);
  assert.match(
    answer,
    new RegExp(`^anna was not notified \\(storm: suppressed: more than 3 .*; the notice ${noticeId} says so`),
  );
});
