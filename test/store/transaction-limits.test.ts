import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../src/core/promises.ts";
import type { Trx } from "../../src/store/database.ts";
import { column, openTestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";

const put = (trx: Trx, key: string) => trx.insertInto("settings").values({ key, value: 1, updatedAt: 0 }).execute();
const LIMIT_MS = 5000;

testBothWriters(
  "a transaction that holds the writer for 5 s is rolled back and the writer goes to the next",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    // On a busy machine the second transaction may take long enough for a warning.
    t.mock.method(performance, "now", () => 0);
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let kept: Trx | undefined;
    const inside = deferred<void>();
    const stuck = store.database.write(async (trx) => {
      await put(trx, "test.stuck");
      kept = trx;
      inside.resolve();
      await new Promise(() => undefined);
    });
    const refused = assert.rejects(stuck, { code: "DATABASE_UNAVAILABLE" });
    await inside.promise;
    const next = store.database.write((trx) => put(trx, "test.next"));
    t.mock.timers.tick(LIMIT_MS - 1);
    assert.equal(store.log.lines.length, 0);
    t.mock.timers.tick(1);
    await refused;
    await next;
    assert.deepEqual(column(store.reader, "select key from settings where key like 'test.%'"), ["test.next"]);
    assert.ok(kept);
    await assert.rejects(put(kept, "test.late"), { code: "DATABASE_UNAVAILABLE" });
    assert.deepEqual(
      store.log.lines.map(({ level, message }) => [level, message]),
      [["error", "rolled back a transaction that held the writer too long"]],
    );
    assert.match(String(store.log.lines[0]?.fields["firstQuery"]), /^insert into "settings"/);
  },
);

test("a callback that comes back after its transaction was rolled back changes nothing", async (t) => {
  const store = openTestStore(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const inside = deferred<void>();
  const late = deferred<void>();
  const slow = store.database.write(async (trx) => {
    await put(trx, "test.slow");
    inside.resolve();
    await late.promise;
  });
  const refused = assert.rejects(slow, { code: "DATABASE_UNAVAILABLE" });
  await inside.promise;
  t.mock.timers.tick(LIMIT_MS);
  await refused;
  late.resolve();
  await store.database.write((trx) => put(trx, "test.next"));
  assert.deepEqual(column(store.reader, "select key from settings where key like 'test.%'"), ["test.next"]);
});

test("a transaction that ends in time arms nothing", async (t) => {
  const store = openTestStore(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  await store.database.write((trx) => put(trx, "test.quick"));
  t.mock.timers.tick(LIMIT_MS * 2);
  assert.deepEqual(
    store.log.lines.filter(({ level }) => level === "error"),
    [],
  );
});

test("a transaction that holds the writer over 250 ms is warned about, with the statement that names it", async (t) => {
  const store = openTestStore(t);
  let now = 0;
  t.mock.method(performance, "now", () => now);
  await store.database.write(async (trx) => {
    await put(trx, "test.quick");
    now += 10;
  });
  assert.equal(store.log.lines.length, 0);
  await store.database.write(async (trx) => {
    await put(trx, "test.slow");
    now += 11;
  });
  await store.database.write(async (trx) => {
    await put(trx, "test.slower");
    now += 251;
  });
  assert.deepEqual(
    store.log.lines.map(({ level, fields, message }) => [level, fields["durationMs"], message]),
    [
      ["debug", 11, "a transaction held the writer; nothing was stored meanwhile"],
      ["warn", 251, "a transaction held the writer; nothing was stored meanwhile"],
    ],
  );
  assert.match(String(store.log.lines[0]?.fields["firstQuery"]), /^insert into "settings"/);
});
