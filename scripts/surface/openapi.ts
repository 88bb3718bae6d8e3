// The OpenAPI document of a running server: keys sorted, one line for each value, so that a
// difference shows the way to it.
import type { Context } from "./lib/context.ts";
import { leavesOf } from "./lib/leaves.ts";

/** Arrays in which order has no meaning. */
const SETS = ["required"];

export async function record(context: Context): Promise<void> {
  const server = await context.serve("data");
  const response = await fetch(`${server.url}/openapi.json`);
  const document = (await response.json()) as Record<string, unknown>;
  await server.stop();
  const { paths, components, ...rest } = document;
  context.write("paths.txt", leavesOf(paths, SETS).join("\n"));
  context.write("components.txt", leavesOf(components, SETS).join("\n"));
  context.write("rest.txt", leavesOf(rest, SETS).join("\n"));
}
