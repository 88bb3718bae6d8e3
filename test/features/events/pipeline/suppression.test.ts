import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { RuleStats as Stats } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { openBeside } from "../../../helpers/store.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { allDecided } from "./support/all-decided.ts";

async function withRule(t: TestContext, rule: Record<string, unknown>, settings: Record<string, string> = {}) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings });
  const made = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "storm",
    condition: "event.type == 'a'",
    targetUsers: ["me"],
    ...rule,
  });
  assert.equal(made.status, 201, made.text);
  return { prism, clock, ruleId: made.body.id };
}

async function send(prism: TestPrism, count: number, payload: Record<string, unknown> = {}): Promise<void> {
  const events = Array.from({ length: count }, (_, n) => ({ type: "a", payload: { n, ...payload } }));
  for (let at = 0; at < count; at += 1000) {
    await answered(202, prism.post("/events", events.slice(at, at + 1000)));
  }
  await allDecided(prism);
}

async function statsOf(prism: TestPrism, ruleId: string): Promise<Stats> {
  return (await prism.get<Stats>(`/api/v1/rules/${ruleId}/stats`)).body;
}

async function countsOf(prism: TestPrism, ruleId: string) {
  const { fired, deduped, suppressed } = await statsOf(prism, ruleId);
  return { fired, deduped, suppressed };
}

async function inbox(prism: TestPrism) {
  const { body } = await prism.get<{
    data: { title: string; message: string; kind: string; aggregateCount: number }[];
  }>("/api/v1/notifications?limit=100");
  return body.data;
}

