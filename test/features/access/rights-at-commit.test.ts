import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import { addEffect, type Trx } from "../../../src/store/database.ts";
import { makeUser } from "../../helpers/people.ts";
import { type Reply, TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";

interface Answer {
  readonly id: string;
  readonly error?: { readonly code: string };
}

let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start();
});
after(() => prism.stop());

/** Sends the request while `change` holds the writer, and is committed before the request gets it. */
async function behind(
  userId: string,
  change: (trx: Trx) => Promise<unknown>,
  send: () => Promise<Reply<Answer>>,
): Promise<Reply<Answer>> {
  const { database: db } = prism.parts.base;
  const holds = deferred<void>();
  const isWaiting = deferred<void>();
  const { committer } = prism.parts.base.store;
  const first = db.write(async (trx) => {
    await change(trx);
    addEffect(trx, { type: "rights-changed", of: "user", userId });
    holds.resolve();
    await isWaiting.promise;
  });
  await holds.promise;
  const { acquireTransaction } = committer;
  committer.acquireTransaction = (...given) => {
    isWaiting.resolve();
    return acquireTransaction.apply(committer, given);
  };
  const reply = send();
  await isWaiting.promise;
  committer.acquireTransaction = acquireTransaction;
  await first;
  return reply;
}

const giveRole = async (trx: Trx, userId: string, name: string) => {
  await trx.deleteFrom("user_roles").where("userId", "=", userId).execute();
  const role = await trx.selectFrom("roles").select("id").where("name", "=", name).executeTakeFirstOrThrow();
  await trx.insertInto("user_roles").values({ userId, roleId: role.id, createdAt: 0 }).execute();
};
const disable = (trx: Trx, userId: string) =>
  trx.updateTable("users").set({ status: "disabled" }).where("id", "=", userId).execute();

const RULE = { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] };
let made = 0;

async function setUp() {
  const n = ++made;
  const admin = await makeUser(prism, `admin-${n}`, ["Admin"]);
  const target = await makeUser(prism, `target-${n}`, ["User"]);
  const as = { token: admin.token };
  const { body: rule } = await prism.post<Answer>("/api/v1/rules", { ...RULE, name: `r${n}` }, as);
  const { body: role } = await prism.post<Answer>("/api/v1/roles", { name: `role ${n}`, permissions: [] }, as);
  const { body: shop } = await prism.post<Answer>("/api/v1/projects", { name: `shop ${n}` }, as);
  return { admin, target, as, n, rule, role, shop };
}
type Set = Awaited<ReturnType<typeof setUp>>;

const REQUESTS: Readonly<Record<string, (set: Set) => Promise<Reply<Answer>>>> = {
  "change a rule": ({ rule, as }) => prism.patch<Answer>(`/api/v1/rules/${rule.id}`, { priority: 7 }, as),
  "change a rule's state": ({ rule, as }) => prism.patch<Answer>(`/api/v1/rules/${rule.id}`, { active: false }, as),
  "make a rule": ({ n, as }) => prism.post<Answer>("/api/v1/rules", { ...RULE, name: `new ${n}` }, as),
  "import rules": ({ n, as }) =>
    prism.post<Answer>("/api/v1/rules/import", { rules: [{ ...RULE, name: `imported ${n}` }] }, as),
  "delete a rule": ({ rule, as }) => prism.delete<Answer>(`/api/v1/rules/${rule.id}`, as),
  "give a role": ({ target, as }) => prism.patch<Answer>(`/api/v1/users/${target.id}`, { roles: ["Admin"] }, as),
  "make an account": ({ n, as }) =>
    prism.post<Answer>("/api/v1/users", { username: `made-${n}`, roles: ["Admin"] }, as),
  "change a role": ({ role, as }) =>
    prism.put<Answer>(`/api/v1/roles/${role.id}`, { permissions: ["users:manage"] }, as),
  "make a project": ({ n, as }) => prism.post<Answer>("/api/v1/projects", { name: `other ${n}` }, as),
  "make a key that notifies": ({ shop, as }) =>
    prism.post<Answer>(`/api/v1/projects/${shop.id}/keys`, { scopes: ["notifications:send"] }, as),
};

const rows = (): unknown => [
  rowsOf(prism, "select id, version, deletedAt from rules order by id"),
  rowsOf(prism, "select userId, roleId from user_roles order by userId, roleId"),
  rowsOf(prism, "select id, permissions from roles order by id"),
  rowsOf(prism, "select id from users order by id"),
  rowsOf(prism, "select id, scopes from api_keys order by id"),
  rowsOf(prism, "select id from projects order by id"),
];

for (const [name, send] of Object.entries(REQUESTS)) {
  test(`who is disabled while the request waits for the writer cannot ${name}`, async () => {
    const set = await setUp();
    const before = rows();
    const { status, body } = await behind(
      set.admin.id,
      (trx) => disable(trx, set.admin.id),
      () => send(set),
    );
    assert.deepEqual([status, body.error?.code], [401, "TOKEN_INVALID"]);
    assert.deepEqual(rows(), before);
  });

  // Every user may make one.
  if (name === "make a project") continue;
  test(`who loses the permission while the request waits for the writer cannot ${name}`, async () => {
    const set = await setUp();
    const before = rows();
    const { status, body } = await behind(
      set.admin.id,
      (trx) => giveRole(trx, set.admin.id, "User"),
      () => send(set),
    );
    assert.ok([403, 404, 422].includes(status), `${status} ${body.error?.code}`);
    await prism.parts.base.database.write((trx) => giveRole(trx, set.admin.id, "Admin"));
    assert.deepEqual(rows(), before);
  });
}

test("who keeps the permission is not refused, whatever else has changed meanwhile", async () => {
  const { rule, as, target, admin } = await setUp();
  const other = await makeUser(prism, "other", ["User"]);
  const asked = () => prism.patch<Answer>(`/api/v1/users/${target.id}`, { roles: ["Admin"] }, as);
  assert.equal((await behind(other.id, (trx) => disable(trx, other.id), asked)).status, 200);
  const renamed = (trx: Trx) => trx.updateTable("users").set({ name: "Renamed" }).where("id", "=", admin.id).execute();
  const change = () => prism.patch<Answer>(`/api/v1/rules/${rule.id}`, { priority: 8 }, as);
  assert.equal((await behind(admin.id, renamed, change)).status, 200);
});
