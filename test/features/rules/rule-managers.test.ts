import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";

type Rule = Record<string, unknown> & {
  id: string;
  projectId: string | null;
  error?: { code: string; message: string };
};

/** The body that S2's clients send. */
const SEED_RULE = {
  name: "Failed payment",
  description: "Large payments",
  condition: "event.type == 'payment' && event.amount > 1000",
  targetRoles: ["User"],
  priority: 1,
  active: true,
};

async function defaultProjectId(prism: TestPrism): Promise<string> {
  return (await prism.get<{ id: string }>("/api/v1/projects/default")).body.id;
}

test("a RuleManager makes, changes, imports and deletes rules with a body that names no project", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "manager", ["RuleManager"]);
  const user = await makeUser(prism, "receiver", ["User"]);
  const defaultId = await defaultProjectId(prism);
  const made = await prism.post<Rule>("/api/v1/rules", SEED_RULE, { token });
  assert.deepEqual([made.status, made.body.projectId], [201, defaultId], made.text);
  const path = `/api/v1/rules/${made.body.id}`;
  const changed = await prism.put<Rule>(path, { ...SEED_RULE, priority: 2 }, { token });
  assert.deepEqual([changed.status, changed.body["priority"], changed.body.projectId], [200, 2, defaultId]);
  const imported = await prism.post<{ created: number; rules: Rule[] }>(
    "/api/v1/rules/import",
    { rules: [{ ...SEED_RULE, name: "imported", active: 1 }] },
    { token },
  );
  assert.deepEqual([imported.status, imported.body.created, imported.body.rules[0]?.projectId], [200, 1, defaultId]);
  await prism.post("/api/v1/events", { type: "payment", payload: { amount: 2000 } });
  await eventually("both rules reach the user", async () => {
    const { body } = await prism.get<{ data: unknown[] }>("/api/v1/notifications", { token: user.token });
    return body.data.length === 2;
  });
  assert.equal((await prism.delete(path, { token })).status, 204);
});

test("a RuleManager changes and deletes the rules that an administrator made with the same body", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "manager", ["RuleManager"]);
  const { body: rule } = await prism.post<Rule>("/api/v1/rules", SEED_RULE);
  assert.equal(rule.projectId, null, "an administrator's rule acts on every project");
  const path = `/api/v1/rules/${rule.id}`;
  const off = await prism.put<Rule>(path, { ...SEED_RULE, active: false }, { token });
  assert.deepEqual([off.status, off.body["active"], off.body.projectId], [200, false, null], "still every project's");
  const condition = "event.type == 'payment' && event.amount > 5000";
  const changed = await prism.put<Rule>(path, { ...SEED_RULE, condition }, { token });
  assert.deepEqual(
    [changed.status, changed.body["condition"], changed.body.projectId],
    [200, condition, await defaultProjectId(prism)],
    "no other project exists, so none loses the rule",
  );
  const { body: other } = await prism.post<Rule>("/api/v1/rules", { ...SEED_RULE, name: "other" });
  assert.equal((await prism.delete(`/api/v1/rules/${other.id}`, { token })).status, 204);
});

test("a RuleManager cannot make a rule that shows events of projects that it may not read", async (t) => {
  const prism = await startPrism(t);
  const manager = await makeUser(prism, "manager", ["RuleManager"]);
  const { token } = manager;
  await prism.post("/api/v1/projects", { name: "private" });
  const { body: rule } = await prism.post<Rule>("/api/v1/rules", SEED_RULE);
  const path = `/api/v1/rules/${rule.id}`;
  const all = await prism.post<Rule>("/api/v1/rules", { ...SEED_RULE, projectId: null }, { token });
  assert.deepEqual([all.status, all.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
  assert.match(String(all.body.error?.message), /leave projectId out/);
  for (const change of [
    { condition: "true" },
    { targetUsers: ["me"] },
    { messageTemplate: "{{event.payload|json}}" },
    { dedupe: { key: "{{event.payload|json}}", windowMs: 1000 } },
  ]) {
    const refused = await prism.put<Rule>(path, change, { token });
    assert.deepEqual([refused.status, refused.body.error?.code], [403, "UNAUTHORIZED_ROLE"], JSON.stringify(change));
    assert.match(String(refused.body.error?.message), /send projectId "default"/);
  }
  assert.equal((await prism.get<Rule>(path)).body["version"], 1, "nothing was stored");
  const narrowed = await prism.put<Rule>(path, { targetUsers: ["me"], projectId: "default" }, { token });
  assert.deepEqual([narrowed.status, narrowed.body.projectId], [200, await defaultProjectId(prism)], narrowed.text);
  const back = await prism.put<Rule>(path, { projectId: null }, { token });
  assert.equal(back.status, 403, "and never widens it again");
});

test("OpenAPI says what a rule without projectId means", async (t) => {
  const prism = await startPrism(t);
  const { text } = await prism.get("/openapi.json");
  assert.match(text, /otherwise the default project/);
});