test("S2-129: a storm of 10 000 gives count notices, one that is kept up to date, and a summary", async (t) => {
  const { prism, clock, ruleId } = await withRule(t, { suppression: { count: 3, windowMs: 60_000 } });
  await send(prism, 10_000);
  await eventually("all are decided", async () => (await statsOf(prism, ruleId)).matched === 10_000);
  const stats = await statsOf(prism, ruleId);
  assert.deepEqual([stats.fired, stats.suppressed], [3, 9997]);
  await eventually("the notice is there", async () => (await inbox(prism)).some(({ kind }) => kind === "aggregate"));
  clock.advance(5000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("it says how many", async () =>
    (await inbox(prism)).some(({ title }) => title === "storm: 9997 suppressed"),
  );
  clock.advance(61_000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("it is over", async () =>
    (await inbox(prism)).some(({ title }) => title === "storm: storm over, 9997 suppressed"),
  );
  assert.equal((await inbox(prism)).length, 5);
  await send(prism, 1);
  await eventually("the rule tells again", async () => (await inbox(prism)).length === 6);
});

test("under the defaults a storm of 10 000 gives 22 notices: twenty, one that is kept up to date, and a summary", async (t) => {
  const { prism, clock, ruleId } = await withRule(t, {}, { "suppression.enforceDefault": "true" });
  await send(prism, 10_000);
  await eventually("all are decided", async () => (await statsOf(prism, ruleId)).matched === 10_000);
  await eventually("the notice is there", async () => (await inbox(prism)).some(({ kind }) => kind === "aggregate"));
  clock.advance(70_000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("it is over", async () =>
    (await inbox(prism)).some(({ title }) => title === "storm: storm over, 9980 suppressed"),
  );
  assert.equal((await inbox(prism)).length, 22);
  const stored = await prism.parts.base.database.scan
    .selectFrom("events")
    .select((e) => e.fn.countAll<number>().as("n"))
    .executeTakeFirst();
  assert.equal(stored?.n, 10_000, "all events are stored");
});

test("under the defaults repeats that dedupe joins use up nothing, and a storm of one key hides no other", async (t) => {
  const byHost = { titleTemplate: "{{event.host}} down", dedupe: { key: "{{event.host}}", windowMs: 600_000 } };
  const { prism, clock, ruleId } = await withRule(t, byHost, { "suppression.enforceDefault": "true" });
  await send(prism, 25, { host: "A" });
  await send(prism, 1, { host: "B" });
  const seen = (await inbox(prism)).map(({ title, aggregateCount }) => [title, aggregateCount]);
  assert.deepEqual(seen, [
    ["B down", 1],
    ["A down", 25],
  ]);
  assert.deepEqual(await countsOf(prism, ruleId), { fired: 2, deduped: 24, suppressed: 0 });

  await prism.put(`/api/v1/rules/${ruleId}`, { dedupe: { key: "{{event.host}}", windowMs: 1000 } });
  for (let i = 0; i < 25; i++) {
    clock.advance(1000);
    await send(prism, 1, { host: "A" });
  }
  await send(prism, 1, { host: "C" });
  const titles = (await inbox(prism)).map(({ title }) => title);
  assert.ok(titles.includes("C down"), titles.join());
  await eventually("the storm of A is told with its key", async () =>
    (await inbox(prism)).some(({ title }) => /^storm: \d+ suppressed \(A\)$/.test(title)),
  );
});

test("a rule's own suppression without a key counts every match, and its notice lists the dedupe keys it holds back", async (t) => {
  const { prism, clock, ruleId } = await withRule(t, {
    suppression: { count: 3, windowMs: 60_000 },
    dedupe: { key: "{{event.host}}", windowMs: 600_000 },
  });
  await send(prism, 3, { host: "A" });
  for (let i = 0; i < 25; i++) await send(prism, 2, { host: `h${String(i).padStart(2, "0")}` });
  assert.deepEqual(await countsOf(prism, ruleId), { fired: 1, deduped: 2, suppressed: 50 });
  clock.advance(5000);
  prism.parts.offers.runner.enqueued([]);
  const listed = /Keys: h00, h01, .*, h19 and 5 more\.$/;
  await eventually("the notice lists them", async () =>
    (await inbox(prism)).some(({ message }) => listed.test(message)),
  );
  await prism.restart();
  clock.advance(61_000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("so does the summary", async () =>
    (await inbox(prism)).some(
      ({ title, message }) => title === "storm: storm over, 50 suppressed" && listed.test(message),
    ),
  );
});

test("suppressed matches are kept over a restart", async (t) => {
  const { prism, ruleId } = await withRule(t, { suppression: { count: 2, windowMs: 60_000 } });
  await send(prism, 5);
  await eventually("all are decided", async () => (await statsOf(prism, ruleId)).matched === 5);
  await prism.restart();
  await send(prism, 5);
  await eventually("all are decided", async () => (await statsOf(prism, ruleId)).matched === 10);
  const stats = await statsOf(prism, ruleId);
  assert.deepEqual([stats.fired, stats.suppressed], [2, 8]);
});

test("a clock that was set back far resets the window, and a restart keeps the new one", async (t) => {
  const { prism, clock, ruleId } = await withRule(t, { suppression: { count: 3, windowMs: 60_000 } });
  // A token would run out as the clock jumps.
  const made = await prism.post<{ key: string }>("/api/v1/projects/default/keys", { name: "producer" });
  const matches = async (count: number, sum: Pick<Stats, "fired" | "suppressed">) => {
    const events = Array.from({ length: count }, () => ({ type: "a" }));
    await answered(202, prism.post("/events", events, { apiKey: made.body.key }));
    const stats = () =>
      prism.parts.base.database.read
        .selectFrom("rule_stats")
        .select(["fired", "suppressed"])
        .where("ruleId", "=", ruleId)
        .executeTakeFirst();
    const want = sum.fired + sum.suppressed;
    await eventually("all are decided", async () => {
      const now = await stats();
      return now !== undefined && now.fired + now.suppressed === want;
    });
    assert.deepEqual({ ...(await stats()) }, sum);
  };
  await matches(2, { fired: 2, suppressed: 0 });
  clock.set(3_600_000);
  await matches(1, { fired: 3, suppressed: 0 });
  clock.set(-3_600_000);
  await matches(1, { fired: 4, suppressed: 0 });
  await prism.restart();
  await matches(3, { fired: 6, suppressed: 1 });
});

test("a dedupe key joins events to the earlier notification; a cooldown keeps the rule silent", async (t) => {
  const { prism, clock, ruleId } = await withRule(t, {
    dedupe: { key: "{{event.host}}", windowMs: 60_000 },
    cooldownMs: 90_000,
  });
  await send(prism, 3, { host: "a" });
  await send(prism, 2, { host: "b" });
  clock.advance(70_000);
  await send(prism, 1, { host: "a" });
  clock.advance(30_000);
  await send(prism, 1, { host: "a" });
  await eventually("all are decided", async () => (await statsOf(prism, ruleId)).matched === 7);
  const stats = await statsOf(prism, ruleId);
  assert.deepEqual([stats.fired, stats.deduped, stats.cooled, stats.suppressed], [3, 3, 1, 0]);
  const counts = (await inbox(prism)).map(({ aggregateCount }) => aggregateCount);
  assert.deepEqual(counts.sort(), [1, 2, 3]);
});

test("an old event that is reprocessed ends neither a storm nor a cooldown, and a restart changes nothing", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { body: early } = await prism.post<{ results: { id: string }[] }>("/events", [{ type: "a" }, { type: "a" }]);
  clock.advance(600_000);
  const rule = { condition: "event.type == 'a'", targetUsers: ["me"] };
  const windows = { suppression: { count: 2, windowMs: 60_000 } };
  const { body: storm } = await prism.post<{ id: string }>("/api/v1/rules", { ...rule, name: "storm", ...windows });
  const { body: calm } = await prism.post<{ id: string }>("/api/v1/rules", {
    ...rule,
    name: "calm",
    cooldownMs: 60_000,
  });
  const outcomes = async () => {
    const [held, cooled] = [await statsOf(prism, storm.id), await statsOf(prism, calm.id)];
    return { fired: held.fired, suppressed: held.suppressed, told: cooled.fired, cooled: cooled.cooled };
  };
  const becomes = async (what: Awaited<ReturnType<typeof outcomes>>) => {
    const matched = what.fired + what.suppressed;
    await eventually("all are decided", async () => (await statsOf(prism, storm.id)).matched === matched);
    assert.deepEqual(await outcomes(), what);
  };
  await send(prism, 3);
  await becomes({ fired: 2, suppressed: 1, told: 1, cooled: 2 });
  await prism.post(`/api/v1/events/${early.results[0]?.id}/reprocess`);
  await becomes({ fired: 2, suppressed: 2, told: 2, cooled: 2 });
  await send(prism, 1);
  await becomes({ fired: 2, suppressed: 3, told: 2, cooled: 3 });
  await prism.restart();
  await prism.post(`/api/v1/events/${early.results[1]?.id}/reprocess`);
  await becomes({ fired: 2, suppressed: 4, told: 3, cooled: 3 });
  await send(prism, 1);
  await becomes({ fired: 2, suppressed: 5, told: 3, cooled: 4 });
});

test("a cooldown that was taken from a rule and given back holds back what it would after a restart", async (t) => {
  const { prism, clock, ruleId } = await withRule(t, { cooldownMs: 60_000 });
  const change = async (body: object) => assert.equal((await prism.patch(`/api/v1/rules/${ruleId}`, body)).status, 200);
  const becomes = async (what: { fired: number; cooled: number }) => {
    await eventually(
      "all are decided",
      async () => (await statsOf(prism, ruleId)).matched === what.fired + what.cooled,
    );
    const { fired, cooled } = await statsOf(prism, ruleId);
    assert.deepEqual({ fired, cooled }, what);
  };
  await send(prism, 1);
  clock.advance(30_000);
  for (const restraint of [{ cooldownMs: 0 }, { cooldownMs: 0, dedupe: { key: "{{event.n}}", windowMs: 1000 } }]) {
    await change(restraint);
    clock.advance(25_000);
    await send(prism, 1);
    await change({ cooldownMs: 60_000, dedupe: null });
    clock.advance(10_000);
    await send(prism, 1);
  }
  await becomes({ fired: 3, cooled: 2 });
  await prism.restart();
  await send(prism, 1);
  await becomes({ fired: 3, cooled: 3 });
});

for (const way of ["called off", "used up"] as const) {
  test(`a storm whose job was ${way} does not suppress the next one`, async (t) => {
    const settings = { "queues.alert-suppression.maxAttempts": "1" };
    const { prism, clock } = await withRule(t, { suppression: { count: 1, windowMs: 60_000 } }, settings);
    const beside = openBeside(t, join(prism.dir, "prism.db"));
    const job = (state: string) =>
      scalarOf<string | undefined>(prism, "select id from jobs where kind = 'suppression.storm' and state = ?", state);
    if (way === "used up")
      beside.exec(`create trigger refuse before insert on notifications when new.kind = 'aggregate'
                   begin select raise(abort, 'refused by a trigger'); end`);
    await send(prism, 3);
    if (way === "used up") await eventually("the job is dead", () => job("dead"));
    else await prism.parts.offers.jobControl.cancel(await eventually("the job waits", () => job("scheduled")));
    const isOver = () => scalarOf(prism, "select closedAt from suppressed_batches") !== null;
    await eventually("the storm is over", isOver);
    if (way === "used up") beside.exec("drop trigger refuse");
    clock.advance(61_000);
    await send(prism, 4);
    await eventually("the next storm is told", async () =>
      (await inbox(prism)).some(({ title }) => title === "storm: 3 suppressed"),
    );
  });
}
