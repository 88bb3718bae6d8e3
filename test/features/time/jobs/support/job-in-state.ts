import type { TestContext } from "node:test";
import { deferred } from "../../../../../src/core/promises.ts";
import { PermanentError, RetryLater } from "../../../../../src/features/time/jobs/runner/job.ts";
import type { JobState } from "../../../../../src/store/schema.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import { TestRunner } from "./test-runner.ts";

const HOUR_MS = 3_600_000;

/** A job that came into its state as jobs do. Its queue is paused, so that it stays there. */
export async function jobIn(t: TestContext, state: JobState): Promise<{ helper: TestRunner; id: string }> {
  const helper = new TestRunner(t);
  const { runner, clock } = helper;
  const gate = deferred<void>();
  // Before the runner stops, which waits for it.
  t.after(() => gate.resolve());
  runner.handle("test", async () => {
    if (state === "running") await gate.promise;
    if (state === "retrying") throw new RetryLater("not yet", HOUR_MS);
    if (state === "dead") throw new PermanentError("never");
  });
  const waits = state === "scheduled" || state === "cancelled";
  const id = await helper.add({}, waits ? { runAt: clock.now() + HOUR_MS } : {});
  if (state === "cancelled") await helper.control.cancel(id);
  if (state === "ready") runner.pause("timers");
  runner.start();
  await eventually(`the job is ${state}`, () => helper.stateOf(id) === state);
  runner.pause("timers");
  return { helper, id };
}

/** What the audit trail says, oldest first, of operators. */
export function operatorActs({ store }: TestRunner): { action: string; resourceId: string; metadata: unknown }[] {
  return store.reader
    .prepare<[], { action: string; resourceId: string; metadata: string }>(
      "select action, resourceId, metadata from audit_log where action like 'job.%' order by seq",
    )
    .all()
    .map(({ metadata, ...row }) => ({ ...row, metadata: JSON.parse(metadata) as unknown }));
}
