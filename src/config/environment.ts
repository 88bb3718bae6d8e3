import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { nearestName } from "./nearest.ts";
import { environmentName, flattenOptions } from "./option.ts";
import { OPTIONS } from "./options.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names of the environment that begin with PRISM_ and are no settings. */
const OTHER_VARIABLES = ["PRISM_URL", "PRISM_TOKEN", "PRISM_CONFIG", "PRISM_CACHE_DIR"];

/** What a variable says; `text` is undefined when the file it points at cannot be read. */
export interface Variable {
  readonly name: string;
  readonly text: string | undefined;
}

/**
 * The first of some variables that is set, or the content of the file that `<name>_FILE` points at, without the white space around it.
 * Empty counts as absent, as compose files leave variables.
 */
export function readVariable(
  names: readonly string[],
  environment: Environment,
  problems: string[],
): Variable | undefined {
  for (const name of names) {
    const text = environment[name];
    if (text !== undefined && text !== "") return { name, text };
    const path = environment[`${name}_FILE`];
    if (path === undefined || path === "") continue;
    try {
      return { name, text: readFileSync(path, "utf8").trim() };
    } catch {
      problems.push(`${name}_FILE points at ${path}, which cannot be read`);
      return { name, text: undefined };
    }
  }
  return undefined;
}

/** The variables of the file .env in the working directory; none where there is no such file. */
export function readDotEnv(workingDir: string, problems: string[]): Environment {
  const path = join(workingDir, ".env");
  if (!existsSync(path)) return {};
  try {
    return parseEnv(readFileSync(path, "utf8"));
  } catch (error) {
    problems.push(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return {};
  }
}

/** One sentence for each variable that looks like a setting and is none. */
export function unknownVariables(environment: Environment): string[] {
  const known = [...flattenOptions(OPTIONS).map(([key]) => environmentName(key)), ...OTHER_VARIABLES];
  const names = new Set(known.flatMap((name) => [name, `${name}_FILE`]));
  return Object.keys(environment)
    .filter((name) => name.startsWith("PRISM_") && !names.has(name))
    .sort()
    .map((name) => {
      const nearest = nearestName(name, known);
      return `${name} is not a setting of Prism and is ignored${nearest ? `; did you mean ${nearest}?` : ""}`;
    });
}
