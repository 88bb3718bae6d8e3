import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Script } from "node:vm";
import { temporaryDir } from "../helpers/store.ts";
import { PrismBinary } from "./prism-binary.ts";

const ADDON = "better_sqlite3.node";
const bytes = readFileSync(
  join(import.meta.dirname, `../../node_modules/better-sqlite3/prebuilds/linux-${process.arch}.node`),
);
const folderName = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
const NOT_AN_ADDON = "this must never be loaded";

/** A cache folder with a file in the addon's name. @returns the folder that holds it */
function prepared(cache: string): string {
  const folder = join(cache, "prism-native", folderName);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, ADDON), NOT_AN_ADDON, { mode: 0o700 });
  return folder;
}

const OTHER_USER = 65_534;
const isRoot = process.getuid?.() === 0;

/** Cache folders that another user could have prepared. */
const UNSAFE: readonly { readonly name: string; readonly needsRoot?: true; prepare(cache: string): void }[] = [
  {
    name: "the folder belongs to another user",
    needsRoot: true,
    prepare: (cache) => chownSync(prepared(cache), OTHER_USER, OTHER_USER),
  },
  {
    name: "a folder above belongs to another user",
    needsRoot: true,
    prepare: (cache) => {
      prepared(cache);
      chownSync(cache, OTHER_USER, OTHER_USER);
    },
  },
  {
    name: "a link to a world-writable folder of the right owner, with the sticky bit",
    prepare: (cache) => {
      const open = join(cache, "open");
      mkdirSync(open);
      chmodSync(open, 0o1777);
      writeFileSync(join(open, ADDON), NOT_AN_ADDON);
      mkdirSync(join(cache, "prism-native"));
      symlinkSync(open, join(cache, "prism-native", folderName));
    },
  },
  {
    name: "a folder above can be written by others",
    prepare: (cache) => {
      prepared(cache);
      chmodSync(join(cache, "prism-native"), 0o777);
    },
  },
];

for (const { name, needsRoot, prepare } of UNSAFE)
  if (isRoot || !needsRoot)
    test(`an addon is not loaded from a prepared folder: ${name}`, (t) => {
      const cache = temporaryDir(t);
      const temporary = temporaryDir(t);
      prepare(cache);
      const env = { PRISM_CACHE_DIR: cache, HOME: "", XDG_CACHE_HOME: "", TMPDIR: temporary };
      const { status, stderr } = new PrismBinary(t, { env }).run(["migrate"]);
      assert.equal(status, 0, stderr);
      assert.deepEqual(readdirSync(temporary), [], "the temporary folder is removed once the addons are loaded");
    });

test("without a folder that stays all threads of a server have the same copy of SQLite", async (t) => {
  const env = { PRISM_CACHE_DIR: "", HOME: "", XDG_CACHE_HOME: "", PRISM_STORE_WRITER: "thread" };
  const prism = new PrismBinary(t, { env });
  await prism.start();
  const { status } = await prism.call("POST", "/api/v1/events", { type: "stored", payload: {} });
  assert.equal(status, 202);
  const maps = readFileSync(`/proc/${prism.pid}/maps`, "latin1").split("\n");
  const copies = new Set(maps.filter((line) => line.includes(ADDON)).map((line) => line.split(/ +/)[4]));
  assert.equal(copies.size, 1, [...copies].join(", "));
});

test("an addon in the own cache that is not the build's is replaced before it is loaded", (t) => {
  const cache = temporaryDir(t);
  const folder = prepared(cache);
  const prism = new PrismBinary(t, { env: { PRISM_CACHE_DIR: cache } });
  assert.equal(prism.run(["migrate"]).status, 0);
  assert.ok(readFileSync(join(folder, ADDON)).equals(bytes));
  assert.deepEqual(readdirSync(folder), [ADDON]);
});

test("an addon gets a stamp of its content, and one that has changed since is unpacked again", (t) => {
  const cache = temporaryDir(t);
  const folder = join(cache, "prism-native", folderName);
  const addon = join(folder, ADDON);
  const prism = new PrismBinary(t, { env: { PRISM_CACHE_DIR: cache } });
  assert.equal(prism.run(["migrate"]).status, 0);
  assert.equal(prism.run(["migrate"]).status, 0);
  assert.deepEqual(readdirSync(folder), [ADDON, `${ADDON}.stamp`]);

  const { atime, mtime } = statSync(addon);
  writeFileSync(addon, NOT_AN_ADDON.padEnd(bytes.length));
  utimesSync(addon, atime, mtime);
  assert.equal(prism.run(["migrate"]).status, 0);
  assert.ok(readFileSync(addon).equals(bytes));
});

test("a stamp that others can write is not trusted", (t) => {
  const cache = temporaryDir(t);
  const stamp = join(cache, "prism-native", folderName, `${ADDON}.stamp`);
  const prism = new PrismBinary(t, { env: { PRISM_CACHE_DIR: cache } });
  for (let run = 0; run < 2; run++) assert.equal(prism.run(["migrate"]).status, 0);
  chmodSync(stamp, 0o666);
  assert.equal(prism.run(["migrate"]).status, 0);
  assert.equal(statSync(stamp).mode & 0o777, 0o600, "it is written again");
});

test("where every folder can be changed by others the executable ends with 4 and says why", (t) => {
  const open = temporaryDir(t);
  chmodSync(open, 0o777);
  const env = { PRISM_CACHE_DIR: open, HOME: "", XDG_CACHE_HOME: "", TMPDIR: open };
  const { status, stderr } = new PrismBinary(t, { env }).run(["migrate"]);
  assert.equal(status, 4);
  assert.match(stderr, /PRISM_CACHE_DIR/);
  assert.match(stderr, /can be written by others; chmod go-w/);
});

test("the functions that the build has compiled are taken by the Node that it packs", () => {
  const build = join(import.meta.dirname, "../../.build");
  for (const name of ["main.js", "server.js", "worker.js"]) {
    const cachedData = readFileSync(join(build, `${name}.cache`));
    const script = new Script(readFileSync(join(build, name), "utf8"), { cachedData });
    assert.equal(script.cachedDataRejected, false, name);
    // A build that compiled nothing but the outermost functions would have a few kilobytes.
    assert.ok(cachedData.length > 100_000, `${name}: ${cachedData.length} bytes`);
  }
});
