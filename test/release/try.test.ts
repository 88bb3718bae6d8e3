import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { releaseFile } from "../deploy/support/release.ts";
import { addSystem, canIsolate, makeRoot } from "../deploy/support/sandbox.ts";
import { temporaryDir } from "../helpers/store.ts";

const top = join(import.meta.dirname, "../..");
const built = join(top, "dist/prism");
const script = join(top, "scripts/package/try.mjs");

test("scripts/package/try.mjs: the archive serves in a root that has the C and C++ libraries only, and fails without them", (t) => {
  const root = makeRoot(t, { isEmpty: true });
  addSystem(root, built);
  const from = join(releaseFile(".tar.gz"), "..");
  const attempt = () => spawnSync(process.execPath, [script, "--from", from, "--root", root], { encoding: "utf8" });
  const { status, stdout, stderr } = attempt();
  // It makes namespaces itself.
  if (!canIsolate) return assert.notEqual(status, 0);
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, /^glibc {8}\d.*\n(.*\n)*.*event message accepted\n(.*\n)*prism-.*\.tar\.gz runs on \//m);

  const libraries = join(root, "usr/lib", readdirSync(join(root, "usr/lib")).find((name) => /linux/.test(name)) ?? "");
  rmSync(join(libraries, "libm.so.6"));
  const failed = attempt();
  assert.notEqual(failed.status, 0);
  assert.match(failed.stderr, /libm\.so\.6: cannot open shared object file/);
});

test("on a system whose glibc is too old the executable says which one it needs", (t) => {
  const folder = temporaryDir(t);
  const bytes = readFileSync(built);
  // Of an addon; the executable itself needs at most 2.28.
  const addon = readFileSync(join(top, `node_modules/better-sqlite3/prebuilds/linux-${process.arch}.node`), "latin1");
  const [needed] = /GLIBC_2\.(29|3\d)\0/.exec(addon) ?? [];
  assert.ok(needed);
  const missing = needed.replace("2", "9");
  for (let at = bytes.indexOf(needed); at >= 0; at = bytes.indexOf(needed, at)) bytes.write(missing, at, "latin1");
  const changed = join(folder, "prism");
  writeFileSync(changed, bytes, { mode: 0o755 });
  const env = { PATH: process.env["PATH"], PRISM_CACHE_DIR: folder, PRISM_DATA_DIR: join(folder, "data") };
  const { status, stderr } = spawnSync(changed, ["migrate"], { env, cwd: folder, encoding: "utf8" });
  assert.equal(status, 4);
  assert.match(stderr, /^prism: this build needs glibc 2\.\d+ or newer, and this system has 2\.\d+\n/);
});
