import assert from "node:assert/strict";
import test from "node:test";
import {
  type Alarm,
  compare,
  keysOf,
  type MirrorDifference,
  type Observed,
  type Told,
} from "../../../src/features/mirror/match.ts";
import { Pace } from "../../../src/features/mirror/pace.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** When the alarm joins its incident. */
const T = 1_000 * HOUR;
const incident = { id: "i1", number: 1 };

const told = (userId: string | null, at: number, more: Partial<Told> = {}): Told => ({
  ...{ userId, at, way: "email", step: 0, incident },
  ...more,
});

const alarm = (more: Partial<Alarm> = {}): Alarm => ({
  ...{ incident, titles: ["Disk full"], keys: ["fp:1"], labels: { alertname: "DiskFull", instance: "db-1" } },
  ...{ startsAt: T, from: T, to: null, waitMs: 30 * SECOND, told: [told("u-ann", T)] },
  ...more,
});

let refs = 0;
const seen = (person: string | null, at: number, more: Partial<Observed> = {}): Observed => ({
  ...{ ref: String(++refs), kind: "notified", at, person, way: null },
  ...{ key: "fp:1", title: null, labels: null, startsAt: null },
  ...more,
});

/** Users are called as their ids without `u-`. */
async function differences(
  alarms: readonly Alarm[],
  observed: readonly Observed[],
  to = T + 24 * HOUR,
): Promise<MirrorDifference[]> {
  const userOf = (name: string): string | null => (["ann", "bob", "cy"].includes(name) ? `u-${name}` : null);
  return [...(await compare({ alarms, observed, userOf, to })).differences];
}

/** Such as `later ann u-ann`. */
const shown = async (...given: Parameters<typeof differences>): Promise<string[]> =>
  (await differences(...given)).map(({ class: name, old, prism }) =>
    [name, old ? (old.person ?? old.way ?? "?") : "-", prism ? (prism.userId ?? prism.way) : "-"].join(" "),
  );

test("within a minute it is the same, before and after it Prism is earlier and later", async () => {
  for (const [byMs, expected] of [
    [0, "same"],
    [-MINUTE, "same"],
    [MINUTE, "same"],
    [-MINUTE - 1, "later"],
    [MINUTE + 1, "earlier"],
  ] as const)
    assert.deepEqual(await shown([alarm()], [seen("ann", T + byMs)]), [`${expected} ann u-ann`], String(byMs));
});

test("the first notice to each person counts, of both sides", async () => {
  const both = alarm({ told: [told("u-ann", T), told("u-ann", T + HOUR), told("u-bob", T + 10 * MINUTE)] });
  const observed = [seen("ann", T), seen("bob", T + 10 * MINUTE), seen("Ann".toLowerCase(), T + 4 * HOUR)];
  assert.deepEqual(await shown([both], observed), ["same ann u-ann", "same bob u-bob"]);
});

test("another person at the same time is one line; at another time one is missing and one is more", async () => {
  assert.deepEqual(await shown([alarm()], [seen("bob", T + SECOND)]), ["other-person bob u-ann"]);
  assert.deepEqual((await shown([alarm()], [seen("bob", T + 5 * MINUTE), seen("cy", T)])).sort(), [
    "missing bob -",
    "other-person cy u-ann",
  ]);
  const known = seen("ann", T - HOUR, { key: "fp:0" });
  const before = alarm({ keys: ["fp:0"], from: T - HOUR, told: [told("u-ann", T - HOUR)] });
  assert.deepEqual(await shown([before, alarm()], [known, seen("bob", T + 5 * MINUTE)]), [
    "same ann u-ann",
    "missing bob -",
    "extra - u-ann",
  ]);
});

test("who is no account, and a system that names nobody, cannot be compared", async () => {
  const [unknown] = await differences([alarm()], [seen("dora", T)]);
  assert.deepEqual([unknown?.class, unknown?.why], ["not-comparable", "nobody of the project is called so in Prism"]);
  const [silent] = await differences([alarm()], [seen("ann", T, { kind: "acknowledged" })]);
  assert.deepEqual([silent?.class, silent?.why], ["not-comparable", "the other system does not say whom it notified"]);
  const [bare] = await differences([], [seen("ann", T, { key: null })]);
  assert.deepEqual([bare?.class, bare?.why], ["not-comparable", "it has neither labels nor a key or title"]);
});

test("without a person the time is compared: by the way, or whoever is first", async () => {
  const room = alarm({ told: [told("u-ann", T), told(null, T + 2 * MINUTE, { way: "Ops room" })] });
  assert.deepEqual(await shown([room], [seen(null, T, { way: "ops room" })]), ["later ops room Ops room"]);
  assert.deepEqual(await shown([room], [seen(null, T, { way: "pager" })]), ["same pager u-ann"]);
  assert.deepEqual(await shown([room], [seen(null, T)]), ["same ? u-ann"]);
  assert.deepEqual(await shown([alarm({ told: [] })], [seen(null, T)]), ["missing ? -"]);
});

test("an alarm that Prism does not have is missing, once for its repetitions", async () => {
  const strange = [seen("ann", T, { key: "x" }), seen("ann", T + HOUR, { key: "x" })];
  assert.deepEqual(await shown([], strange), ["missing ann -"]);
  const again = [
    ...strange,
    seen(null, T + 2 * HOUR, { key: "x", kind: "resolved" }),
    seen("ann", T + 3 * HOUR, { key: "x" }),
  ];
  assert.deepEqual(await shown([], again), ["missing ann -", "missing ann -"]);
  const started = [seen("ann", T, { key: "x", startsAt: 1 }), seen("ann", T + 1, { key: "x", startsAt: 2 })];
  assert.deepEqual(await shown([], started), ["missing ann -", "missing ann -"]);
});

