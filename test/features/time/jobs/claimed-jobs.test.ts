import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { claimedJobs } from "../../../../src/store/commit/job-sql.ts";
import type { ClaimedJob } from "../../../../src/store/commit/write-set.ts";
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
    numRuns: 1000,
    examples: [[[{ ...example, priority: 0, runAt: 0, maxAttempts: 1 }], false]],
  });
});
