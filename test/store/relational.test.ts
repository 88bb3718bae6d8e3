import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../src/core/ids.ts";
import { allDecided } from "../features/events/pipeline/support/all-decided.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowsOf } from "../helpers/tables.ts";

const TABLES = [
  "users",
  "user_roles",
  "projects",
  "project_members",
  "events",
  "rules",
  "rule_versions",
  "decisions",
  "notifications",
  "notification_recipients",
] as const;

const contents = (prism: TestPrism): unknown[] =>
  TABLES.map((table) => [table, rowsOf(prism, `select * from ${table} order by 1, 2`)]);

test("S0-03 S2-04 S3-02 what is stored is related rows of tables, references hold, and all of it is there after a restart", async (t) => {
  keepsPromise(t, ["S0-03", "S2-04", "S3-02"]);
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const uma = await makeUser(prism, "uma", ["Operator"]);
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: uma.id, role: "viewer" });
  const rule = { name: "r", condition: "event.n > 1", targetUsers: ["uma"], projectId: shop.id };
  await prism.post("/api/v1/rules", rule);
  await prism.post(
    "/api/v1/events",
    [1, 2, 3].map((n) => ({ type: "a", payload: { n } })),
    { apiKey: shop.apiKey },
  );
  await allDecided(prism);
  const joined = () =>
    rowsOf<{ n: number }>(
      prism,
      `select e.payload ->> 'n' as n, u.username, p.slug, r.name from events e join decisions d on d.eventSeq = e.seq
       join rules r on r.id = d.ruleId join projects p on p.id = r.projectId join notifications o on o.id = d.notificationId
       join notification_recipients t on t.notificationId = o.id join users u on u.id = t.userId order by e.seq`,
    );
  const told = { username: "uma", slug: "shop", name: "r" };
  assert.deepEqual(joined(), [
    { n: 2, ...told },
    { n: 3, ...told },
  ]);

  const now = Date.now();
  for (const refer of [
    (db: TestPrism["services"]["db"]) =>
      db.write((trx) =>
        trx.insertInto("user_roles").values({ userId: uma.id, roleId: uuidv7(), createdAt: now }).execute(),
      ),
    (db: TestPrism["services"]["db"]) => db.write((trx) => trx.deleteFrom("users").where("id", "=", uma.id).execute()),
  ])
    await assert.rejects(refer(prism.services.db), /FOREIGN KEY/);

  const before = contents(prism);
  await prism.restart();
  assert.deepEqual(contents(prism), before);
  assert.equal(joined().length, 2);
});
