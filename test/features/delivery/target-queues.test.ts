import assert from "node:assert/strict";
import test from "node:test";
import { limitsOf, type SharedLimit, TargetQueues } from "../../../src/features/delivery/target-queues.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Attempts at targets. Each call lasts until the test ends it; a deferred attempt comes back when
 * it is recalled.
 */
class World {
  readonly clock = new FakeClock();
  readonly began: string[] = [];
  readonly deferred: string[] = [];
  readonly recalled: string[] = [];
  /** Whether recalled attempts come back, as the job table has them. */
  comesBack = true;
  readonly queues = new TargetQueues(this.clock, (jobIds) => {
    this.recalled.push(...jobIds);
    if (this.comesBack) for (const jobId of jobIds) setImmediate(() => this.come(jobId));
  });
  readonly #ends = new Map<string, () => void>();
  readonly #limits: readonly SharedLimit[];

  constructor(limits: readonly SharedLimit[] = []) {
    this.#limits = limits;
  }

  /** @param jobId target and number, such as `door 3` */
  come(jobId: string): void {
    const [target = ""] = jobId.split(" ");
    const run = () => {
      this.began.push(jobId);
      return new Promise<void>((resolve) => this.#ends.set(jobId, resolve));
    };
    const defer = async () => void this.deferred.push(jobId);
    void this.queues.call({ jobId, target, limits: this.#limits, run, defer });
  }

  async end(jobId: string, tookMs: number): Promise<void> {
    const end = await eventually(`${jobId} has begun`, () => this.#ends.get(jobId));
    this.clock.advance(tookMs);
    end();
    await turn();
    await turn();
  }
}

const names = (target: string, count: number) => Array.from({ length: count }, (_, i) => `${target} ${i}`);

test("a burst drains as fast as the target answers, in order, and leaves nothing waiting", async () => {
  const world = new World();
  const burst = names("door", 60);
  for (const jobId of burst) world.come(jobId);
  const startedAt = world.clock.elapsed();
  for (const jobId of burst) await world.end(jobId, 30);
  assert.deepEqual(world.began, burst);
  assert.equal(world.clock.elapsed() - startedAt, 60 * 30, "no time passed between two calls");
  const before = world.deferred.length;
  world.come("door 60");
  await turn();
  assert.equal(world.began.at(-1), "door 60", "an idle target is called at once");
  assert.equal(world.deferred.length, before);
});

test("attempts that arrive while a burst drains are called after it, and the line ends", async () => {
  const world = new World();
  const all = names("door", 120);
  for (const jobId of all.slice(0, 60)) world.come(jobId);
  for (const [i, jobId] of all.entries()) {
    // One arrives for every two that are called: half of what the target can take.
    if (i % 2 === 0 && 60 + i / 2 < 120) world.come(`door ${60 + i / 2}`);
    await world.end(jobId, 30);
  }
  assert.deepEqual(world.began, all);
});

test("a call that takes long holds one worker: those that waited for it are deferred, before later ones", async () => {
  const world = new World();
  for (const jobId of names("door", 3)) world.come(jobId);
  world.clock.advance(250);
  await eventually("both are deferred", () => world.deferred.length === 2);
  world.come("door 3");
  await turn();
  assert.deepEqual([world.deferred, world.recalled], [["door 1", "door 2", "door 3"], []]);
  await world.end("door 0", 9000);
  assert.deepEqual(world.recalled, ["door 1"], "a slow target gets one at a time");
  for (const jobId of ["door 1", "door 2", "door 3"]) await world.end(jobId, 9000);
  assert.deepEqual(world.began, names("door", 4));
});

test("a deferred attempt that never comes back holds up those after it for less than a minute", async () => {
  const world = new World();
  world.comesBack = false;
  world.come("door 0");
  world.clock.advance(300);
  for (const jobId of ["door 1", "door 2"]) world.come(jobId);
  await world.end("door 0", 0);
  assert.deepEqual(world.recalled, ["door 1"]);
  world.clock.advance(36_000);
  world.come("door 2");
  await turn();
  assert.deepEqual(world.began, ["door 0", "door 2"]);
});

test("an attempt that was cancelled holds up nothing", async () => {
  const world = new World();
  world.come("door 0");
  world.clock.advance(300);
  for (const jobId of ["door 1", "door 2"]) world.come(jobId);
  await turn();
  world.queues.forget("door", "door 1");
  await world.end("door 0", 0);
  assert.deepEqual(world.recalled, ["door 2"]);
});

test("targets that share a limit never hold more workers, and each gets its turn", async () => {
  const limit = { key: "owner", limit: 2 };
  const world = new World([limit]);
  for (const target of ["a", "b", "c", "d"]) for (const jobId of names(target, 2)) world.come(jobId);
  await turn();
  const ended = new Set<string>();
  while (ended.size < 8) {
    assert.ok(world.queues.heldBy(limit) <= 2);
    const next = world.began.find((jobId) => !ended.has(jobId));
    assert.ok(next, `something is called: ${[...ended]}`);
    ended.add(next);
    await world.end(next, 1000);
  }
  assert.deepEqual(world.began.toSorted(), ["a", "b", "c", "d"].flatMap((target) => names(target, 2)).toSorted());
});

test("the limits of all channels of a queue leave workers for planning, and none is less than one", () => {
  const shareOf = (channel: string, workers: number) => limitsOf({ channel }, workers)[0]?.limit ?? 0;
  const taken = ["webhook", "email", "pusher"].reduce((sum, channel) => sum + shareOf(channel, 16), 0);
  assert.ok(taken < 16, `${taken} of 16`);
  assert.equal(shareOf("email", 1), 1);
  const [share, host, owner] = limitsOf({ channel: "webhook", host: "h", owner: "o" }, 16).map(({ limit }) => limit);
  assert.deepEqual([share, host, owner], [6, 5, 3]);
});
