import { readConfiguration } from "../../../../../src/features/protocols/alertmanager/import/configuration.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";
import { answered } from "../../../../helpers/prism.ts";

/** Gives the default project the routes and receivers of a configuration of Alertmanager. */
export async function applyConfiguration(prism: TestPrism, text: string): Promise<void> {
  const { routing, receivers } = readConfiguration(text);
  for (const { name } of receivers) {
    if (name === "default") continue;
    await answered(201, prism.post("/api/v1/policies", { projectId: "default", name, steps: [] }));
  }
  await answered(200, prism.put("/api/v1/routes?projectId=default", routing));
}
