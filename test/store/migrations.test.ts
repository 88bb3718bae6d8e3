import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { DataDirRefused } from "../../src/core/data-dir.ts";
import {
  type Migration,
  migrateFile,
  migrateUp,
  migrationStatus,
  migrationStatusOf,
  pendingMigrations,
  SchemaRefused,
} from "../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { column, openBeside, temporaryDatabase, temporaryDir } from "../helpers/store.ts";

const ALL = MIGRATIONS.map(({ name }) => name);

test("a fresh database gets every migration, in the order of their numbers", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  assert.deepEqual(migrationStatusOf(file), { applied: [], pending: ALL });
  assert.equal(existsSync(file), false, "asking makes nothing");
  assert.deepEqual(migrateFile(file), ALL);
  assert.deepEqual(
    migrationStatusOf(file).applied.map(({ name }) => name),
    [...ALL].sort(),
  );
  assert.deepEqual(pendingMigrations(file), []);
});

test("a database that is up to date is left alone", (t) => {
  const file = temporaryDatabase(t);
  const before = column(openBeside(t, file), "select appliedAt from migrations");
  assert.deepEqual(migrateFile(file), []);
  assert.deepEqual(column(openBeside(t, file), "select appliedAt from migrations"), before);
});

test("a migration whose text has changed since it was applied is refused", (t) => {
  const file = temporaryDatabase(t);
  openBeside(t, file).exec("update migrations set checksum = 'other'");
  assert.throws(() => migrateFile(file), {
    name: "SchemaRefused",
    message: /^0001_core was applied with another text than this program carries; install /,
  });
});

test("a database newer than the program is refused, and nothing of it is changed", (t) => {
  const file = temporaryDatabase(t);
  const beside = openBeside(t, file);
  beside.exec("insert into migrations (name, checksum, appliedAt) values ('9999_later', 'c', 1)");
  for (const ask of [migrateFile, migrationStatusOf, pendingMigrations]) {
    assert.throws(
      () => ask(file),
      (error) => error instanceof SchemaRefused && /newer.*9999_later.*install/.test(error.message),
    );
  }
  assert.equal(column(beside, "select name from migrations").length, ALL.length + 1);
});

test("tables whose migration has no row are named, by name of the table and of the migration", (t) => {
  for (const [migration, trace] of [
    ["0005_delivery", "table deliveries of"],
    ["0001_core", " of"],
  ] as const) {
    const file = temporaryDatabase(t);
    openBeside(t, file).prepare("delete from migrations where name = ?").run(migration);
    for (const ask of [migrateFile, migrationStatusOf, pendingMigrations])
      assert.throws(
        () => ask(file),
        (error: Error) =>
          error instanceof SchemaRefused &&
          error.message.includes(`${trace} the migration ${migration}, but no record`),
      );
  }
});

const FIRST: Migration = { name: "0001_first", sql: "create table a (x integer) strict; insert into a values (1);" };
const SECOND: Migration = { name: "0002_second", sql: "create table b (x integer) strict; insert into a values (2);" };
const BROKEN: Migration = { name: "0002_second", sql: `${SECOND.sql} insert into absent values (1);` };

test("each migration is one transaction: one that fails leaves nothing, and the ones before it stay", (t) => {
  const connection = new SqliteDatabase(join(temporaryDir(t), "a.db"));
  t.after(() => connection.close());
  assert.throws(() => migrateUp(connection, [FIRST, BROKEN]), /no such table: absent/);
  assert.deepEqual(column(connection, "select x from a"), [1]);
  assert.deepEqual(column(connection, "select name from sqlite_schema where name = 'b'"), []);
  assert.deepEqual(migrationStatus(connection, [FIRST, SECOND]).pending, ["0002_second"]);
  assert.deepEqual(migrateUp(connection, [FIRST, SECOND]), ["0002_second"], "and goes on from there");
  assert.deepEqual(column(connection, "select x from a"), [1, 2]);
});

test("a process that dies in the middle of a migration leaves a database that the next start brings up to date", async (t) => {
  const file = join(temporaryDir(t), "prism.db");
  const script = `
    const connection = new (require("better-sqlite3"))(process.argv[1]);
    connection.pragma("journal_mode = WAL");
    connection.exec("begin immediate; create table settings (half text) strict");
    process.kill(process.pid, "SIGKILL");`;
  const child = spawn(process.execPath, ["-e", script, file], { stdio: "inherit" });
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  assert.deepEqual(migrateFile(file), ALL);
});

