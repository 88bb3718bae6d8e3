import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { archiveName, archivesIn, archiveTime } from "../../src/core/data-dir.ts";
import { DAY_MS } from "../../src/core/time/clock.ts";
import { migrateFile } from "../../src/store/sqlite/migrate.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, runCli } from "./run-cli.ts";

interface Look {
  readonly status: number | null;
  said(name: string): string;
}

/** Statuses and messages of a check, a line each. */
async function look(cwd: string, ...args: string[]): Promise<Look> {
  const { status, stdout, stderr } = await runCli(["doctor", "--json", ...args], { cwd, env: { PORT: "0" } });
  assert.notEqual(stdout, "", stderr);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  return {
    status,
    said: (name) =>
      checks
        .filter((check) => check.name === name)
        .map((check) => `${check.status} ${check.message}`)
        .join("\n"),
  };
}

function dataDir(t: TestContext): { cwd: string; data: string; backups: string } {
  const cwd = temporaryDir(t);
  const [data, backups] = [join(cwd, "data"), join(cwd, "data/backups")];
  mkdirSync(backups, { recursive: true, mode: 0o700 });
  chmodSync(data, 0o700);
  // Archives without a database are a FAIL of their own.
  migrateFile(databaseIn(data));
  return { cwd, data, backups };
}

test("the name of an archive says when it was made, and names sort by that", (t) => {
  const at = Date.UTC(2026, 0, 31, 8, 0, 1);
  assert.equal(archiveName(at + 999), "prism-20260131T080001Z.tar");
  assert.equal(archiveTime("prism-20260131T080001Z.tar"), at);
  for (const name of [
    "prism.tar",
    "prism-20261331T080001Z.tar",
    "prism-20260131T080001Z.tar.gz",
    "a-prism-20260131T080001Z.tar",
  ])
    assert.equal(archiveTime(name), undefined, name);
  const dir = temporaryDir(t);
  for (const name of ["prism-20260131T080001Z.tar", "prism-20260201T080001Z.tar", "other.tar"])
    writeFileSync(join(dir, name), "");
  mkdirSync(join(dir, "prism-20260202T080001Z.tar"));
  assert.deepEqual(archivesIn(dir), ["prism-20260201T080001Z.tar", "prism-20260131T080001Z.tar"]);
});

test("doctor has no line about backups in development where there are none, and warns when the newest is a week old", async (t) => {
  const { cwd, backups } = dataDir(t);
  assert.equal((await look(cwd)).said("backups"), "");
  const archive = (daysAgo: number): void => {
    writeFileSync(join(backups, archiveName(Date.now() - daysAgo * DAY_MS - 60_000)), "", { mode: 0o600 });
  };
  archive(30);
  archive(8);
  const old = await look(cwd);
  assert.deepEqual(
    [old.status, /^WARN the newest backup was made .*, 8 days ago$/.test(old.said("backups"))],
    [0, true],
  );
  archive(1);
  assert.match((await look(cwd)).said("backups"), /^PASS the newest backup was made /);
});

test("an archive that others may read is a FAIL, and --fix closes it", async (t) => {
  const { cwd, backups } = dataDir(t);
  const file = join(backups, archiveName(Date.now()));
  writeFileSync(file, "");
  chmodSync(file, 0o644);
  const open = await look(cwd);
  assert.deepEqual([open.status, /FAIL .*Z\.tar has mode 0644/.test(open.said("permissions"))], [8, true]);
  assert.equal((await look(cwd, "--fix")).status, 0);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("--fix removes what a killed command has left, once no other process uses it", async (t) => {
  const { cwd, data, backups } = dataDir(t);
  const stale = [join(data, ".restore-1.partial"), join(backups, ".a.tar.2.partial")];
  const fresh = join(backups, ".b.tar.3.partial");
  for (const folder of [...stale, fresh]) {
    mkdirSync(folder);
    writeFileSync(join(folder, "prism.db"), "half a copy");
  }
  const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
  for (const folder of stale)
    for (const path of [join(folder, "prism.db"), folder]) utimesSync(path, hoursAgo, hoursAgo);
  // The folder looks old, but what is in it grows.
  utimesSync(fresh, hoursAgo, hoursAgo);
  const found = await look(cwd);
  assert.match(
    found.said("leftovers"),
    /^WARN .*\.restore-1\.partial, .*\.a\.tar\.2\.partial: left by a command that was killed$/,
  );
  assert.match((await look(cwd, "--fix")).said("leftovers"), /^PASS removed/);
  const shown = [...stale, fresh].map((path) => existsSync(path));
  assert.deepEqual(shown, [false, false, true]);
  assert.equal((await look(cwd)).said("leftovers"), "");
});
