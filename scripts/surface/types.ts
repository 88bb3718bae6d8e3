// The types of modules and of the client, as they are delivered.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "./lib/context.ts";

export async function record(context: Context): Promise<void> {
  const client = readdirSync(join(context.dist, "prism-client")).filter((name) => name.endsWith(".d.ts"));
  for (const file of ["module.d.ts", ...client.map((name) => `prism-client/${name}`)])
    context.write(file, readFileSync(join(context.dist, file), "utf8"));
}
