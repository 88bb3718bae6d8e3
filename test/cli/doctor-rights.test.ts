import assert from "node:assert/strict";
import { chmodSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateUp } from "../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, runCli } from "./run-cli.ts";

/** A database of before rights in projects: bob is a viewer of the shop, with a key from when he was an owner. */
function upgraded(t: TestContext): string {
  const cwd = temporaryDir(t);
  const file = databaseIn(join(cwd, "data"));
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  chmodSync(join(cwd, "data"), 0o700);
  const connection = new SqliteDatabase(file);
  connection.pragma("journal_mode = wal");
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0060"),
  );
  connection.exec(`
    insert into projects (id, slug, name, createdAt, updatedAt) values
      ('p0', 'default', 'Default', 5, 5), ('p1', 'shop', 'Shop', 5, 5);
    insert into roles (id, name, permissions, createdAt, updatedAt) values ('r', 'User', '["events:write"]', 1, 1);
    insert into users (id, username, status, createdAt, updatedAt) values ('u', 'bob', 'active', 1, 1);
    insert into user_roles (userId, roleId, createdAt) values ('u', 'r', 1);
    insert into project_members (projectId, userId, role, createdAt) values ('p1', 'u', 'viewer', 1);
    insert into api_keys (id, projectId, name, prefix, hash, scopes, createdBy, createdAt) values
      ('k', 'p1', 'k', 'k', 'k', '["events:write", "events:read"]', 'u', 1);
  `);
  migrateUp(connection, MIGRATIONS);
  connection.close();
  return cwd;
}

async function saying(cwd: string, env: Record<string, string> = {}, about = "rights"): Promise<string[]> {
  const { stdout, stderr } = await runCli(["doctor", "--db", "--json"], { cwd, env: { PORT: "0", ...env } });
  assert.notEqual(stdout, "", stderr);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  return checks.filter(({ name }) => name === about).map(({ status, message }) => `${status} ${message}`);
}

test("doctor says that the default project stays open after an upgrade", async (t) => {
  const cwd = upgraded(t);
  const [kept] = await saying(cwd);
  assert.match(kept ?? "", /^WARN every account reads the project default, as before the upgrade/);
  const [open] = await saying(cwd, { PRISM_AUTH_REGISTRATION: "open" });
  assert.match(open ?? "", /^WARN .*registration is open: so does everyone who can reach it/);
  for (const [value, expected] of [
    ["true", "PASS every account reads the project default"],
    ["false", "PASS members and holders of events:read read the project default"],
  ] as const)
    assert.deepEqual(await saying(cwd, { PRISM_PROJECTS_DEFAULT_OPEN: value }), [expected]);
});

test("doctor names API keys that do less than they were made for, as the users who made them", async (t) => {
  const cwd = upgraded(t);
  const [found, ...more] = await saying(cwd, {}, "keys");
  assert.deepEqual(more, []);
  assert.match(
    found ?? "",
    /^WARN API keys do no more than the users who made them: k of shop \(bob may not events:write\)$/,
  );
  const connection = new SqliteDatabase(databaseIn(join(cwd, "data")));
  connection.exec("update project_members set role = 'owner'");
  connection.close();
  assert.deepEqual(await saying(cwd, {}, "keys"), [
    "PASS no API key belongs to an account that is deleted or disabled",
  ]);
});