test("the database, what SQLite puts beside it and the lock are for the owner only", (t) => {
  const file = temporaryDatabase(t);
  const connection = openBeside(t, file);
  connection.exec("insert into settings (key, value, updatedAt) values ('k', 1, 1)");
  for (const path of [file, `${file}-wal`, `${file}-shm`]) assert.equal(statSync(path).mode & 0o777, 0o600, path);
});

test("a database whose directory is not there is refused with the directory's name and what to do", (t) => {
  const file = join(temporaryDir(t), "absent", "prism.db");
  assert.throws(
    () => migrateFile(file),
    (error) => error instanceof DataDirRefused && /absent \(ENOENT\); create the directory/.test(error.message),
  );
});

test("an upgrade gives unresolved and earlier incidents the severity and the start of their alerts", (t) => {
  const connection = new SqliteDatabase(join(temporaryDir(t), "prism.db"));
  t.after(() => connection.close());
  const at = MIGRATIONS.findIndex(({ name }) => name === "0054_incident_severity");
  migrateUp(connection, MIGRATIONS.slice(0, at));
  const incident = (id: string, policyId: string, openedAt: number) =>
    connection.exec(`insert into incidents (id, number, projectId, policyId, policyVersion, groupKey, groupLabels, route, title,
      state, openedAt, updatedAt) values ('${id}', ${openedAt}, 'p', '${policyId}', 1, '${id}', '{}', '{}', 't', 'open', ${openedAt}, 1)`);
  const alert = (id: string, incidentId: string, severity: string | null, label: string, startsAt: number) => {
    const labels = JSON.stringify(label === "" ? {} : { severity: label });
    connection
      .prepare(`insert into alerts (id, projectId, key, fingerprint, labels, annotations, severity, source, state, startsAt, lastAt)
        values (?, 'p', ?, 'f', ?, '{}', ?, 'api', 'firing', ?, 1)`)
      .run(id, id, labels, severity, startsAt);
    connection
      .prepare("insert into incident_alerts (incidentId, alertId, addedAt) values (?, ?, 1)")
      .run(incidentId, id);
  };
  const steps = JSON.stringify({ steps: [{ type: "webhook" }] });
  connection
    .prepare("insert into policy_versions (policyId, version, definition, createdAt) values ('hooks', 1, ?, 1)")
    .run(steps);
  incident("i1", "people", 10);
  alert("a1", "i1", "warn", "", 5);
  alert("a2", "i1", null, "Page", 7);
  incident("i2", "people", 20);
  alert("a3", "i2", null, "", 18);
  incident("i3", "hooks", 30);
  migrateUp(connection, MIGRATIONS);
  const rows = connection.prepare("select id, severity, firingSince, forPeople from incidents order by id").all();
  assert.deepEqual(rows, [
    { id: "i1", severity: "critical", firingSince: 5, forPeople: 1 },
    { id: "i2", severity: null, firingSince: 18, forPeople: 1 },
    { id: "i3", severity: null, firingSince: 30, forPeople: 0 },
  ]);
});

test("an upgrade gives the roles of earlier versions the permissions for alerts, and keeps what was changed", (t) => {
  const file = join(temporaryDir(t), "prism.db");
  const connection = new SqliteDatabase(file);
  t.after(() => connection.close());
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0025"),
  );
  connection.exec(`insert into roles (id, name, permissions, builtin, createdAt, updatedAt)
    values ('1', 'Operator', '["jobs:read"]', 1, 1, 1), ('2', 'Own', '["jobs:read"]', 0, 1, 1)`);
  migrateUp(connection, MIGRATIONS);
  assert.deepEqual(connection.prepare("select name, permissions from roles order by id").all(), [
    {
      name: "Operator",
      permissions:
        '["jobs:read","incidents:act","silences:write","oncall:write","heartbeats:write","receivers:write","channels:write"]',
    },
    { name: "Own", permissions: '["jobs:read"]' },
  ]);
});

test("the share of an upgrade that is done never shrinks, and ends at all of it", (t) => {
  const connection = openBeside(t, join(temporaryDir(t), "prism.db"));
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0067"),
  );
  const steps: number[] = [];
  migrateUp(connection, MIGRATIONS, ({ done }) => steps.push(done));
  assert.deepEqual(
    steps.toSorted((a, b) => a - b),
    steps,
  );
  assert.equal(steps.at(-1), 1);
});
