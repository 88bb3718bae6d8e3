import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { claimedJobs, MOST_PROMOTED } from "../../../../src/store/commit/job-sql.ts";
import type { ClaimedJob } from "../../../../src/store/commit/write-set.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { jobRow, TestSource } from "../../../store/support/write-sets.ts";
import { TestRunner } from "./support/test-runner.ts";

const NO_WORK = { insert: [], progress: [], finish: [], promoteDueAt: null, setBack: null, claim: [] };
const text = fc.string({ unit: "binary" });
const textOrNull = fc.option(text);
const job = fc.record({
  kind: text,
  payload: fc.json(),
  priority: fc.integer({ min: -9, max: 9 }),
  runAt: fc.nat(2_000_000_000_000),
  maxAttempts: fc.integer({ min: 1, max: 100 }),
  label: textOrNull,
  createdBy: textOrNull,
  correlationId: textOrNull,
});

test("a claim takes more than 500 jobs if their payloads are small", async (t) => {
  const { store } = new TestRunner(t, { writer: "main" });
  const source = new TestSource(store.committer);
  for (const oldestFirst of [false, true])
    for (const [chars, taken] of [
      [10, 600],
      [30_000, 500],
    ] as const) {
      const insert = Array.from({ length: 600 }, () => jobRow({ payload: JSON.stringify("x".repeat(chars)) }));
      const claim = [{ queue: "timers", limit: 1000, workerId: "w", now: 1, oldestFirst }];
      const outcome = await source.write(() => ({ jobs: { ...NO_WORK, insert, claim } }));
      assert.ok(outcome.ok);
      assert.equal(outcome.claimed.flatMap(claimedJobs).length, taken);
      const rest = await source.write(() => ({ jobs: { ...NO_WORK, claim } }));
      assert.ok(rest.ok);
      assert.equal(rest.claimed.flatMap(claimedJobs).length, 600 - taken);
    }
});

test("a queue of many jobs with large payloads is drained", async (t) => {
  const helper = new TestRunner(t, { concurrency: 50 });
  const source = new TestSource(helper.store.committer);
  let runs = 0;
  helper.runner.handle("test", async () => void runs++);
  for (const chars of [10, 30_000]) {
    const insert = Array.from({ length: 800 }, () => jobRow({ payload: JSON.stringify("x".repeat(chars)) }));
    await source.write(() => ({ jobs: { ...NO_WORK, insert } }));
  }
  helper.runner.start();
  await eventually("all have run", () => runs === 1600);
  await eventually("all are done", () => helper.states().every((state) => state === "succeeded"));
});

test("one commit makes a bounded number of due jobs ready, those that wait longest, and all of them run", async (t) => {
  const helper = new TestRunner(t, { concurrency: 50 });
  const { committer, reader } = helper.store;
  const source = new TestSource(committer);
  const due = 2 * MOST_PROMOTED + 500;
  const at = helper.clock.now();
  const insert = Array.from({ length: due }, (_, i) => jobRow({ state: "scheduled", runAt: at - i }));
  await source.write(() => ({ jobs: { ...NO_WORK, insert } }));
  const ready = reader.prepare<[], { n: number; latest: number }>(
    "select count(*) as n, max(runAt) as latest from jobs where state = 'ready'",
  );
  await source.write(() => ({ jobs: { ...NO_WORK, promoteDueAt: at } }));
  assert.deepEqual(ready.get(), { n: MOST_PROMOTED, latest: at - due + MOST_PROMOTED });
  let runs = 0;
  helper.runner.handle("test", async () => void runs++);
  helper.runner.start();
  await eventually("all have run", () => runs === due);
  await eventually("all are done", () => helper.states().every((state) => state === "succeeded"));
});

test("a claimed job has what its row has, whatever characters its texts are made of", async (t) => {
  const { store } = new TestRunner(t, { writer: "main" });
  const source = new TestSource(store.committer);
  const columns =
    "seq, id, queue, kind, payload, priority, attempts, maxAttempts, fence, runAt, startedAt, label, createdBy, correlationId";
  const stored = store.reader.prepare<[], ClaimedJob>(`select ${columns} from jobs where state = 'running'`);
  let now = 0;
  const property = fc.asyncProperty(
    fc.array(job, { minLength: 1, maxLength: 5 }),
    fc.boolean(),
    async (jobs, oldestFirst) => {
      now++;
      const claim = [{ queue: "timers", limit: 1, workerId: "w", now, oldestFirst }];
      const outcome = await source.write(() => ({ jobs: { ...NO_WORK, insert: jobs.map(jobRow), claim } }));
      assert.ok(outcome.ok);
      const claimed = outcome.claimed.flatMap(claimedJobs);
      assert.deepEqual(claimed, stored.all());
      assert.equal(claimed.length, 1);
      const succeeded = claimed.map(({ seq, fence }) => ({ now, fence, seqs: [seq] }));
      await source.write(() => ({ jobs: { ...NO_WORK, succeeded } }));
      assert.deepEqual(stored.all(), []);
    },
  );
  const odd = 'a\0b\u0001\n"\\\u2028\u{1f600}';
  const example = { kind: odd, payload: JSON.stringify(odd), label: odd, createdBy: odd, correlationId: odd };
  await fc.assert(property, {
    numRuns: 300,
    examples: [[[{ ...example, priority: 0, runAt: 0, maxAttempts: 1 }], false]],
  });
});
