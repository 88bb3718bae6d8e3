import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { BUILT_IN_ROLES } from "../../src/core/permissions.ts";
import { type Bootstrapped, bootstrap } from "../../src/features/access/first-start.ts";
import { AuditLog } from "../../src/features/records/audit/audit-log.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { column, openTestStore, type TestStore } from "../helpers/store.ts";

function run(store: TestStore, isDevelopment: boolean): Promise<Bootstrapped> {
  const clock = new FakeClock();
  return bootstrap(store.database, store.reader, new AuditLog(store.database, clock), clock, isDevelopment);
}

const permissionsOf = (store: TestStore, role: string): unknown =>
  JSON.parse(column<string>(store.reader, "select permissions from roles where name = ?", role)[0] ?? "null");

const counts = (store: TestStore): unknown[] =>
  ["roles", "projects", "users", "user_roles", "audit_log"].map(
    (table) => column(store.reader, `select count(*) from ${table}`)[0],
  );

const fresh = (t: TestContext): TestStore => openTestStore(t);

test("every installation has the built-in roles with the permissions of the contract's table, and the project default", async (t) => {
  const store = fresh(t);
  const { defaultProjectId, devUserId } = await run(store, false);
  assert.equal(devUserId, null, "production has no generated administrator");
  for (const [name, permissions] of Object.entries(BUILT_IN_ROLES))
    assert.deepEqual(permissionsOf(store, name), permissions);
  assert.deepEqual(column(store.reader, "select id from projects where slug = 'default'"), [defaultProjectId]);
  assert.deepEqual(counts(store), [Object.keys(BUILT_IN_ROLES).length, 1, 0, 0, 0]);
});

test("development has the administrator dev, and records its creation", async (t) => {
  const store = fresh(t);
  const { devUserId } = await run(store, true);
  assert.deepEqual(
    store.reader
      .prepare(
        "select u.id, r.name from users u join user_roles ur on ur.userId = u.id join roles r on r.id = ur.roleId",
      )
      .all(),
    [{ id: devUserId, name: "Admin" }],
  );
  assert.deepEqual(column(store.reader, "select resourceId from audit_log where action = 'user.register'"), [
    devUserId,
  ]);
});

test("running it again changes nothing", async (t) => {
  const store = fresh(t);
  const first = await run(store, true);
  const before = [counts(store), store.commits.length];
  assert.deepEqual(await run(store, true), first);
  assert.deepEqual([counts(store), store.commits.length], before);
  assert.equal((await run(store, false)).devUserId, null);
});

test("a role that operators have edited keeps what they chose; Admin gets every permission back", async (t) => {
  const store = fresh(t);
  await run(store, true);
  for (const name of ["Viewer", "Admin"])
    await store.database.write((trx) =>
      trx.updateTable("roles").set({ permissions: '["events:read"]' }).where("name", "=", name).execute(),
    );
  await run(store, true);
  assert.deepEqual(permissionsOf(store, "Viewer"), ["events:read"]);
  assert.deepEqual(permissionsOf(store, "Admin"), BUILT_IN_ROLES["Admin"]);
});

test("a removed development administrator is created again, with another id", async (t) => {
  const store = fresh(t);
  const first = await run(store, true);
  await store.database.write((trx) => trx.updateTable("users").set({ deletedAt: 1, status: "disabled" }).execute());
  const second = await run(store, true);
  assert.notEqual(second.devUserId, first.devUserId);
  assert.equal(second.defaultProjectId, first.defaultProjectId);
});
