import assert from "node:assert/strict";
import test from "node:test";
import { deferred, eachWithin } from "../../src/core/promises.ts";

test("work on many items runs a few at once, and all of it has one limit of time", async () => {
  const gate = deferred<void>();
  let running = 0;
  let most = 0;
  const seen: number[] = [];
  const work = async (item: number): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    await gate.promise;
    running -= 1;
    seen.push(item);
  };
  const all = eachWithin({ atOnce: 2, limitMs: 60_000 }, [1, 2, 3, 4, 5], work, String);
  gate.resolve();
  await all;
  assert.deepEqual([most, seen.sort()], [2, [1, 2, 3, 4, 5]]);
  const never = deferred<void>();
  const late = eachWithin({ atOnce: 1, limitMs: 1 }, ["channel Room"], () => never.promise, String);
  await assert.rejects(late, { code: "URL_REFUSED", message: /not resolved within 0.001 s \(channel Room\)/ });
});
