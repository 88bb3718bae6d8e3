import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { valuesOf } from "../../../helpers/values.ts";

const COUNT = 3;
const WINDOW_MS = 10_000;
const WIDTH_MS = WINDOW_MS / 10;
const DEDUPE_MS = 4000;
const COOLDOWN_MS = 6000;

const SETTINGS = {
  "suppression.enforceDefault": "true",
  "suppression.defaultCount": String(COUNT),
  "suppression.defaultWindowMs": String(WINDOW_MS),
};

type Step =
  | { readonly send: number; readonly host: string }
  | { readonly passMs: number }
  | { readonly setMs: number }
  | { readonly restart: true };

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 6 }), host: fc.constantFrom("a", "b") }) },
    { weight: 4, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 7000 }) }) },
    { weight: 1, arbitrary: fc.record({ setMs: fc.constantFrom(-3_600_000, -500, 3_600_000) }) },
    { weight: 1, arbitrary: fc.constant({ restart: true } as const) },
  ),
  { minLength: 5, maxLength: 25 },
);

/** A rule with a suppression of its own, and one that the default holds for. */
type Kind = "own" | "default";

/**
 * What the gate should say, written the long way: every match is kept, and counted again each time.
 */
class Naive {
  readonly #kind: Kind;
  readonly #windows = new Map<string, NaiveWindow>();
  readonly #fired = new Map<string, number>();

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  outcome(host: string, at: number): string {
    const last = this.#fired.get(host);
    const isRepeat = last !== undefined && Math.abs(at - last) < DEDUPE_MS;
    if (isRepeat && this.#kind === "default") return "deduped";
    const key = this.#kind === "default" ? host : "";
    const window = this.#windows.get(key) ?? new NaiveWindow();
    this.#windows.set(key, window);
    if (window.holds(at)) return "suppressed";
    if (isRepeat) return "deduped";
    if (last !== undefined && Math.abs(at - last) < COOLDOWN_MS) return "cooled";
    this.#fired.set(host, at);
    return "fired";
  }
}

class NaiveWindow {
  readonly #matches: number[] = [];

  /** Counts a match. @returns whether it is held back. */
  holds(at: number): boolean {
    const isHeld = this.#inWindow(at) >= COUNT;
    this.#match(at);
    return isHeld;
  }

  /**
   * A clock that goes back a little does not move the window; one that goes back far starts a new
   * one.
   */
  #bucketOf(at: number): number {
    const newest = this.#matches.at(-1) ?? Number.NEGATIVE_INFINITY;
    const bucket = Math.floor(at / WIDTH_MS);
    if (bucket >= newest) return bucket;
    if (bucket > newest - 10) return newest;
    this.#matches.length = 0;
    return bucket;
  }

  #inWindow(at: number): number {
    const bucket = this.#bucketOf(at);
    return this.#matches.filter((each) => each > bucket - 10).length;
  }

  #match(at: number): void {
    this.#matches.push(this.#bucketOf(at));
  }
}

async function run(kind: Kind, script: readonly Step[]): Promise<void> {
  const clock = new FakeClock();
  const prism = await TestPrism.start({ clock, settings: SETTINGS });
  try {
    const rule = {
      name: "r",
      condition: "event.type == 'a'",
      targetUsers: ["me"],
      ...(kind === "own" ? { suppression: { count: COUNT, windowMs: WINDOW_MS } } : {}),
      dedupe: { key: "{{event.host}}", windowMs: DEDUPE_MS },
      cooldownMs: COOLDOWN_MS,
    };
    const { body } = await answered(201, prism.post<{ id: string }>("/api/v1/rules", rule));
    // A token would run out as the clock jumps.
    const made = await prism.post<{ key: string }>("/api/v1/projects/default/keys", { name: "producer" });
    const apiKey = made.body.key;
    const naive = new Naive(kind);
    const expected: string[] = [];
    for (const step of script) {
      if ("passMs" in step) clock.advance(step.passMs);
      else if ("setMs" in step) clock.set(step.setMs);
      else if ("restart" in step) await prism.restart();
      else {
        for (let i = 0; i < step.send; i++) expected.push(naive.outcome(step.host, clock.now()));
        const events = Array.from({ length: step.send }, () => ({ type: "a", payload: { host: step.host } }));
        await answered(202, prism.post("/events", events, { apiKey }));
      }
    }
    const { db } = prism.services;
    const decided = () =>
      db.read.selectFrom("decisions").select(["outcome", "eventSeq", "notificationId"]).orderBy("eventSeq").execute();
    await eventually("all are decided", async () => (await decided()).length === expected.length);
    assert.deepEqual(valuesOf(await decided(), "outcome"), expected);
    const stats = await db.read.selectFrom("rule_stats").selectAll().where("ruleId", "=", body.id).executeTakeFirst();
    const { matched = 0, fired = 0, suppressed = 0, deduped = 0, cooled = 0 } = stats ?? {};
    assert.deepEqual([matched, fired + suppressed + deduped + cooled], [expected.length, expected.length]);
    const told = await db.read
      .selectFrom("notifications")
      .select(["id", "eventId"])
      .where("kind", "=", "rule")
      .execute();
    assert.equal(new Set(told.map(({ eventId }) => eventId)).size, told.length, "nobody is told of an event twice");
    assert.equal(told.length, expected.filter((outcome) => outcome === "fired").length);
    await assertReleasedOnce(prism, clock, expected.filter((outcome) => outcome === "suppressed").length);
  } finally {
    await prism.stop();
  }
}

/** At the end each suppressed match is in exactly one summary. */
async function assertReleasedOnce(prism: TestPrism, clock: FakeClock, held: number): Promise<void> {
  const { db } = prism.services;
  const { runner } = prism.parts.offers;
  const storms = () => db.read.selectFrom("suppressed_batches").selectAll().orderBy("firstSeq").execute();
  await eventually("all storms are over", async () => {
    // A job waits for the time of before the clock was set back.
    clock.advance(3_600_000);
    runner.enqueued([]);
    return (await storms()).every(({ closedAt }) => closedAt !== null);
  });
  const all = await storms();
  const total = all.reduce((sum, { count }) => sum + count, 0);
  assert.equal(total, held);
  const ends = new Map<string, number>();
  for (const { key, firstSeq, lastSeq } of all) {
    assert.ok(firstSeq > (ends.get(key) ?? 0), "none is in two");
    ends.set(key, lastSeq);
  }
  const summaries = await db.read
    .selectFrom("notifications")
    .select("data")
    .where("kind", "=", "aggregate")
    .where("data", "is not", null)
    .execute();
  const told = summaries.map(({ data }) => JSON.parse(data ?? "") as { firstSeq: number; keys?: string[] });
  const keys = await db.read.selectFrom("suppressed_keys").selectAll().orderBy("key").execute();
  assert.deepEqual(
    told.sort((a, b) => a.firstSeq - b.firstSeq),
    all.map(({ id, count, firstSeq, lastSeq }) => {
      const own = keys.filter(({ batchId }) => batchId === id).map(({ key }) => key);
      return { heldBack: count, firstSeq, lastSeq, ...(own.length > 0 ? { keys: own } : {}) };
    }),
  );
}

for (const kind of ["own", "default"] as const)
  test(`S2-115: over any sequence of events, steps of the clock and restarts each match has the outcome that a naive count says, and what was held is released once (${kind} suppression)`, async (t) => {
    keepsPromise(t, "S2-115");
    const property = fc.asyncProperty(steps, (script) => run(kind, script));
    await fc.assert(property, { numRuns: 8, includeErrorInReport: true });
  });
