import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { claimedJobs } from "../../../../src/store/commit/job-sql.ts";
import type { ClaimedJob, JobFinish, JobWork } from "../../../../src/store/commit/write-set.ts";
import { jobRow, TestSource } from "../../../store/support/write-sets.ts";
import { TestRunner } from "./support/test-runner.ts";

/** A job as plain JavaScript keeps it. */
interface Model {
  readonly seq: number;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly dedupeKey: string | null;
  runAt: number;
  state: string;
  attempts: number;
  fence: number;
}

const step = fc.oneof(
  fc.record({ do: fc.constant("insert"), n: fc.nat(3), inMs: fc.nat(50), max: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("promote"), n: fc.nat(30), inMs: fc.nat(20), max: fc.nat(0) }),
  fc.record({ do: fc.constant("claim"), n: fc.nat(3), inMs: fc.nat(0), max: fc.nat(0) }),
  fc.record({ do: fc.constant("finish"), n: fc.nat(50), inMs: fc.nat(30), max: fc.nat(3) }),
  fc.record({ do: fc.constant("crash"), n: fc.nat(0), inMs: fc.nat(0), max: fc.nat(0) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** The table beside its model; every step is done to both. */
class History {
  readonly #helper: TestRunner;
  readonly #source: TestSource;
  readonly #model = new Map<string, Model>();
  /** Claims that were given out, those that have been lost or ended since included. */
  readonly #handles: ClaimedJob[] = [];
  #now = 1000;

  constructor(t: TestContext) {
    this.#helper = new TestRunner(t, { writer: "main" });
    this.#source = new TestSource(this.#helper.store.committer);
  }

  async do({ do: what, n, inMs, max }: Step): Promise<void> {
    if (what === "insert") await this.#insert(n, inMs, max);
    else if (what === "promote") await this.#promote(inMs);
    else if (what === "claim") await this.#claim(n + 1);
    else if (what === "finish") await this.#finish(n, inMs, max);
    else await this.#crash();
    this.#compare();
  }

  /** Runs what is left. @throws when something can neither be claimed nor has ended. */
  async drain(): Promise<void> {
    await this.#crash();
    for (let round = 0; round < 200 && this.#open().length > 0; round++) {
      await this.#promote(1000);
      const first = this.#handles.length;
      await this.#claim(10);
      for (const handle of this.#handles.slice(first))
        await this.#write({ finish: [{ ...this.#end(handle), outcome: "succeeded", result: null }] });
      for (const handle of this.#handles.slice(first)) this.#of(handle).state = "succeeded";
      this.#compare();
    }
    assert.deepEqual(this.#open(), []);
  }

  #open(): Model[] {
    return [...this.#model.values()].filter(({ state }) => state !== "succeeded" && state !== "dead");
  }

  #of({ id }: { readonly id: string }): Model {
    const job = this.#model.get(id);
    assert.ok(job);
    return job;
  }

  async #write(work: Partial<JobWork>): Promise<readonly ClaimedJob[]> {
    const jobs = { insert: [], progress: [], finish: [], promoteDueAt: null, setBack: null, claim: [], ...work };
    const outcome = await this.#source.write(() => ({ jobs }));
    assert.ok(outcome.ok);
    return outcome.claimed.flatMap(claimedJobs);
  }

  async #insert(n: number, inMs: number, maxAttempts: number): Promise<void> {
    const runAt = this.#now + inMs - 10;
    const dedupeKey = n === 0 ? null : `k${n}`;
    const state = runAt <= this.#now ? "ready" : "scheduled";
    const row = jobRow({ priority: n, runAt, maxAttempts, dedupeKey, state, createdAt: this.#now });
    await this.#write({ insert: [row] });
    if (dedupeKey !== null && this.#open().some((job) => job.dedupeKey === dedupeKey)) return;
    const seq = Math.max(0, ...[...this.#model.values()].map((job) => job.seq)) + 1;
    this.#model.set(row.id, { seq, priority: n, maxAttempts, dedupeKey, runAt, state, attempts: 0, fence: 0 });
  }

  async #promote(ms: number): Promise<void> {
    this.#now += ms;
    await this.#write({ promoteDueAt: this.#now });
    for (const job of this.#model.values())
      if ((job.state === "scheduled" || job.state === "retrying") && job.runAt <= this.#now) job.state = "ready";
  }

  async #claim(limit: number): Promise<void> {
    const claim = { queue: "timers", limit, workerId: "w", now: this.#now, oldestFirst: false };
    const claimed = await this.#write({ claim: [claim] });
    const ready = [...this.#model].filter(([, { state }]) => state === "ready");
    ready.sort(([, a], [, b]) => b.priority - a.priority || a.runAt - b.runAt || a.seq - b.seq);
    assert.deepEqual(
      claimed.map(({ id }) => id),
      ready.slice(0, limit).map(([id]) => id),
    );
    for (const handle of claimed) {
      const job = this.#of(handle);
      Object.assign(job, { state: "running", attempts: job.attempts + 1, fence: job.fence + 1 });
      assert.deepEqual([handle.fence, handle.attempts], [job.fence, job.attempts]);
    }
    this.#handles.push(...claimed);
  }

  /** Also with claims that do not count any more. */
  async #finish(n: number, inMs: number, way: number): Promise<void> {
    const handle = this.#handles[n % Math.max(1, this.#handles.length)];
    if (!handle) return;
    const job = this.#of(handle);
    const isLast = job.attempts >= job.maxAttempts;
    const end = this.#end(handle);
    const finish: JobFinish =
      way === 0
        ? { ...end, outcome: "succeeded", result: "1" }
        : way === 1
          ? { ...end, outcome: "returned" }
          : way === 2 && !isLast
            ? {
                ...end,
                outcome: "retrying",
                runAt: this.#now + inMs,
                error: "e",
                queue: "timers",
                maxAttempts: job.maxAttempts,
              }
            : { ...end, outcome: "dead", error: "e", queue: "timers" };
    const { now, fence } = finish;
    // Without a result to keep many successes are one statement.
    if (way === 0 && n % 2 === 1) await this.#write({ succeeded: [{ now, fence, seqs: [handle.seq] }] });
    else await this.#write({ finish: [finish] });
    if (job.state !== "running" || job.fence !== handle.fence) return;
    if (finish.outcome === "returned") Object.assign(job, { state: "ready", attempts: job.attempts - 1 });
    else job.state = finish.outcome;
    if (finish.outcome === "retrying") job.runAt = finish.runAt;
  }

  /** What a start does about a process that is gone. */
  async #crash(): Promise<void> {
    await this.#helper.jobs.reclaim();
    for (const job of this.#model.values())
      if (job.state === "running") job.state = job.attempts >= job.maxAttempts ? "dead" : "ready";
  }

  #end({ id, fence, attempts: attempt, startedAt }: ClaimedJob) {
    return { id, fence, attempt, startedAt, workerId: "w", now: this.#now };
  }

  #compare(): void {
    const rows = this.#helper.rows().map(({ id, state, attempts, fence, runAt, finishedAt }) => {
      assert.equal(finishedAt !== null, state === "succeeded" || state === "dead");
      return [id, { state, attempts, fence, runAt }];
    });
    const model = [...this.#model].map(([id, { state, attempts, fence, runAt }]) => [
      id,
      { state, attempts, fence, runAt },
    ]);
    assert.deepEqual(rows, model);
  }
}

test("over any order of inserts, claims, ends, late ends, crashes and passing time the table is what plain JavaScript says, and no job is lost", (t) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const history = new History(t);
      for (const one of steps) await history.do(one);
      await history.drain();
    }),
    { numRuns: 25 },
  ));
