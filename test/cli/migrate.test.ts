import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { DataDirLock } from "../../src/store/sqlite/data-dir-lock.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, runCli, runJson } from "./run-cli.ts";

const ALL = MIGRATIONS.map(({ name }) => name);

interface MigrateReply {
  readonly applied: string[];
  readonly pending: string[];
  readonly appliedNow: string[];
}

test("S4-16, S1-23: migrations are listed, applied, and the database created again", async (t) => {
  keepsPromise(t, "S1-23");
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");

  await t.test("status on an absent database exits 4 and makes nothing", async () => {
    const { status, stderr } = await runCli(["migrate", "status", "--json"], { cwd });
    assert.equal(status, 4);
    assert.match(stderr, /there is no database at .*data\/prism\.db/);
    assert.equal(existsSync(data), false);
  });

  await t.test("--dry-run says what would be applied and makes nothing", async () => {
    assert.deepEqual((await runJson<MigrateReply>(["migrate", "--dry-run"], { cwd })).pending, ALL);
    assert.equal(existsSync(data), false);
  });

  await t.test("up applies everything, and then nothing", async () => {
    const first = await runJson<MigrateReply>(["migrate"], { cwd });
    assert.deepEqual(first, { applied: ALL, pending: [], appliedNow: ALL });
    const again = await runJson<MigrateReply>(["migrate", "up"], { cwd });
    assert.deepEqual(again, { applied: ALL, pending: [], appliedNow: [] });
    assert.equal(statSync(data).mode & 0o777, 0o700);
    assert.equal(statSync(databaseIn(data)).mode & 0o777, 0o600);
  });

  await t.test("status then exits 0 and shows when", async () => {
    const { status, stdout } = await runCli(["migrate", "status"], { cwd });
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`${ALL[0]} +20\\d\\d-\\d\\d-\\d\\dT`));
  });

  await t.test("reset asks first; without a terminal --yes has to say so", async () => {
    mark(databaseIn(data));
    const { status, stderr } = await runCli(["migrate", "reset"], { cwd });
    assert.equal(status, 2);
    assert.match(stderr, /nothing was deleted; --yes/);
    const dry = await runJson<{ wouldDelete: string[] }>(["migrate", "reset", "--dry-run"], { cwd });
    assert.ok(dry.wouldDelete.includes(databaseIn(data)));
    assert.equal(isMarked(databaseIn(data)), true);
  });

  await t.test("reset is refused in production without --force", async () => {
    const env = { NODE_ENV: "production" };
    const { status, stderr } = await runCli(["migrate", "reset", "--yes"], { cwd, env });
    assert.equal(status, 2);
    assert.match(stderr, /production.*--force/);
    assert.equal(isMarked(databaseIn(data)), true);
  });

  await t.test("reset --yes leaves an empty, current database", async () => {
    const reply = await runJson<MigrateReply>(["migrate", "reset", "--yes"], { cwd });
    assert.deepEqual(reply.applied, ALL);
    assert.equal(isMarked(databaseIn(data)), false);
  });

  await t.test("while another process holds the data directory, only what would change something exits 4", async () => {
    const unmigrated = join(cwd, "unmigrated");
    mkdirSync(unmigrated);
    const locks = [data, unmigrated].map((dataDir) =>
      DataDirLock.tryAcquire({ dataDir, databaseFile: databaseIn(dataDir) }),
    );
    const [current, missing, reset, status] = await Promise.all([
      runCli(["migrate"], { cwd }),
      runCli(["migrate", "--data-dir", unmigrated], { cwd }),
      runCli(["migrate", "reset", "--yes"], { cwd }),
      runCli(["migrate", "status"], { cwd }),
    ]);
    for (const lock of locks) lock?.release();
    assert.deepEqual([current.status, missing.status, reset.status, status.status], [0, 4, 4, 0]);
    assert.match(missing.stderr, /another Prism holds the data directory .*unmigrated \(pid \d+\)\n$/);
  });

  await t.test("a database that is newer than the program exits 3", async () => {
    const db = new SqliteDatabase(databaseIn(data));
    db.prepare("insert into migrations (name, checksum, appliedAt) values ('9999_from_the_future', 'x', 1)").run();
    db.close();
    const { status, stderr } = await runCli(["migrate", "status"], { cwd });
    assert.equal(status, 3);
    assert.match(stderr, /^prism: the database is newer than this program: it has 9999_from_the_future.*\n$/);
  });
});

/** Something that a new database does not have. */
function mark(file: string): void {
  const db = new SqliteDatabase(file);
  db.prepare("insert into settings (key, value, updatedAt) values ('mark', 1, 1)").run();
  db.close();
}

function isMarked(file: string): boolean {
  const db = new SqliteDatabase(file, { readonly: true });
  const row = db.prepare("select 1 from settings where key = 'mark'").get();
  db.close();
  return row !== undefined;
}
