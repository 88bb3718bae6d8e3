import assert from "node:assert/strict";
import test from "node:test";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";

type Answer = { id: string; name: string; version: number; error?: { code: string } };

test("S2-24 a rule by its id, with its version as ETag, for who may see it", async (t) => {
  keepsPromise(t, "S2-24");
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const body = { name: "r", condition: "event.amount > 10", targetUsers: ["me"], projectId: shop.id };
  const made = await prism.post<Answer>("/api/v1/rules", body);
  const path = `/api/v1/rules/${made.body.id}`;
  const { headers, body: shown } = await answered(200, prism.get<Answer>(path));
  assert.deepEqual(shown, made.body);
  assert.equal(headers.get("etag"), '"1"');
  assert.equal(headers.get("cache-control"), "private, no-cache");

  const unchanged = await prism.get(path, { headers: { "If-None-Match": '"1"' } });
  assert.deepEqual([unchanged.status, unchanged.text], [304, ""]);
  await prism.patch(path, { name: "renamed" });
  const changed = await prism.get<Answer>(path, { headers: { "If-None-Match": '"1"' } });
  assert.deepEqual([changed.status, changed.body.name, changed.headers.get("etag")], [200, "renamed", '"2"']);

  const member = await makeUser(prism, "member");
  const stranger = await makeUser(prism, "stranger", ["User"]);
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: member.id, role: "editor" });
  assert.equal((await prism.get(path, { token: member.token })).status, 200);
  const hidden = await prism.get<Answer>(path, { token: stranger.token });
  assert.notEqual(hidden.status, 200);
  for (const id of ["0198c0de-0000-7000-8000-00000000dead", "not-an-id", "%27%20or%201=1"]) {
    const { status, body } = await prism.get<Answer>(`/api/v1/rules/${id}`);
    assert.deepEqual([status, body.error?.code], [404, "RULE_NOT_FOUND"], id);
  }
});
