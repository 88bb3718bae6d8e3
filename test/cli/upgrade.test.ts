import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { loadAuditKey } from "../../src/store/sealed-settings.ts";
import { migrateUp, requireOwnSchema } from "../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { lastBackupAt } from "../../src/store/sqlite/snapshot.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { databaseIn, RunningCli, runCli, runJson } from "./run-cli.ts";

const KEY = Buffer.from("0123456789abcdefghijklmnopqrstuv");
const ENV = {
  PRISM_ENCRYPTION_KEY: KEY.toString("base64"),
  JWT_SECRET: "mPq7Zr1xVb4Nc9Td2Wf6Ys8Gh3Jk5Lu0",
  PORT: "0",
};
/** The schema of 0.2.0. */
const OLD = MIGRATIONS.filter(({ name }) => name < "0067");
const DELIVERIES = 20_000;

interface Old {
  readonly cwd: string;
  readonly file: string;
  readonly backups: string;
}

/** A database on which an earlier version has run. */
function oldDatabase(t: TestContext, rows = DELIVERIES, schema = OLD): Old {
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");
  mkdirSync(data, { mode: 0o700 });
  const file = databaseIn(data);
  const connection = new SqliteDatabase(file);
  connection.pragma("journal_mode = WAL");
  migrateUp(connection, schema);
  loadAuditKey(connection, new SealedBox([KEY]));
  connection
    .prepare(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < ?)
       insert into deliveries (id, notificationId, userId, channel, state, attempts, createdAt, updatedAt)
       select printf('d%09d', i), printf('n%09d', i), 'u', 'email', 'delivered', i % 7, i, i from n`,
    )
    .run(rows);
  connection.close();
  return { cwd, file, backups: join(data, "backups/upgrade") };
}

function looking<T>(file: string, look: (connection: Sqlite) => T): T {
  const connection = new SqliteDatabase(file, { readonly: true });
  try {
    return look(connection);
  } finally {
    connection.close();
  }
}

/** What the deliveries are in sum. */
function deliveriesIn(file: string): unknown {
  return looking(file, (connection) =>
    connection
      .prepare("select count(*) c, sum(attempts) a, sum(createdAt) t, min(id) f, max(id) l from deliveries")
      .get(),
  );
}

function archivesOf(backups: string): string[] {
  return existsSync(backups) ? readdirSync(backups).filter((name) => name.endsWith(".tar")) : [];
}

test("an upgrade that is killed again and again ends with every row, the schema of a new database and one good backup", async (t) => {
  const old = oldDatabase(t);
  const before = deliveriesIn(old.file);
  for (const stage of [
    "making a verified backup",
    "0067_ping_bodies",
    "0071_begun_attempts",
    "0077_drop_lost_rights",
  ]) {
    const server = new RunningCli(t, ["serve"], { cwd: old.cwd, env: ENV });
    // The log names each stage as it begins; where the kill hits differs from run to run.
    await server.until(new RegExp(`${stage}|Prism is ready`));
    server.signal("SIGKILL");
    await server.ended();
    assert.deepEqual(deliveriesIn(old.file), before, stage);
  }
  const server = new RunningCli(t, ["serve"], { cwd: old.cwd, env: ENV });
  await server.until(/Prism is ready/);
  assert.deepEqual(deliveriesIn(old.file), before);
  const applied = looking(old.file, requireOwnSchema);
  assert.deepEqual(applied, valuesOf(MIGRATIONS, "name"));
  server.signal("SIGTERM");
  await server.ended();

  const archives = archivesOf(old.backups);
  assert.ok(archives.length === 1 || archives.length === 2, archives.join());
  // A kill after the last migration leaves its list, which no later upgrade continues.
  const found = readdirSync(old.backups).filter((name) => !name.endsWith(".tar") && name !== "unfinished.json");
  assert.deepEqual(found, [], "nothing of an interrupted upgrade is left");
  for (const name of archives) {
    const { status, stderr } = await runCli(["restore", join(old.backups, name), "--check"], {
      cwd: old.cwd,
      env: ENV,
    });
    assert.equal(status, 0, stderr);
  }
});

test("a database of 0.1 is refused with the way through 0.2, and nothing is written", async (t) => {
  const old = oldDatabase(t, 100, OLD.slice(0, -1));
  const before = readFileSync(old.file);
  const files = readdirSync(join(old.cwd, "data"));
  for (const args of [["serve"], ["migrate"], ["migrate", "status"], ["backup"], ["doctor", "--db"]]) {
    const { status, stdout, stderr } = await runCli([...args, "--json"], { cwd: old.cwd, env: ENV });
    const said = stdout + stderr;
    assert.match(
      said,
      /the database is of version 0\.1; start 0\.2\.0 with it once, then this program/,
      args.join(" "),
    );
    if (args[0] !== "doctor") assert.deepEqual([status, said.includes('"SCHEMA_REFUSED"')], [3, true], said);
  }
  assert.deepEqual(readFileSync(old.file), before);
  // SQLite's files beside the database, and the lock.
  const left = readdirSync(join(old.cwd, "data")).filter((name) => !files.includes(name));
  assert.deepEqual(
    left.filter((name) => !/^prism\.(?:lock|db(?:-shm|-wal|\.lock))$/.test(name)),
    [],
  );
  assert.equal(
    looking(old.file, (connection) => connection.prepare("select count(*) from migrations").pluck().get()),
    OLD.length - 1,
  );
});

test("an interrupted upgrade keeps its backup of the whole, and makes none of the half", async (t) => {
  const old = oldDatabase(t, 100);
  mkdirSync(old.backups, { recursive: true });
  writeFileSync(join(old.backups, "prism-20260101T000000Z.tar"), "the archive of before");
  const half = OLD.length + 3;
  const pending = MIGRATIONS.slice(OLD.length).map(({ name }) => name);
  writeFileSync(join(old.backups, "unfinished.json"), JSON.stringify(pending));
  const connection = new SqliteDatabase(old.file);
  migrateUp(connection, MIGRATIONS.slice(0, half));
  connection.close();
  const reply = await runJson<{ appliedNow: string[] }>(["migrate"], { cwd: old.cwd, env: ENV });
  assert.deepEqual(reply.appliedNow, pending.slice(3));
  assert.deepEqual(readdirSync(old.backups), ["prism-20260101T000000Z.tar"]);
  assert.equal(readFileSync(join(old.backups, "prism-20260101T000000Z.tar"), "utf8"), "the archive of before");
});

test("a backup is made before the first pending migration, the newest two are kept, and a setting or flag leaves it out", async (t) => {
  const old = oldDatabase(t, 100);
  mkdirSync(old.backups, { recursive: true });
  for (const day of [1, 2, 3]) writeFileSync(join(old.backups, `prism-2026010${day}T000000Z.tar`), "");
  await runJson(["migrate"], { cwd: old.cwd, env: ENV });
  const kept = archivesOf(old.backups).sort();
  assert.deepEqual([kept.length, kept[0]], [2, "prism-20260103T000000Z.tar"]);
  const elsewhere = join(old.cwd, "restored");
  const archive = join(old.backups, kept[1] ?? "");
  const { status, stderr } = await runCli(["restore", archive, "--to", elsewhere], { cwd: old.cwd, env: ENV });
  assert.equal(status, 0, stderr);
  assert.deepEqual(deliveriesIn(databaseIn(elsewhere)), deliveriesIn(old.file));
  assert.equal(looking(old.file, lastBackupAt), null, "doctor and status do not count it as a backup");

  for (const [args, env] of [
    [["migrate", "--no-backup"], ENV],
    [["migrate"], { ...ENV, PRISM_STORE_BACKUP_BEFORE_UPGRADE: "false" }],
  ] as const) {
    const bare = oldDatabase(t, 100);
    await runJson(args, { cwd: bare.cwd, env });
    assert.equal(existsSync(bare.backups), false);
  }
});

test("without room for the backup nothing is migrated, and the message names the setting", async (t) => {
  const old = oldDatabase(t, 100);
  const env = { ...ENV, PRISM_MIN_FREE_BYTES: "1000000000000000" };
  const { status, stderr } = await runCli(["migrate"], { cwd: old.cwd, env });
  assert.equal(status, 3);
  assert.match(stderr, /no backup could be made before the upgrade: there is not enough room .*backupBeforeUpgrade/s);
  const applied = looking(old.file, (connection) =>
    connection.prepare("select count(*) from migrations").pluck().get(),
  );
  assert.equal(applied, OLD.length);
});

test("while the database is upgraded the port answers 503 with the percentage, and the log names each migration", async (t) => {
  const old = oldDatabase(t, 100);
  const port = await lastingPort();
  // The upgrade waits for the other writer, so the requests find it under way.
  const other = new SqliteDatabase(old.file);
  other.exec("begin immediate");
  const env = { ...ENV, PORT: String(port), PRISM_STORE_BACKUP_BEFORE_UPGRADE: "false" };
  const server = new RunningCli(t, ["serve"], { cwd: old.cwd, env });
  const at = `http://127.0.0.1:${port}`;
  const reply = await eventually("an answer", () => fetch(`${at}/api/v1/events`, { method: "POST" }).catch(() => null));
  const { error } = (await reply.json()) as {
    error: { code: string; message: string; details: { percent: number }[] };
  };
  assert.deepEqual([reply.status, error.code, error.details[0]?.percent], [503, "UPGRADING", 0]);
  assert.match(error.message, /0 % done/);
  assert.match(reply.headers.get("retry-after") ?? "", /^\d+$/);
  const shown = await fetch(`${at}/dashboard/`, { headers: { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  assert.deepEqual([shown.status, shown.headers.get("content-type")], [503, "text/html; charset=utf-8"]);
  const page = await shown.text();
  assert.match(page, /<h1>Prism is being upgraded<\/h1>\n.* 0 % done/);
  assert.match(page, /http-equiv="refresh"/, "it loads again by itself");
  const live = await fetch(`${at}/health/live`);
  assert.deepEqual([live.status, await live.json()], [200, { status: "ok" }]);
  assert.equal((await fetch(`${at}/health/ready`)).status, 503);
  other.exec("rollback");
  other.close();
  await server.until(/Prism is ready/);
  assert.equal((await fetch(`${at}/health/ready`)).status, 200);
  for (const { name } of MIGRATIONS.slice(OLD.length)) assert.match(server.stdout, new RegExp(`"migration":"${name}"`));
  // Before its directory is removed.
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});

test("a port of ntfy that is taken is named as such, before an upgrade begins", async (t) => {
  const old = oldDatabase(t, 100);
  const [port, taken] = [await lastingPort(), await lastingPort()];
  const holder = createServer().listen(taken, "127.0.0.1");
  t.after(() => holder.close());
  const env = { ...ENV, PORT: String(port), PRISM_NTFY_PORT: String(taken) };
  const { status, stderr } = await runCli(["serve"], { cwd: old.cwd, env });
  assert.equal(status, 4, stderr);
  assert.match(stderr, /the port is taken; choose another in ntfy\.port or PRISM_NTFY_PORT/);
});
