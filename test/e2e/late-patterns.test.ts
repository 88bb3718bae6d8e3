import assert from "node:assert/strict";
import test from "node:test";
import { PrismBinary } from "./prism-binary.ts";

test("the executable compiles patterns with code that it reads then, and refuses a bad one as such", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const { body: project } = await prism.call<{ id: string }>("POST", "/api/v1/projects", { name: "patterns" });
  const create = (pattern: string): Promise<{ status: number; body: { error?: { code: string } } }> =>
    prism.call("POST", "/api/v1/rules", {
      projectId: project.id,
      name: `pattern ${pattern}`,
      targetRoles: ["admin"],
      condition: `matches(event.type, '${pattern}')`,
    });
  const bad = await create("(door");
  assert.equal(bad.body.error?.code, "INVALID_CONDITION", JSON.stringify(bad));
  const good = await create("^door[.]");
  assert.equal(good.status, 201, JSON.stringify(good));
});
