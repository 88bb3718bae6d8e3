import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type DeferredPromise, deferred } from "../../../src/core/promises.ts";
import { OwnerCache } from "../../../src/features/access/read-caches.ts";
import { runs } from "../../helpers/chance.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { keepsPromise } from "../../helpers/promise.ts";

interface Value {
  readonly ownerId: string;
  readonly bytes: number;
  /** The owner's rows when it was read. */
  readonly state: number;
}

const MIB = 1_048_576;

/** What has been answered goes through a few promises before it is kept. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
}

function open({ maxEntries = 100, ttlMs = 1000 } = {}) {
  const clock = new FakeClock();
  const cache = new OwnerCache<Value>({ maxEntries, ttlMs, clock });
  const read = (ownerId: string, state: number, { key = ownerId, bytes = 10 } = {}) =>
    cache.read(key, async () => ({ ownerId, bytes, state }));
  return { clock, cache, read };
}

test("S3-15 S3-37: no order of reads, commits and announcements lets a read that begins after a write see what was before it", async () => {
  const owners = ["uma", "vic"] as const;
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("begin" as const), owner: fc.constantFrom(...owners) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("look" as const), which: fc.nat(7) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat(7) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("commit" as const), owner: fc.constantFrom(...owners) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("announce" as const), owner: fc.constantFrom(...owners) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("all" as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 30, maxLength: 80 }),
      fc.constantFrom(1, 2, 100),
      async (steps, maxEntries) => {
        const { cache } = open({ maxEntries });
        const stored = { uma: 0, vic: 0 };
        /** The last change that a response has announced. */
        const announced = { uma: 0, vic: 0 };
        const loads: { owner: keyof typeof stored; seen: number | null; answer: DeferredPromise<Value> }[] = [];
        const reads: Promise<void>[] = [];
        const announce = (owner: keyof typeof stored): void => {
          announced[owner] = stored[owner];
          cache.changed(owner);
        };
        const answer = (load: (typeof loads)[number] | undefined): void => {
          if (!load) return;
          load.seen ??= stored[load.owner];
          load.answer.resolve({ ownerId: load.owner, bytes: 1, state: load.seen });
        };
        for (const each of steps) {
          if (each.do === "begin") {
            const { owner } = each;
            const atLeast = announced[owner];
            const load = async (): Promise<Value> => {
              const begun = { owner, seen: null, answer: deferred<Value>() };
              loads.push(begun);
              return begun.answer.promise;
            };
            reads.push(
              cache.read(owner, load).then(({ ownerId, state }) => {
                assert.equal(ownerId, owner);
                assert.ok(state >= atLeast, `saw ${state} after ${atLeast} was done`);
              }),
            );
          } else if (each.do === "look") {
            const load = loads[each.which];
            if (load) load.seen ??= stored[load.owner];
          } else if (each.do === "answer") answer(loads[each.which]);
          else if (each.do === "commit") stored[each.owner]++;
          else if (each.do === "announce") announce(each.owner);
          else {
            for (const owner of owners) announced[owner] = stored[owner];
            cache.changedAll();
          }
          await settled();
        }
        for (const load of loads) answer(load);
        await Promise.all(reads);
      },
    ),
    { numRuns: runs(500) },
  );
});

test("what one account writes leaves the others' answers where they are", async () => {
  const { cache, read } = open();
  await read("uma", 1);
  await read("vic", 1);
  cache.changed("uma");
  assert.deepEqual([(await read("uma", 2)).state, (await read("vic", 2)).state], [2, 1]);
  cache.changedAll();
  assert.deepEqual([(await read("uma", 3)).state, (await read("vic", 3)).state], [3, 3]);
  assert.deepEqual(cache.cacheStats, { hits: 1, misses: 5 });
});

test("S3-16: an answer ends after its time to live, though nothing was written", async (t) => {
  keepsPromise(t, ["S2-112", "S3-16"]);
  const { clock, read } = open({ ttlMs: 1000 });
  await read("uma", 1);
  clock.advance(999);
  assert.equal((await read("uma", 2)).state, 1);
  clock.advance(1);
  assert.equal((await read("uma", 3)).state, 3);
});

test("a time to live of nothing keeps nothing", async () => {
  const { read } = open({ ttlMs: 0 });
  await read("uma", 1);
  assert.equal((await read("uma", 2)).state, 2);
});

test("entries and bytes are bounded: the oldest go, and what is too large is not kept at all", async () => {
  const few = open({ maxEntries: 3 });
  for (let i = 0; i < 10; i++) await few.read(`owner ${i}`, i);
  assert.equal(few.cache.size, 3);
  assert.equal((await few.read("owner 9", 99)).state, 9);
  assert.equal((await few.read("owner 0", 99)).state, 99);

  const large = open();
  for (let i = 0; i < 40; i++) await large.read("uma", i, { key: `key ${i}`, bytes: MIB });
  assert.deepEqual([large.cache.size, large.cache.bytes], [16, 16 * MIB]);
  await large.read("uma", 0, { key: "too large", bytes: MIB + 1 });
  assert.equal((await large.read("uma", 1, { key: "too large", bytes: 1 })).state, 1);
  large.cache.changedAll();
  assert.deepEqual([large.cache.size, large.cache.bytes], [0, 0]);
});

test("the cache of accounts' last writes is bounded, too; its evicted entries invalidate their values", async () => {
  const { cache, read } = open({ maxEntries: 3 });
  await read("uma", 1);
  for (const owner of ["a", "b", "c", "d"]) cache.changed(owner);
  assert.equal((await read("uma", 2)).state, 2);
});

test("a reading that fails or finds nothing is not kept", async () => {
  const { cache, read } = open();
  await assert.rejects(
    cache.read("uma", () => Promise.reject(new Error("no"))),
    /no/,
  );
  assert.equal(await cache.read("uma", async () => undefined), undefined);
  assert.equal((await read("uma", 1)).state, 1);
});
