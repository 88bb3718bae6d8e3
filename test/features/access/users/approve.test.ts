import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside } from "../../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { call, outcomeOf, startAccounts, type UserBody } from "../sessions/support/auth-client.ts";

const USERS = "/api/v1/users";
const password = "a good long one";

async function register(prism: TestPrism, username: string): Promise<string> {
  const { body } = await call<{ user: UserBody }>(prism, "/api/v1/auth/register", { username, password });
  return body.user.id;
}

/** What an approval changes, all of it. */
const stateOf = (prism: TestPrism, id: string): unknown => ({
  status: scalarOf(prism, "select status from users where id = ?", id),
  roles: rowsOf(
    prism,
    "select r.name from user_roles u join roles r on r.id = u.roleId where userId = ? order by 1",
    id,
  ),
  audit: countOf(prism, "audit_log"),
});

test("S2-43, S2-44: an administrator sees who waits, and lets them in with roles or turns them down", async (t) => {
  keepsPromise(t, ["S2-43", "S2-44"]);
  const prism = await startAccounts(t);
  const [ann, bob, cid] = [await register(prism, "ann"), await register(prism, "bob"), await register(prism, "cid")];

  await t.test("S2-43: those who wait, newest first", async (t) => {
    keepsPromise(t, "S2-43");
    const { body } = await prism.get<{ data: UserBody[]; total: number }>(`${USERS}/pending?page=1`);
    assert.deepEqual([body.data.map(({ username }) => username), body.total], [["cid", "bob", "ann"], 3]);
  });

  await t.test("S2-44: roles that were said, or User", async (t) => {
    keepsPromise(t, "S2-44");
    const approved = await prism.post<UserBody>(`${USERS}/${ann}/approve`, { roles: ["Operator", "RuleManager"] });
    assert.deepEqual(
      [approved.status, approved.body.status, approved.body.roles],
      [200, "active", ["Operator", "RuleManager"]],
    );
    assert.deepEqual((await prism.post<UserBody>(`${USERS}/${bob}/approve`)).body.roles, ["User"]);
    assert.equal((await call(prism, "/api/v1/auth/login", { username: "ann", password })).status, 200);
    const [{ metadata, actor } = { metadata: "", actor: "" }] = rowsOf<{ metadata: string; actor: string }>(
      prism,
      "select metadata, actor from audit_log where action = 'user.approve' and resourceId = ?",
      ann,
    );
    const granted = (JSON.parse(metadata) as { roles: string[] }).roles;
    assert.deepEqual(granted.map((id) => scalarOf(prism, "select name from roles where id = ?", id)).sort(), [
      "Operator",
      "RuleManager",
    ]);
    assert.match(actor, /"type":"user"/);
  });

  await t.test(
    "who is turned down stays out; the audit holds whether a reason was given, not its words (12.9)",
    async () => {
      const rejected = await prism.post<UserBody>(`${USERS}/${cid}/reject`, { reason: "nobody knows them" });
      assert.deepEqual([rejected.status, rejected.body.status], [200, "disabled"]);
      const login = await call(prism, "/api/v1/auth/login", { username: "cid", password });
      assert.equal(outcomeOf(login), "403 ACCOUNT_DISABLED");
      const metadata = scalarOf<string>(prism, "select metadata from audit_log where action = 'user.reject'");
      assert.deepEqual(JSON.parse(metadata ?? ""), { isReasonGiven: true });
    },
  );

  for (const c of [
    { path: `${ann}/approve`, body: {}, is: "409 INVALID_STATE" },
    { path: `${ann}/reject`, body: {}, is: "409 INVALID_STATE" },
    { path: `${cid}/approve`, body: {}, is: "409 INVALID_STATE" },
    { path: "nobody/approve", body: {}, is: "404 USER_NOT_FOUND" },
    { path: "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60/reject", body: {}, is: "404 USER_NOT_FOUND" },
    { path: `${ann}/approve`, body: { roles: [] }, is: "400 VALIDATION_FAILED" },
    { path: `${ann}/approve`, body: { roles: Array(17).fill("User") }, is: "400 VALIDATION_FAILED" },
    { path: `${ann}/reject`, body: { reason: "x".repeat(501) }, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`${c.path.slice(-12)} ${JSON.stringify(c.body).slice(0, 20)} is refused with ${c.is}`, async () =>
      assert.equal(outcomeOf(await prism.post(`${USERS}/${c.path}`, c.body)), c.is),
    );
});

test("S2-132: status, roles and audit of an approval are one transaction: all or nothing", async (t) => {
  keepsPromise(t, "S2-132");
  const prism = await startAccounts(t);
  const ann = await register(prism, "ann");
  const before = stateOf(prism, ann);

  await t.test("a role that there is not takes everything back", async () => {
    const reply = await prism.post<{ error: { details: { path: string }[] } }>(`${USERS}/${ann}/approve`, {
      roles: ["Operator", "Nix"],
    });
    assert.equal(outcomeOf(reply), "404 ROLE_NOT_FOUND");
    assert.equal(reply.body.error.details[0]?.path, "roles.1");
    assert.deepEqual(stateOf(prism, ann), before);
  });

  for (const [what, table] of [
    ["roles cannot be written", "user_roles"],
    ["the audit cannot be written", "audit_log"],
  ] as const)
    await t.test(`when ${what} nothing has happened`, async (t) => {
      const beside = openBeside(t, join(prism.dir, "prism.db"));
      beside.exec(`create trigger broken before insert on ${table} begin select raise(abort, 'broken'); end`);
      try {
        assert.equal(outcomeOf(await prism.post(`${USERS}/${ann}/approve`, {})), "500 INTERNAL");
        assert.deepEqual(stateOf(prism, ann), before);
      } finally {
        beside.exec("drop trigger broken");
      }
    });

  await t.test("of two approvals at the same time one counts", async () => {
    const replies = await Promise.all(
      ["Operator", "Viewer"].map((role) => prism.post<UserBody>(`${USERS}/${ann}/approve`, { roles: [role] })),
    );
    assert.deepEqual(replies.map(outcomeOf).sort(), ["200", "409 INVALID_STATE"]);
    const won = replies.find(({ status }) => status === 200);
    assert.deepEqual(
      valuesOf(
        rowsOf<{ name: string }>(
          prism,
          "select r.name from user_roles u join roles r on r.id = u.roleId where userId = ?",
          ann,
        ),
        "name",
      ),
      won?.body.roles,
    );
  });
});

test("an approval without roles gives an account none that nobody with their rights chose for it", async (t) => {
  const prism = await startAccounts(t);
  await prism.post("/api/v1/roles", { name: "Clerk", permissions: ["users:read", "users:manage", "users:approve"] });
  const clerk = await makeUser(prism, "clerk", ["Clerk"]);
  const asked = await call(prism, "/api/v1/auth/register", { username: "eve", password, roles: ["Admin"] });
  assert.equal(outcomeOf(asked), "400 VALIDATION_FAILED");
  const registered = await register(prism, "eve");
  assert.deepEqual((stateOf(prism, registered) as { roles: unknown }).roles, []);
  const invite = async (username: string, roles: readonly string[], token?: string) => {
    const body = { mode: "apply", objects: [{ kind: "people", spec: { username, invite: true, roles } }] };
    return prism.post("/api/v1/configuration", body, token === undefined ? {} : { token });
  };
  assert.equal(
    (await invite("mallory", ["Operator"], clerk.token)).status,
    409,
    "Operator has rights that a clerk lacks",
  );
  assert.equal((await invite("olga", ["Operator"])).status, 200);
  const olga = scalarOf<string>(prism, "select id from users where username = 'olga'") ?? "";
  for (const body of [{}, { roles: ["Clerk"] }])
    assert.equal(outcomeOf(await prism.post(`${USERS}/${olga}/approve`, body, clerk)), "422 PRIVILEGE_ESCALATION");
  assert.deepEqual((await prism.post<UserBody>(`${USERS}/${olga}/approve`)).body.roles, ["Operator"]);
  assert.deepEqual((await prism.post<UserBody>(`${USERS}/${registered}/approve`)).body.roles, ["User"]);
  const approved = rowsOf<{ metadata: string }>(
    prism,
    "select metadata from audit_log where action = 'user.approve' and resourceId = ?",
    olga,
  );
  const operator = scalarOf<string>(prism, "select id from roles where name = 'Operator'");
  assert.deepEqual(JSON.parse(approved[0]?.metadata ?? ""), { roles: [operator] });
});
