import assert from "node:assert/strict";
import test from "node:test";
import { answered, startPrism } from "../../helpers/prism.ts";
import { valuesOf } from "../../helpers/values.ts";

interface Rule {
  id: string;
  version: number;
  name: string;
  condition: string;
  active: boolean;
  suppression: object | null;
  error?: { code: string };
}

test("restoring a version stores its content as a new one and leaves the rule on or off", async (t) => {
  const prism = await startPrism(t);
  const rule = await prism.post<Rule>("/api/v1/rules", {
    name: "first",
    condition: "event.n > 1",
    targetUsers: ["me"],
    suppression: { count: 5, windowMs: 60_000 },
  });
  const path = `/api/v1/rules/${rule.body.id}`;
  await prism.patch(path, { name: "second", condition: "event.n > 2", suppression: null, active: false });
  const conflict = await prism.request<Rule>(
    "POST",
    `${path}/versions/1/restore`,
    {},
    { headers: { "If-Match": '"1"' } },
  );
  assert.deepEqual([conflict.status, conflict.body.error?.code], [412, "VERSION_CONFLICT"]);
  const { body } = await answered(200, prism.post<Rule>(`${path}/versions/1/restore`));
  assert.deepEqual(
    [body.version, body.name, body.condition, body.suppression, body.active],
    [3, "first", "event.n > 1", { count: 5, windowMs: 60_000 }, false],
  );
  const versions = await prism.get<{ data: { version: number }[] }>(`${path}/versions`);
  assert.deepEqual(valuesOf(versions.body.data, "version"), [3, 2, 1]);
  for (const version of ["9", "none", "-1"]) {
    const missing = await prism.post<Rule>(`${path}/versions/${version}/restore`);
    assert.deepEqual([missing.status, missing.body.error?.code], [404, "RULE_NOT_FOUND"], version);
  }
});
