import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { makeProject } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";

interface Row {
  action: string;
  resourceType: string;
  resourceId: string;
  metadata: string;
}

const RULE = { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] };

test("deleting a project is audited with every key and rule that ends by it", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const other = await makeProject(prism, "other");
  const path = `/api/v1/projects/${shop.id}`;
  const make = async (path: string, body: object) => (await prism.post<{ id: string }>(path, body)).body.id;
  const gone = await make(`${path}/keys`, {});
  await prism.delete(`${path}/keys/${gone}`);
  const rule = await make("/api/v1/rules", { ...RULE, projectId: shop.id });
  await prism.patch(`/api/v1/rules/${rule}`, { name: "changed" });
  const kept = await make("/api/v1/rules", { ...RULE, projectId: other.id });
  const [first] = rowsOf<{ id: string }>(
    prism,
    "select id from api_keys where projectId = ? and id <> ?",
    shop.id,
    gone,
  );
  const before = rowsOf<{ seq: number }>(prism, "select max(seq) as seq from audit_log")[0]?.seq;
  assert.equal((await prism.delete(path)).status, 204);
  const rows = rowsOf<Row>(
    prism,
    "select action, resourceType, resourceId, metadata from audit_log where seq > ? order by seq",
    before,
  );
  const by = "project.delete";
  assert.deepEqual(
    rows.map(({ action, resourceType, resourceId, metadata }) => [
      action,
      resourceType,
      resourceId,
      JSON.parse(metadata),
    ]),
    [
      ["key.revoke", "apiKey", first?.id, { projectId: shop.id, by }],
      ["rule.delete", "rule", rule, { version: 2, by }],
      ["project.delete", "project", shop.id, { keys: 1, rules: 1 }],
    ],
  );
  assert.equal((await prism.get(`/api/v1/rules/${kept}`)).status, 200);
});

test("of more than 100 keys the project's own row has the count and the first 100 ids", async (t) => {
  const prism = await startPrism(t);
  const { services } = prism;
  const shop = await makeProject(prism, "shop");
  const ids = Array.from({ length: 120 }, () => uuidv7());
  await services.db.write((trx) =>
    trx
      .insertInto("api_keys")
      .values(
        ids.map((id) => ({ id, projectId: shop.id, name: "k", prefix: "p", hash: id, scopes: "[]", createdAt: 1 })),
      )
      .execute(),
  );
  await prism.post("/api/v1/rules", { ...RULE, projectId: shop.id });
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}`)).status, 204);
  const named = (action: string) => rowsOf<Row>(prism, "select * from audit_log where action = ? order by seq", action);
  assert.equal(named("key.revoke").length, 0);
  assert.equal(named("rule.delete").length, 1);
  const { first100Keys, ...counts } = JSON.parse(named("project.delete")[0]?.metadata ?? "{}");
  assert.deepEqual(counts, { keys: 121, rules: 1 });
  assert.equal(new Set(first100Keys).size, 100);
  const revoked = rowsOf<{ id: string }>(prism, "select id from api_keys where revokedAt is not null");
  assert.equal(revoked.length, 121);
  for (const id of first100Keys) assert.ok(revoked.some((key) => key.id === id));
});
