import assert from "node:assert/strict";
import test from "node:test";
import { PERMISSIONS } from "../../../../src/core/permissions.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";

interface Role {
  id: string;
  name: string;
  permissions: string[];
  error?: { code: string; message: string };
}

const ROLES = "/api/v1/roles";

test("a role has any name of one line, and keeps permissions of other programs, which grant nothing", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["Prüfer", "2nd-level", "ROLE_ADMIN:eu", "監査"]) {
    const made = await prism.post<Role>(ROLES, { name, permissions: ["events:read", "support:tickets"] });
    assert.deepEqual([made.status, made.body.name], [201, name], made.text);
    assert.deepEqual(made.body.permissions, ["events:read", "support:tickets"]);
    assert.deepEqual((await prism.get<Role>(`${ROLES}/${made.body.id}`)).body.permissions, made.body.permissions);
  }
  const holder = await makeUser(prism, "holder", ["Prüfer"]);
  const me = await prism.get<{ permissions: string[] }>("/api/v1/users/me", { token: holder.token });
  assert.deepEqual(me.body.permissions, ["events:read"]);
  assert.equal((await prism.get("/api/v1/events", { token: holder.token })).status, 200);
});

test("a user who manages roles grants and revokes permissions of other programs, but none of Prism's that they lack", async (t) => {
  const prism = await startPrism(t);
  await prism.post(ROLES, { name: "Keeper", permissions: ["roles:read", "roles:manage"] });
  const { token } = await makeUser(prism, "keeper", ["Keeper"]);
  const made = await prism.post<Role>(ROLES, { name: "Desk", permissions: ["support:tickets"] }, { token });
  assert.equal(made.status, 201, made.text);
  const more = await prism.put<Role>(
    `${ROLES}/${made.body.id}`,
    { permissions: ["support:all", "audit:read"] },
    { token },
  );
  assert.equal(more.body.error?.code, "PRIVILEGE_ESCALATION");
  assert.equal((await prism.delete(`${ROLES}/${made.body.id}`, { token })).status, 204);
});

test("a name that a role keeps for another program stays so when a later version makes it a permission", async (t) => {
  const prism = await startPrism(t);
  const { body: role } = await prism.post<Role>(ROLES, { name: "Desk", permissions: [] });
  // As an earlier version stored it, which did not know audit:read.
  await prism.services.db.write((trx) =>
    trx.updateTable("roles").set({ permissions: '["custom:audit:read"]' }).where("id", "=", role.id).execute(),
  );
  assert.ok(PERMISSIONS.includes("audit:read"));
  const { token } = await makeUser(prism, "desk", ["Desk"]);
  const shown = (await prism.get<Role>(`${ROLES}/${role.id}`)).body;
  assert.deepEqual(shown.permissions, ["audit:read"]);
  assert.equal((await prism.put(`${ROLES}/${role.id}`, { ...shown, description: "d" })).status, 200);
  assert.equal(scalarOf(prism, "select permissions from roles where id = ?", role.id), '["custom:audit:read"]');
  assert.equal((await prism.get("/api/v1/audit", { token })).status, 403);
});

test("a role that is held cannot be removed, and the error counts in good English", async (t) => {
  const prism = await startPrism(t);
  const { body: role } = await prism.post<Role>(ROLES, { name: "Desk", permissions: [] });
  await makeUser(prism, "one", ["Desk"]);
  const refused = await prism.delete<Role>(`${ROLES}/${role.id}`);
  assert.match(refused.body.error?.message ?? "", /is held by 1 user and named by 0 rules/);
});
