import assert from "node:assert/strict";
import test from "node:test";
import { OwnerTurns } from "../../src/core/limits/owner-turns.ts";
import { deferred } from "../../src/core/promises.ts";

test("work of one owner waits for its own turn, and holds no other owner", async () => {
  const turns = new OwnerTurns({ total: 3, perOwner: 2 });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (owner: string, name: string): Promise<void> =>
    turns.run(owner, () => {
      const end = deferred<void>();
      begun.push(name);
      ends.set(name, () => end.resolve());
      return end.promise;
    });
  const end = async (name: string, work: Promise<void> | undefined): Promise<void> => {
    ends.get(name)?.();
    await work;
    await Promise.resolve();
  };
  const [a1, a2, a3, b1, b2, c1] = [
    run("a", "a1"),
    run("a", "a2"),
    run("a", "a3"),
    run("b", "b1"),
    run("b", "b2"),
    run("c", "c1"),
  ];
  await Promise.resolve();
  assert.deepEqual(begun, ["a1", "a2", "b1"]);
  await end("b1", b1);
  assert.deepEqual(begun.slice(3), ["b2"]);
  await end("a1", a1);
  assert.deepEqual(begun.slice(4), ["a3"]);
  await end("b2", b2);
  assert.deepEqual(begun.slice(5), ["c1"]);
  for (const [name, work] of [
    ["a2", a2],
    ["a3", a3],
    ["c1", c1],
  ] as const)
    await end(name, work);
  await assert.rejects(
    turns.run("a", () => Promise.reject(new Error("own"))),
    /own/,
  );
});
