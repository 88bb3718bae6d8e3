import assert from "node:assert/strict";
import test from "node:test";
import { makeProject } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { countOf } from "../../helpers/tables.ts";

const rule = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  name,
  projectId: "default",
  condition: "exists(event.a)",
  targetUsers: ["me"],
  ...more,
});

interface Answer {
  readonly id: string;
  readonly error: { readonly code: string; readonly message: string };
}

test("a project has no more active rules than the setting allows", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.rulesPerProject": "3" } });
  await makeProject(prism, "shop");
  const make = (body: unknown) => prism.post<Answer>("/api/v1/rules", body);
  for (const name of ["a", "b", "c"]) assert.equal((await make(rule(name))).status, 201);
  const refused = await make(rule("d"));
  assert.deepEqual([refused.status, refused.body.error.code], [409, "LIMIT_REACHED"]);
  assert.match(refused.body.error.message, /limits\.rulesPerProject allows 3/);

  const idle = await make(rule("idle", { active: false }));
  assert.equal(idle.status, 201, "an inactive rule does not count");
  const path = `/api/v1/rules/${idle.body.id}`;
  assert.equal((await prism.put<Answer>(path, { active: true })).body.error.code, "LIMIT_REACHED");
  assert.equal((await prism.put(path, { priority: 5 })).status, 200);
  const elsewhere = await make(rule("e", { projectId: "shop" }));
  assert.equal(elsewhere.status, 201, "each project has its own");
  const moved = await prism.put<Answer>(`/api/v1/rules/${elsewhere.body.id}`, { projectId: "default" });
  assert.equal(moved.body.error.code, "LIMIT_REACHED");

  const imported = await prism.post<Answer>("/api/v1/rules/import", {
    rules: ["f", "g", "h", "i"].map((name) => rule(name, { projectId: null })),
  });
  assert.deepEqual([imported.status, imported.body.error.code], [409, "LIMIT_REACHED"]);
  assert.equal(countOf(prism, "rules where projectId is null"), 0, "an import stores all or none");
});

test("a user has made no more active rules than the setting allows", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.rulesPerUser": "2" } });
  for (const name of ["a", "b"]) assert.equal((await prism.post("/api/v1/rules", rule(name))).status, 201);
  const refused = await prism.post<Answer>("/api/v1/rules", rule("c", { projectId: null }));
  assert.deepEqual([refused.status, refused.body.error.code], [409, "LIMIT_REACHED"]);
});
