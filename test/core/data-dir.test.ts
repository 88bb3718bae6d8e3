import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { createDatabaseFile, DataDirRefused, prepareDataDir } from "../../src/core/data-dir.ts";
import { temporaryDir } from "../helpers/store.ts";

test("a data directory is made for its owner only, with the directories above it", (t) => {
  const dir = join(temporaryDir(t), "var", "prism");
  prepareDataDir(dir);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
});

test("one that is there is left as it is", (t) => {
  const dir = join(temporaryDir(t), "data");
  mkdirSync(dir);
  chmodSync(dir, 0o750);
  prepareDataDir(dir);
  assert.equal(statSync(dir).mode & 0o777, 0o750);
});

test("one that cannot be used is refused with its name and what to do", async (t) => {
  const file = join(temporaryDir(t), "file");
  writeFileSync(file, "");
  chmodSync(file, 0o700);
  for (const [name, dir, words] of [
    ["a file", file, /is a file; choose another with --data-dir/],
    ["inside a file", join(file, "data"), /cannot be written \(ENOTDIR\); choose another with --data-dir/],
    ["where nothing can be made", "/proc/prism", /\/proc\/prism cannot be written \(E/],
  ] as const)
    await t.test(name, () =>
      assert.throws(
        () => prepareDataDir(dir),
        (error) => error instanceof DataDirRefused && words.test(error.message),
      ),
    );
});

test("a database file is made for its owner only, and one that is there is not touched", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  createDatabaseFile(file);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, "content");
  chmodSync(file, 0o640);
  createDatabaseFile(file);
  assert.deepEqual([readFileSync(file, "utf8"), statSync(file).mode & 0o777], ["content", 0o640]);
  assert.throws(() => createDatabaseFile(join(file, "x")), DataDirRefused);
  assert.equal(existsSync(join(file, "x")), false);
});
