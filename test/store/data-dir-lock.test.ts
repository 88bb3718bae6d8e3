import assert from "node:assert/strict";
import { watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { DataDirLock } from "../../src/store/sqlite/data-dir-lock.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";

test("taking and releasing the lock waits for no disk: SQLite writes no journal for it", async (t) => {
  const dataDir = temporaryDir(t);
  const changed = new Set<string | null>();
  const watcher = watch(dataDir, (_event, name) => changed.add(name));
  t.after(() => watcher.close());
  const lock = DataDirLock.tryAcquire({ dataDir, databaseFile: join(dataDir, "prism.db") });
  assert.ok(lock);
  lock.release();
  // Events come in the order of the changes.
  writeFileSync(join(dataDir, "last"), "");
  await eventually("the change after the release", () => changed.has("last"));
  assert.deepEqual(
    [...changed].filter((name) => name?.endsWith("-journal")),
    [],
  );
});
