import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { deferred } from "../../src/core/promises.ts";
import { periodic } from "../../src/core/time/periodic.ts";
import { eventually } from "../helpers/eventually.ts";

/** Work that runs until the test ends the run. */
class SlowWork {
  readonly begun: boolean[] = [];
  #end = deferred<void>();

  readonly run = async (isLast: boolean): Promise<void> => {
    this.begun.push(isLast);
    await this.#end.promise;
  };

  end(error?: Error): void {
    const { resolve, reject } = this.#end;
    this.#end = deferred<void>();
    if (error) reject(error);
    else resolve();
  }
}

const turn = (): Promise<void> => new Promise(setImmediate);

test("work runs at its interval from start to stop, and not at once", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let runs = 0;
  const repeated = periodic({ everyMs: 1000, work: () => runs++ });
  t.mock.timers.tick(5000);
  assert.deepEqual([runs, repeated.isStarted], [0, false]);
  repeated.start();
  repeated.start();
  assert.deepEqual([runs, repeated.isStarted], [0, true]);
  for (const expected of [1, 2]) {
    t.mock.timers.tick(1000);
    await turn();
    assert.equal(runs, expected);
  }
  await repeated.stop();
  t.mock.timers.tick(5000);
  assert.deepEqual([runs, repeated.isStarted], [2, false]);
});

test("an interval during which the work still runs is left out; the next one counts", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const work = new SlowWork();
  const repeated = periodic({ everyMs: 1000, work: work.run });
  repeated.start();
  t.mock.timers.tick(3000);
  assert.equal(work.begun.length, 1);
  work.end();
  await turn();
  t.mock.timers.tick(1000);
  assert.equal(work.begun.length, 2);
  work.end();
  await repeated.stop();
});

test("what is asked for during a run follows it, one after the other", async () => {
  const work = new SlowWork();
  const repeated = periodic({ everyMs: 1000, work: work.run });
  const runs = [repeated.run(), repeated.run(), repeated.run()];
  for (const expected of [1, 2, 3]) {
    await turn();
    assert.equal(work.begun.length, expected);
    work.end();
  }
  await Promise.all(runs);
});

for (const atStop of [true, false])
  test(`stop waits for the run${atStop ? ", and runs once more" : ""}`, async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const work = new SlowWork();
    const repeated = periodic({ everyMs: 1000, work: work.run, atStop });
    repeated.start();
    t.mock.timers.tick(1000);
    let isStopped = false;
    const stopping = repeated.stop().then(() => {
      isStopped = true;
    });
    await turn();
    assert.deepEqual([work.begun, isStopped], [[false], false]);
    work.end();
    await turn();
    assert.deepEqual([work.begun, isStopped], [atStop ? [false, true] : [false], !atStop]);
    work.end();
    await stopping;
  });

test("an error is passed on once, also one that is thrown at once, and the work is repeated", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const errors: unknown[] = [];
  let runs = 0;
  const repeated = periodic({
    everyMs: 1000,
    work() {
      runs++;
      if (runs === 1) throw new Error("at once");
      if (runs === 2) return Promise.reject(new Error("later"));
      return undefined;
    },
    onError: (error) => errors.push((error as Error).message),
    atStop: true,
  });
  repeated.start();
  for (let i = 0; i < 3; i++) {
    t.mock.timers.tick(1000);
    await turn();
  }
  assert.deepEqual([runs, errors], [3, ["at once", "later"]]);
  await repeated.stop();
  assert.equal(runs, 4);
});

test("without a handler an error is the caller's, and what waits behind it runs", async () => {
  const work = new SlowWork();
  const repeated = periodic({ everyMs: 1000, work: work.run });
  const [first, second] = [repeated.run(), repeated.run()];
  work.end(new Error("no"));
  await assert.rejects(first, /no/);
  await eventually("the second run", () => work.begun.length === 2);
  work.end();
  await second;
});

test("it does not keep a process alive, and an error without a handler ends one", () => {
  const file = join(import.meta.dirname, "../../src/core/time/periodic.ts");
  const script = (work: string, last: string) =>
    `import { periodic } from ${JSON.stringify(file)};
     periodic({ everyMs: 10, work: () => { ${work} } }).start(); ${last}`;
  const run = (code: string) =>
    spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8", timeout: 20_000 });
  assert.equal(run(script("", "")).status, 0);
  const failed = run(script('throw new Error("an unhandled error")', "setTimeout(() => undefined, 10_000);"));
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /an unhandled error/);
});
