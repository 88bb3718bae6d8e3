import type { Config } from "./load.ts";
import { maskCredentials } from "./mask.ts";
import { isOption, type OptionTree } from "./option.ts";
import { OPTIONS } from "./options.ts";

/** The settings in force without the secret ones, nested as in prism.config.json: what code that is not the program's own may see. Frozen. */
export function publicConfig(config: Config, tree: OptionTree = OPTIONS): Readonly<Record<string, unknown>> {
  return publicPart(config as unknown as Record<string, unknown>, tree);
}

function publicPart(values: Readonly<Record<string, unknown>>, tree: OptionTree): Readonly<Record<string, unknown>> {
  const shown: Record<string, unknown> = {};
  for (const [name, node] of Object.entries(tree)) {
    const value = values[name];
    if (!isOption(node)) shown[name] = publicPart(Object(value) as Record<string, unknown>, node);
    else if (!node.secret) shown[name] = typeof value === "string" ? maskCredentials(value) : value;
  }
  return Object.freeze(shown);
}
