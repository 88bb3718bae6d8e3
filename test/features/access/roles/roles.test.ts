import assert from "node:assert/strict";
import test from "node:test";
import type { Role } from "../../../../src/client/api-types.gen.ts";
import { makeUser } from "../../../helpers/people.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { logIn, makeAccount, outcomeOf, startAccounts, type UserBody } from "../sessions/support/auth-client.ts";

const ROLES = "/api/v1/roles";

test("S2-15, S2-49, S2-50, S2-51, S2-52: roles are read, made, changed and removed", async (t) => {
  keepsPromise(t, ["S2-15", "S2-49", "S2-50", "S2-51", "S2-52"]);
  const prism = await startAccounts(t);
  const builtinId = (name: string) => scalarOf<string>(prism, "select id from roles where name = ?", name) ?? "";
  const make = (body: object) => prism.post<Role>(ROLES, body);

  await t.test("S2-49: all roles, the built-in ones first, with a tag that changes with them", async (t) => {
    keepsPromise(t, "S2-49");
    const { body, headers } = await prism.get<{ data: Role[] }>(ROLES);
    assert.deepEqual(
      body.data.map(({ name, builtin }) => [name, builtin]),
      ["Admin", "Auditor", "Operator", "RuleManager", "User", "Viewer"].map((name) => [name, true]),
    );
    const tag = headers.get("etag") ?? "";
    assert.equal(headers.get("cache-control"), "private, no-cache");
    assert.equal((await prism.get(ROLES, { headers: { "If-None-Match": tag } })).status, 304);
    await make({ name: "Extra", permissions: [] });
    assert.equal((await prism.get(ROLES, { headers: { "If-None-Match": tag } })).status, 200);
  });

  const {
    status,
    body: guard,
    headers,
  } = await make({
    name: "Night guard",
    description: "Looks after things\u0007",
    permissions: ["events:read", "rules:read", "events:read"],
  });
  await t.test(
    "S2-50, S2-15: a role of one's own has a unique name, a description and known permissions",
    async (t) => {
      keepsPromise(t, ["S2-15", "S2-50"]);
      assert.deepEqual(
        [status, guard.name, guard.description, guard.permissions, guard.builtin, headers.get("etag")],
        [201, "Night guard", "Looks after things", ["events:read", "rules:read"], false, '"1"'],
      );
      assert.deepEqual((await prism.get<Role>(`${ROLES}/${guard.id}`)).body, guard);
    },
  );
  for (const c of [
    { body: { name: "NIGHT GUARD", permissions: [] }, is: "409 NAME_TAKEN" },
    { body: { name: "admin", permissions: [] }, is: "409 NAME_TAKEN" },
    { body: { name: " 1st", permissions: [] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "0198c0de-0000-7000-8000-00000000abcd", permissions: [] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "x".repeat(101), permissions: [] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "Fine", permissions: [""] }, is: "400 VALIDATION_FAILED" },
    { body: { name: "Fine" }, is: "400 VALIDATION_FAILED" },
    { body: { name: "Fine", permissions: [], description: "x".repeat(2001) }, is: "400 VALIDATION_FAILED" },
    { body: { name: "Fine", permissions: [], builtin: true }, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`S2-50: ${JSON.stringify(c.body).slice(0, 50)} is refused with ${c.is}`, async (t) => {
      keepsPromise(t, "S2-50");
      await assert.equal(outcomeOf(await make(c.body)), c.is);
    });

  await t.test("S2-51: a change counts for all who hold the role, at once", async (t) => {
    keepsPromise(t, "S2-51");
    const ann = await makeAccount(prism, { username: "ann" }, { roles: ["Night guard"] });
    const { token } = await logIn(prism, "ann");
    assert.equal(outcomeOf(await prism.get("/api/v1/users", { token })), "403 UNAUTHORIZED_ROLE");
    const path = `${ROLES}/${guard.id}`;
    const changed = await prism.put<Role>(path, { name: "Day guard", permissions: ["users:read"] });
    assert.deepEqual(
      [changed.status, changed.body.name, changed.body.description, changed.body.version],
      [200, "Day guard", guard.description, 2],
    );
    assert.equal((await prism.get("/api/v1/users", { token })).status, 200);
    assert.deepEqual((await prism.get<UserBody>(`/api/v1/users/${ann.id}`)).body.roles, ["Day guard"]);
    const stale = await prism.put(path, { description: "" }, { headers: { "If-Match": '"1"' } });
    assert.equal(outcomeOf(stale), "412 VERSION_CONFLICT");
    assert.equal(outcomeOf(await prism.put(path, { name: "Viewer" })), "409 NAME_TAKEN");
    assert.equal(outcomeOf(await prism.put(`${ROLES}/nonsense`, { name: "Nix" })), "404 ROLE_NOT_FOUND");
    assert.equal(outcomeOf(await prism.get(`${ROLES}/${ann.id}`)), "404 ROLE_NOT_FOUND");
  });

  await t.test("S2-51: built-in roles keep their names, Admin its permissions; the others may be edited", async (t) => {
    keepsPromise(t, "S2-51");
    const put = (name: string, body: object) => prism.put<Role>(`${ROLES}/${builtinId(name)}`, body);
    assert.equal(outcomeOf(await put("Viewer", { name: "Onlooker" })), "409 ROLE_BUILTIN");
    assert.equal(outcomeOf(await put("Admin", { permissions: ["users:read"] })), "409 ROLE_BUILTIN");
    const { body: admin } = await prism.get<Role>(`${ROLES}/${builtinId("Admin")}`);
    const same = { name: admin.name, permissions: admin.permissions, description: "May everything" };
    assert.equal(
      (await put("Admin", same)).body.description,
      "May everything",
      "what is sent back as it was is no change",
    );
    const edited = await put("Viewer", { name: "Viewer", permissions: ["events:read"] });
    assert.deepEqual([edited.status, edited.body.permissions], [200, ["events:read"]]);
  });

  await t.test("S2-52: a role in use is removed with a replacement role", async (t) => {
    keepsPromise(t, "S2-52");
    const path = `${ROLES}/${guard.id}`;
    const inUse = await prism.delete<{ error: { message: string } }>(path);
    assert.equal(outcomeOf(inUse), "409 ROLE_IN_USE");
    assert.match(inUse.body.error.message, /1 user.* 0 rules/);
    assert.equal(outcomeOf(await prism.delete(`${path}?reassignTo=${guard.id}`)), "409 ROLE_IN_USE");
    assert.equal(outcomeOf(await prism.delete(`${path}?reassignTo=nix`)), "404 ROLE_NOT_FOUND");
    assert.equal((await prism.delete(`${path}?reassignTo=${builtinId("Viewer")}`)).status, 204);
    assert.equal(outcomeOf(await prism.delete(path)), "404 ROLE_NOT_FOUND");
    const { body } = await prism.get<{ data: UserBody[] }>("/api/v1/users?q=ann");
    assert.deepEqual(body.data[0]?.roles, ["Viewer"]);
    for (const name of ["Admin", "Viewer"])
      assert.equal(outcomeOf(await prism.delete(`${ROLES}/${builtinId(name)}`)), "409 ROLE_BUILTIN");
  });

  await t.test("S2-52: a role that a rule names stays; one that only the deleted held goes", async (t) => {
    keepsPromise(t, "S2-52");
    const { body: named } = await make({ name: "Named", permissions: [] });
    const rule = { name: "r", condition: "event.type == 'a'", targetRoles: ["Named"] };
    const { body } = await prism.post<{ id: string }>("/api/v1/rules", rule);
    const path = `${ROLES}/${named.id}?reassignTo=${builtinId("Viewer")}`;
    assert.equal(outcomeOf(await prism.delete(path)), "409 ROLE_IN_USE");
    await prism.delete(`/api/v1/rules/${body.id}`);
    const gone = await makeAccount(prism, { username: "gone" }, { roles: ["Named"] });
    await prism.delete(`/api/v1/users/${gone.id}`);
    assert.equal((await prism.delete(`${ROLES}/${named.id}`)).status, 204);
  });

  await t.test("every change is in the audit with what was added and taken", () => {
    const rows = rowsOf<{ action: string; metadata: string }>(
      prism,
      "select action, metadata from audit_log where resourceType = 'role' and resourceId = ? order by seq",
      guard.id,
    );
    assert.deepEqual(
      rows.map(({ action, metadata }) => [action, JSON.parse(metadata)]),
      [
        ["role.create", { permissions: ["events:read", "rules:read"] }],
        ["role.update", { changed: ["name"], added: ["users:read"], removed: ["events:read", "rules:read"] }],
        ["role.delete", { users: 1, reassignTo: builtinId("Viewer") }],
      ],
    );
  });
});

test("S2-97: users cannot create, change or remove a role beyond their own permissions", async (t) => {
  const prism = await startAccounts(t);
  await prism.post(ROLES, { name: "Keeper", permissions: ["roles:read", "roles:manage", "events:read"] });
  const { body: strong } = await prism.post<Role>(ROLES, { name: "Strong", permissions: ["users:manage"] });
  const { body: weak } = await prism.post<Role>(ROLES, { name: "Weak", permissions: ["events:read"] });
  const as = { token: (await makeUser(prism, "keeper", ["Keeper"])).token };
  const escalation = "422 PRIVILEGE_ESCALATION";
  const made = await prism.post<{ error: { details: { path: string; message: string }[] } }>(
    ROLES,
    { name: "More", permissions: ["events:read", "audit:read"] },
    as,
  );
  assert.equal(outcomeOf(made), escalation);
  assert.match(made.body.error.details[0]?.message ?? "", /audit:read/);
  assert.equal(outcomeOf(await prism.put(`${ROLES}/${weak.id}`, { permissions: ["audit:read"] }, as)), escalation);
  assert.equal(outcomeOf(await prism.put(`${ROLES}/${strong.id}`, { permissions: [] }, as)), escalation);
  assert.equal(outcomeOf(await prism.delete(`${ROLES}/${strong.id}`, as)), escalation);
  const reassign = `${ROLES}/${weak.id}?reassignTo=${strong.id}`;
  assert.equal(outcomeOf(await prism.delete(reassign, as)), escalation);
  assert.equal((await prism.put(`${ROLES}/${weak.id}`, { permissions: [] }, as)).status, 200);
  assert.equal((await prism.delete(`${ROLES}/${weak.id}`, as)).status, 204);
  for (const role of ["Viewer", "User"] as const) {
    const { token } = await makeUser(prism, `plain-${role.toLowerCase()}`, [role]);
    assert.equal((await prism.get(ROLES, { token })).status, role === "Viewer" ? 200 : 403);
    assert.equal(
      outcomeOf(await prism.post(ROLES, { name: "Mine", permissions: [] }, { token })),
      "403 UNAUTHORIZED_ROLE",
    );
  }
});
