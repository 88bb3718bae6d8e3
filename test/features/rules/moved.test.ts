import assert from "node:assert/strict";
import test from "node:test";
import type { RuleVersionPage as Page } from "../../../src/client/api-types.gen.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { valuesOf } from "../../helpers/values.ts";

test("S2-24 the versions of a rule that moved are shown to who may read the rules of where it was then", async (t) => {
  const prism = await startPrism(t);
  const a = await makeProject(prism, "a");
  const b = await makeProject(prism, "b");
  const rule = { name: "r", condition: "event.secret == 'of a'", targetUsers: ["me"], projectId: a.id };
  const { body } = await prism.post<{ id: string }>("/api/v1/rules", rule);
  const path = `/api/v1/rules/${body.id}`;
  for (const change of [
    { name: "second" },
    { projectId: null },
    { projectId: b.id, condition: "event.b" },
    { name: "last" },
  ])
    assert.equal((await prism.put(path, change)).status, 200);
  const person = async (name: string, projects: readonly string[], roles: readonly string[] = []) => {
    const user = await makeUser(prism, name, roles);
    for (const id of projects) await prism.post(`/api/v1/projects/${id}/members`, { userId: user.id, role: "editor" });
    return user.token;
  };
  for (const [who, token, expected] of [
    ["an administrator", prism.adminToken, [5, 4, 3, 2, 1]],
    ["an editor of both", await person("both", [a.id, b.id]), [5, 4, 2, 1]],
    ["an editor of where it is now", await person("now", [b.id]), [5, 4]],
    ["one with rules:read, a member of where it is now", await person("reader", [b.id], ["Viewer"]), [5, 4, 3]],
  ] as const)
    await t.test(who, async () => {
      const all = await prism.get<Page>(`${path}/versions?page=1`, { token });
      assert.deepEqual([all.body.data.map(({ version }) => version), all.body.total], [expected, expected.length]);
      const [first, ...rest] = expected;
      const one = await prism.get<Page & { nextCursor: string }>(`${path}/versions?limit=1`, { token });
      const next = await prism.get<Page>(`${path}/versions?cursor=${one.body.nextCursor}`, { token });
      assert.deepEqual(valuesOf([...one.body.data, ...next.body.data], "version"), [first, ...rest]);
    });
  const left = await prism.get(`${path}/versions`, { token: await person("left", [a.id]) });
  assert.equal(left.status, 404, "the rule itself is not there for who may only read where it was");
});
