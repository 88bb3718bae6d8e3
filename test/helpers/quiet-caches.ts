import { join } from "node:path";
import type { TestContext } from "node:test";
import { eventually } from "./eventually.ts";
import type { TestPrism } from "./prism.ts";
import { openBeside } from "./store.ts";

/**
 * Waits until the server has looked for the writes of other processes: the first time it lets go of
 * all that it keeps. From then on only what the test writes does that.
 */
export async function quietCaches(t: TestContext, prism: TestPrism): Promise<void> {
  const { profiles } = prism.parts.core.access.reads;
  await prism.get("/api/v1/users/me");
  openBeside(t, join(prism.dir, "prism.db")).prepare("update users set updatedAt = updatedAt + 1").run();
  await eventually("what was kept is let go", () => profiles.size === 0);
}
