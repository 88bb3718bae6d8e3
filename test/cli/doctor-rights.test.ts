import assert from "node:assert/strict";
import { chmodSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateUp } from "../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../src/store/sqlite/migrations.gen.ts";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, runCli } from "./run-cli.ts";

/** A database of before rights in projects: bob is a viewer of the shop and sends events by his server role. */
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
  `);
  migrateUp(connection, MIGRATIONS);
  connection.close();
  return cwd;
}

async function saying(cwd: string, env: Record<string, string> = {}): Promise<string[]> {
  const { stdout, stderr } = await runCli(["doctor", "--db", "--json"], { cwd, env: { PORT: "0", ...env } });
  assert.notEqual(stdout, "", stderr);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  return checks.filter(({ name }) => name === "rights").map(({ status, message }) => `${status} ${message}`);
}

test("doctor names who lost rights by the upgrade, and says that the default project stays open", async (t) => {
  const cwd = upgraded(t);
  const [lost, kept] = await saying(cwd);
  assert.match(lost ?? "", /^WARN .*bob \(viewer of shop\): events:write/);
  assert.match(kept ?? "", /^WARN every account reads the project default, as before the upgrade/);
  const [, open] = await saying(cwd, { PRISM_AUTH_REGISTRATION: "open" });
  assert.match(open ?? "", /^WARN .*registration is open: so does everyone who can reach it/);
  for (const [value, expected] of [
    ["true", 1],
    ["false", 1],
  ] as const)
    assert.equal((await saying(cwd, { PRISM_PROJECTS_DEFAULT_OPEN: value })).length, expected, value);
  const connection = new SqliteDatabase(databaseIn(join(cwd, "data")));
  connection.exec("delete from lost_rights");
  connection.close();
  const closed = await saying(cwd, { PRISM_PROJECTS_DEFAULT_OPEN: "false" });
  assert.deepEqual(closed, ["PASS members and holders of events:read read the project default"]);
});
