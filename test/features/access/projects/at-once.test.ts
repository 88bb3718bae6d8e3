import assert from "node:assert/strict";
import test, { after, before, type TestContext } from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { addEffect, type Trx } from "../../../../src/store/database.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { type Reply, TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";

interface Answer {
  id: string;
  error?: { code: string };
}

let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start();
});
after(() => prism.stop());

let made = 0;

/** A project with an owner of its own, another owner, and a key. */
async function setUp() {
  const owner = await makeUser(prism, `owner-${++made}`, ["Operator"]);
  const other = await makeUser(prism, `other-${made}`);
  const as = { token: owner.token };
  const { body } = await prism.post<Answer>("/projects", { name: "shop" }, as);
  const path = `/api/v1/projects/${body.id}`;
  await prism.post(`${path}/members`, { userId: other.id, role: "owner" }, as);
  const { body: key } = await prism.post<Answer>(`${path}/keys`, {}, as);
  return { id: body.id, path, owner, other, key };
}

/**
 * Sends the request while `change` holds the writer, and is committed before the request gets it.
 */
async function behind(
  { id: projectId, owner }: Awaited<ReturnType<typeof setUp>>,
  change: (trx: Trx) => Promise<unknown>,
  send: () => Promise<Reply<Answer>>,
): Promise<Reply<Answer>> {
  const { database: db } = prism.parts.base;
  const { kernel } = prism.parts.core;
  const holds = deferred<void>();
  const isSent = deferred<void>();
  const first = db.write(async (trx) => {
    await change(trx);
    addEffect(trx, { type: "rights-changed", of: "project", projectId });
    addEffect(trx, { type: "rights-changed", of: "user", userId: owner.id });
    holds.resolve();
    await isSent.promise;
  });
  await holds.promise;
  const reply = send();
  await eventually("the request is under way", () => kernel.requests.count > 0);
  isSent.resolve();
  await first;
  return reply;
}

const requests = (set: Awaited<ReturnType<typeof setUp>>) => {
  const { path, owner, other, key } = set;
  const as = { token: owner.token };
  return {
    "delete the project": () => prism.delete<Answer>(path, as),
    "change the project": () => prism.patch<Answer>(path, { name: "x" }, as),
    "delete its events": () => prism.delete<Answer>(`${path}/events`, as),
    "add a member": () => prism.post<Answer>(`${path}/members`, { userId: "dev", role: "viewer" }, as),
    "change a member": () => prism.patch<Answer>(`${path}/members/${other.id}`, { role: "viewer" }, as),
    "remove a member": () => prism.delete<Answer>(`${path}/members/${other.id}`, as),
    "make a key": () => prism.post<Answer>(`${path}/keys`, {}, as),
    "rotate a key": () => prism.post<Answer>(`${path}/keys/${key.id}/rotate`, {}, as),
    "revoke a key": () => prism.delete<Answer>(`${path}/keys/${key.id}`, as),
  };
};

const CHANGES = {
  "was removed": {
    change: (trx: Trx, id: string, userId: string) =>
      trx.deleteFrom("project_members").where("projectId", "=", id).where("userId", "=", userId).execute(),
    refusal: [404, "PROJECT_NOT_FOUND"],
  },
  "is only a viewer now": {
    change: (trx: Trx, id: string, userId: string) =>
      trx
        .updateTable("project_members")
        .set({ role: "viewer" })
        .where("projectId", "=", id)
        .where("userId", "=", userId)
        .execute(),
    refusal: [403, "UNAUTHORIZED_ROLE"],
  },
  "was disabled": {
    change: (trx: Trx, _id: string, userId: string) =>
      trx.updateTable("users").set({ status: "disabled" }).where("id", "=", userId).execute(),
    refusal: [401, "TOKEN_INVALID"],
  },
};

test("an owner who loses the right while the request waits for the writer does nothing any more", async (t: TestContext) => {
  const names = Object.keys(requests(await setUp())) as (keyof ReturnType<typeof requests>)[];
  for (const [what, { change, refusal }] of Object.entries(CHANGES)) {
    for (const name of names) {
      await t.test(`who ${what} cannot ${name}`, async () => {
        const set = await setUp();
        const rows = (): unknown => [
          rowsOf(prism, "select name, deletedAt, version from projects where id = ?", set.id),
          rowsOf(
            prism,
            "select userId, role from project_members where userId <> ? and projectId = ?",
            set.owner.id,
            set.id,
          ),
          rowsOf(prism, "select id, revokedAt from api_keys where projectId = ?", set.id),
          countOf(prism, "audit_log"),
        ];
        const before = rows();
        const reply = await behind(set, (trx) => change(trx, set.id, set.owner.id), requests(set)[name]);
        const { status, body } = reply;
        // A request that arrived after the change is refused by authentication.
        const isLate = what === "was disabled" && body.error?.code === "ACCOUNT_DISABLED";
        if (!isLate) assert.deepEqual([status, body.error?.code], refusal);
        assert.deepEqual(rows(), before);
      });
    }
  }
});

test("of two deletions at the same time one finds the project", async () => {
  const { path, id, owner } = await setUp();
  const as = { token: owner.token };
  const replies = await Promise.all([prism.delete(path, as), prism.delete(path, as), prism.delete(path, as)]);
  assert.deepEqual(replies.map(({ status }) => status).sort(), [204, 404, 404]);
  const audited = rowsOf(prism, "select 1 from audit_log where action = 'project.delete' and resourceId = ?", id);
  assert.equal(audited.length, 1);
});
