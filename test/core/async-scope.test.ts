import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { AsyncScope } from "../../src/core/caller.ts";

test("the value follows a call through everything it awaits, and no other call sees it", async () => {
  const scope = new AsyncScope<string>();
  const seen: (string | undefined)[] = [];
  const work = scope.run("a", async () => {
    await turn();
    await Promise.resolve();
    seen.push(scope.get());
  });
  assert.equal(scope.get(), undefined);
  await work;
  assert.deepEqual([seen, scope.get()], [["a"], undefined]);
});

test("two calls at once each have their own", async () => {
  const scope = new AsyncScope<number>();
  const values = await Promise.all(
    [1, 2, 3].map((value) =>
      scope.run(value, async () => {
        for (let i = 0; i < value; i++) await turn();
        return scope.get();
      }),
    ),
  );
  assert.deepEqual(values, [1, 2, 3]);
});

test("a call inside a call has its own value, and gives the outer one back", async () => {
  const scope = new AsyncScope<string>();
  const seen: (string | undefined)[] = [];
  await scope.run("outer", async () => {
    await scope.run("inner", async () => {
      await turn();
      seen.push(scope.get());
    });
    seen.push(scope.get());
  });
  assert.deepEqual(seen, ["inner", "outer"]);
});

test("what was started inside and outlives the call is without the value, also while another call is inside", async () => {
  const scope = new AsyncScope<string>();
  let left: Promise<(string | undefined)[]> | undefined;
  scope.run("over", () => {
    left = (async () => {
      await turn();
      const first = scope.get();
      await turn();
      return [first, scope.get()];
    })();
  });
  await scope.run("other", async () => {
    for (let i = 0; i < 4; i++) await turn();
  });
  assert.deepEqual(await left, [undefined, undefined]);
});

test("an error passes and ends the call", async () => {
  const scope = new AsyncScope<string>();
  assert.throws(
    () =>
      scope.run("a", () => {
        throw new Error("at once");
      }),
    { message: "at once" },
  );
  await assert.rejects(
    scope.run("a", async () => {
      await turn();
      throw new Error("later");
    }),
    { message: "later" },
  );
  assert.equal(scope.get(), undefined);
});

test("a call that returns at once has the value for as long", () => {
  const scope = new AsyncScope<string>();
  assert.equal(
    scope.run("a", () => scope.get()),
    "a",
  );
  assert.equal(scope.get(), undefined);
});
