import assert from "node:assert/strict";
import { readConfiguration } from "../../../../../src/features/compat/alertmanager/import/configuration.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";

/** Gives the default project the routes and receivers of a configuration of Alertmanager. */
export async function applyConfiguration(prism: TestPrism, text: string): Promise<void> {
  const { routing, receivers } = readConfiguration(text);
  for (const { name } of receivers) {
    if (name === "default") continue;
    const made = await prism.post("/api/v1/policies", { projectId: "default", name, steps: [] });
    assert.equal(made.status, 201, made.text);
  }
  const put = await prism.put("/api/v1/routes?projectId=default", routing);
  assert.equal(put.status, 200, put.text);
}
