import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nearestName } from "./nearest.ts";
import { flattenOptions, isOption, type OptionTree } from "./option.ts";
import { OPTIONS } from "./options.ts";

/**
 * The settings of a configuration file by dotted key, unchecked. An editor's `$schema` is let pass.
 * @param path the file that somebody named; without it prism.config.json of the working directory
 * counts, if there is one.
 * @param problems takes what is wrong with the file, and its unknown names.
 */
export function readConfigFile(
  path: string | undefined,
  workingDir: string,
  problems: string[],
): ReadonlyMap<string, unknown> {
  const file = path ?? join(workingDir, "prism.config.json");
  const found = new Map<string, unknown>();
  if (path === undefined && !existsSync(file)) return found;
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    problems.push(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return found;
  }
  collect(parsed, OPTIONS, "", found, problems);
  return found;
}

function collect(
  node: unknown,
  tree: OptionTree,
  prefix: string,
  found: Map<string, unknown>,
  problems: string[],
): void {
  if (typeof node !== "object" || node === null || Array.isArray(node)) {
    problems.push(`${prefix === "" ? "the configuration file" : prefix} must be an object`);
    return;
  }
  for (const [name, value] of Object.entries(node)) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    const known = Object.hasOwn(tree, name) ? tree[name] : undefined;
    if (name === "$schema" && prefix === "") continue;
    if (!known) {
      problems.push(`${key} is not a setting${hint(name, tree, prefix)}`);
    } else if (isOption(known)) found.set(key, value);
    else collect(value, known, key, found, problems);
  }
}

/**
 * What was probably meant: the same name written flat or in another place, or a near one in the
 * same place.
 */
function hint(name: string, tree: OptionTree, prefix: string): string {
  const keys = flattenOptions(OPTIONS).map(([key]) => key);
  if (name.includes(".") && keys.includes(name)) return `; write it nested: ${nested(name)}`;
  const misplaced = keys.includes(name) ? [name] : keys.filter((key) => key.endsWith(`.${name}`));
  if (misplaced.length === 1) return `; did you mean ${misplaced[0]}?`;
  const nearest = nearestName(name, Object.keys(tree));
  if (nearest === undefined) return "";
  return `; did you mean ${prefix === "" ? nearest : `${prefix}.${nearest}`}?`;
}

/** `log.level` as `{"log":{"level":…}}`. */
function nested(key: string): string {
  return key.split(".").reduceRight((inner, name) => `{"${name}":${inner}}`, "…");
}
