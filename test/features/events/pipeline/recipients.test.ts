import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { allDecided } from "./support/all-decided.ts";

/** Names of the users who are notified of an event that matches a rule with these targets. */
async function heardBy(
  prism: TestPrism,
  rule: { targetRoles?: string[]; targetUsers?: string[]; projectId?: string | null },
  projectId = "default",
): Promise<string[]> {
  const { body } = await prism.post<{ id: string; error?: unknown }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    ...rule,
  });
  assert.ok(body.id, JSON.stringify(body));
  const event = await prism.post<{ seq: number }>("/api/v1/events", { type: "x", projectId });
  await prism.delete(`/api/v1/rules/${body.id}`);
  const heard = rowsOf<{ name: string }>(
    prism,
    `select u.username as name from decisions d join notification_recipients r on r.notificationId = d.notificationId
     join users u on u.id = r.userId where d.eventSeq = ? and d.ruleId = ? order by 1`,
    event.body.seq,
    body.id,
  );
  return heard.map(({ name }) => name);
}

async function setStatus(prism: TestPrism, id: string, status: "active" | "disabled" | "pending"): Promise<void> {
  await prism.services.db.write((trx) => trx.updateTable("users").set({ status }).where("id", "=", id).execute());
  prism.rightsChanged();
}

test("a rule reaches active holders of its roles and the users it names, each once", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "ann", ["Operator"]);
  await makeUser(prism, "bob", ["Operator", "Auditor"]);
  await makeUser(prism, "cid", ["Auditor"]);
  const dan = await makeUser(prism, "dan");
  const eve = await makeUser(prism, "eve", ["Operator"]);
  await setStatus(prism, eve.id, "disabled");
  const pen = await makeUser(prism, "pen", ["Operator"]);
  await setStatus(prism, pen.id, "pending");

  for (const { name, rule, heard } of [
    { name: "one role", rule: { targetRoles: ["Operator"] }, heard: ["ann", "bob"] },
    { name: "a role in other capitals", rule: { targetRoles: ["OPERATOR"] }, heard: ["ann", "bob"] },
    { name: "two roles", rule: { targetRoles: ["Operator", "Auditor"] }, heard: ["ann", "bob", "cid"] },
    { name: "users", rule: { targetUsers: [dan.id, "cid"] }, heard: ["cid", "dan"] },
    {
      name: "roles and users",
      rule: { targetRoles: ["Auditor"], targetUsers: ["dan", "bob"] },
      heard: ["bob", "cid", "dan"],
    },
    { name: "a role without users", rule: { targetRoles: ["Viewer"] }, heard: [] },
  ])
    await t.test(name, async () => assert.deepEqual(await heardBy(prism, rule), heard));
});

test("D27: a rule of a project reaches members of that project only; in default all users are members", async (t) => {
  const prism = await startPrism(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const ann = await makeUser(prism, "ann", ["Operator"]);
  await makeUser(prism, "bob", ["Operator"]);
  const cid = await makeUser(prism, "cid");
  for (const { userId, role } of [
    { userId: ann.id, role: "viewer" },
    { userId: cid.id, role: "editor" },
  ])
    await prism.post(`/api/v1/projects/${shop.id}/members`, { userId, role });

  assert.deepEqual(await heardBy(prism, { targetRoles: ["Operator"], projectId: shop.id }, "shop"), ["ann"]);
  assert.deepEqual(
    await heardBy(prism, { targetRoles: ["Operator"], targetUsers: ["cid"], projectId: "shop" }, "shop"),
    ["ann", "cid"],
  );
  assert.deepEqual(await heardBy(prism, { targetRoles: ["Operator"], projectId: "default" }), ["ann", "bob"]);
  assert.deepEqual(
    await heardBy(prism, { targetRoles: ["Operator"] }, "shop"),
    ["ann", "bob"],
    "a rule of every project",
  );

  const refused = await prism.post<{ error: { code: string } }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["bob"],
    projectId: "shop",
  });
  assert.deepEqual([refused.status, refused.body.error.code], [422, "RECIPIENT_NOT_FOUND"]);
});

test("recipients are those of the moment of the decision", async (t) => {
  const prism = await startPrism(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const members = `/api/v1/projects/${shop.id}/members`;
  await prism.post("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetRoles: ["Operator"],
    projectId: "shop",
  });
  const heard = async (): Promise<number> => {
    const before = countOf(prism, "notification_recipients");
    await prism.post("/api/v1/events", { type: "x", projectId: "shop" });
    return countOf(prism, "notification_recipients") - before;
  };
  assert.equal(await heard(), 0);
  const ann = await makeUser(prism, "ann", ["Operator"]);
  assert.equal(await heard(), 0, "she holds the role and is no member");
  await prism.post(members, { userId: ann.id, role: "viewer" });
  assert.equal(await heard(), 1);
  await setStatus(prism, ann.id, "disabled");
  assert.equal(await heard(), 0);
  await setStatus(prism, ann.id, "active");
  assert.equal(await heard(), 1);
  await prism.delete(`${members}/${ann.id}`);
  assert.equal(await heard(), 0);
});

test("a rule without recipients leaves a decision and a count, and no notification", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<{ id: string }>("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetRoles: ["Auditor"],
  });
  await prism.post("/api/v1/events", [{ type: "x" }, { type: "y" }, { type: "x" }]);
  await allDecided(prism);
  assert.deepEqual(rowsOf(prism, "select outcome, notificationId from decisions"), [
    { outcome: "no recipients", notificationId: null },
    { outcome: "no recipients", notificationId: null },
  ]);
  assert.equal(countOf(prism, "notifications"), 0);
  const { body: rule } = await prism.get<{ stats: Record<string, unknown> }>(`/api/v1/rules/${body.id}`);
  assert.deepEqual([rule.stats["matched"], rule.stats["fired"], rule.stats["noRecipients"]], [2, 0, 2]);
});