test("only ends, what is on its way and what was before the first observation say nothing", async () => {
  assert.deepEqual(await shown([alarm()], [seen(null, T, { kind: "resolved" })]), []);
  assert.deepEqual(await shown([alarm({ told: [] })], [seen("ann", T)], T - SECOND), []);
  const earlier = alarm({ keys: ["fp:0"], told: [told("u-cy", T - HOUR)] });
  const later = alarm({ keys: ["fp:2"], told: [told("u-cy", T + HOUR)] });
  assert.deepEqual(await shown([earlier, alarm(), later], [seen("ann", T)]), ["same ann u-ann", "extra - u-cy"]);
});

test("an alarm that comes again is another one, by its start or by the time", async () => {
  const first = alarm({ to: T + 5 * MINUTE });
  const second = alarm({ startsAt: T + 6 * MINUTE, from: T + 6 * MINUTE, told: [told("u-ann", T + 6 * MINUTE)] });
  const alarms = [first, second];
  assert.deepEqual(await shown(alarms, [seen("ann", T), seen("ann", T + 6 * MINUTE - 20 * SECOND)]), [
    "same ann u-ann",
    "same ann u-ann",
  ]);
  const observed = [seen("ann", T, { startsAt: T }), seen("ann", T + 5 * MINUTE, { startsAt: T + 6 * MINUTE })];
  assert.deepEqual(await shown(alarms, observed), ["same ann u-ann", "same ann u-ann"]);
});

test("it is found by fewer labels than the alert has, and by the title near its time", async () => {
  const labels = { alertname: "DiskFull" };
  assert.deepEqual(await shown([alarm()], [seen("ann", T, { key: "fp:9", labels })]), ["same ann u-ann"]);
  assert.deepEqual(await shown([alarm()], [seen("ann", T, { key: null, title: "disk FULL" })]), ["same ann u-ann"]);
  const late = seen("ann", T + 2 * MINUTE, { key: null, title: "Disk full" });
  assert.deepEqual(
    await shown([alarm()], [late]),
    ["missing ann -", "extra - u-ann"].filter((each) => !each.startsWith("extra")),
  );
});

test("an alert has its key, its fingerprint, and its key at its source as names", () => {
  const pagerduty = { key: "pd:int-1:disk db-1", source: "pagerduty", sourceId: "int-1", fingerprint: "9a" };
  assert.deepEqual(keysOf(pagerduty), ["pd:int-1:disk db-1", "9a", "fp:9a", "disk db-1"]);
  assert.deepEqual(keysOf({ key: "api:disk", source: "api", sourceId: null, fingerprint: "9a" }).at(-1), "disk");
  assert.deepEqual(keysOf({ key: "fp:9a", source: "alertmanager", sourceId: null, fingerprint: "9a" }), [
    "fp:9a",
    "9a",
    "fp:9a",
  ]);
});

test("however many alarms are alike, few are looked at, and what cannot be told apart is not comparable", async () => {
  const alike = (length: number, more: (n: number) => Partial<Alarm>): Alarm[] =>
    Array.from({ length }, (_, n) => alarm({ keys: [`fp:a${n}`], told: [], titles: [], ...more(n) }));
  // Each has one of the two labels; that of both is none.
  const alarms = alike(10_000, (n) => ({ labels: { alertname: "X", ...(n % 2 ? { a: "1" } : { b: "1" }) } }));
  const observed = Array.from({ length: 5000 }, (_, n) =>
    seen("ann", T + n, { key: `fp:o${n}`, labels: { alertname: "X", a: "1", b: "1" } }),
  );
  const pace = new Pace();
  const { differences: found } = await compare({ alarms, observed, userOf: () => null, to: T + HOUR }, pace);
  assert.deepEqual(
    [...new Set(found.map(({ class: name, why }) => `${name}: ${why}`))],
    ["not-comparable: too many alarms of Prism are like it"],
  );
  assert.ok(pace.steps < 5_000_000, String(pace.steps));
  const named = observed.map((each) => ({ ...each, labels: { alertname: "X" } }));
  const few = new Pace();
  await compare({ alarms, observed: named, userOf: () => null, to: T + HOUR }, few);
  assert.ok(few.steps < 200_000, String(few.steps));
  // One key that comes again and again is found by its time.
  const flapping = alike(5000, (n) => ({
    ...{ keys: ["k"], startsAt: T + n * MINUTE, from: T + n * MINUTE, to: T + n * MINUTE + SECOND },
    told: [told("u-ann", T + n * MINUTE)],
  }));
  const seenAgain = flapping.map(({ from }) => seen("ann", from, { key: "k" }));
  assert.equal((await shown(flapping, seenAgain, T + 5000 * MINUTE)).filter((each) => /^same/.test(each)).length, 5000);
});

test("keys that Prism has not cost one step each", async () => {
  const observed = Array.from({ length: 50_000 }, (_, n) => seen("ann", T + n, { key: "x" }));
  const pace = new Pace();
  const { differences: found } = await compare({ alarms: [], observed, userOf: () => null, to: T + HOUR }, pace);
  assert.equal(found.length, 1);
  assert.ok(pace.steps < 200_000, String(pace.steps));
});

test("others have their turn while many are compared, and it ends", async () => {
  const observed = Array.from({ length: 50_000 }, (_, n) => seen("ann", T + n, { key: `x${n}` }));
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await compare({ alarms: [alarm()], observed, userOf: () => null, to: T + HOUR });
  isDone = true;
  assert.ok(turns > 1, String(turns));
  const pace = new Pace();
  pace.steps = 1e9;
  const { differences: found } = await compare(
    { alarms: [alarm()], observed: [seen("ann", T)], userOf: () => null, to: T },
    pace,
  );
  assert.equal(found[0]?.class, "not-comparable");
});
