import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { nearestName } from "./nearest.ts";
import { environmentName, flattenOptions } from "./option.ts";
import { OPTIONS } from "./options.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names of the environment that begin with PRISM_ and are no settings. */
const OTHER_VARIABLES = ["PRISM_URL", "PRISM_TOKEN", "PRISM_CONFIG", "PRISM_CONFIG_DIR", "PRISM_CACHE_DIR"];

/** What a variable says; `text` is undefined when the file it points at cannot be read. */
interface Variable {
  readonly name: string;
  readonly text: string | undefined;
}

/** Whether a variable, or the one with its file, has a value. */
export function isVariableSet(environment: Environment, name: string): boolean {
  return [name, `${name}_FILE`].some((each) => (environment[each] ?? "") !== "");
}

/**
 * The first of some variables that is set, or the content of the file that `<name>_FILE` points at,
 * without the white space around it. Empty counts as absent, as compose files leave variables.
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

/** `secrets.env` of the system's configuration: the variables of the service that are secret. */
export interface SecretsFile {
  readonly path: string;
  readonly variables: Environment;
  /** Why this user cannot read it, such as EACCES; commands that need no secret go on. */
  readonly unreadable: string | null;
}

/** @returns null where there is no such file. */
export function readSecretsFile(configDir: string): SecretsFile | null {
  const path = join(configDir, "secrets.env");
  try {
    return { path, variables: parseEnv(readFileSync(path, "utf8")), unreadable: null };
  } catch (error) {
    const code = codeOf(error);
    return ABSENT.includes(code) ? null : { path, variables: {}, unreadable: code };
  }
}

const ABSENT = ["ENOENT", "ENOTDIR"];

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
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

/**
 * Variables of the seeds' environment files that this program takes note of without using them: it
 * says so once at start.
 */
const IGNORED: readonly { readonly names: RegExp; readonly why: string }[] = [
  { names: /^REDIS_(URL|HOST|PORT|PASSWORD)$/, why: "Prism needs no Redis; its broker is embedded" },
  {
    names: /^APNS_(?!(?:KEY_FILE|KEY_ID|TEAM_ID|BUNDLE_ID|PRODUCTION)(?:_FILE)?$)\w+$/,
    why: "the variables for APNs are APNS_KEY_FILE, APNS_KEY_ID, APNS_TEAM_ID, APNS_BUNDLE_ID and APNS_PRODUCTION",
  },
];

/** @returns one sentence per reason, naming the variables that are set. */
export function ignoredSeedVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  return IGNORED.flatMap(({ names, why }) => {
    const set = Object.keys(environment).filter((name) => names.test(name) && environment[name] !== "");
    return set.length === 0 ? [] : [`${set.sort().join(", ")} ${set.length === 1 ? "is" : "are"} ignored: ${why}`];
  });
}

/**
 * A database URL of another engine is ignored. @returns the warning, or undefined when the
 * URL or path is one of SQLite.
 */
export function foreignDatabaseUrl(url: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === "file" || scheme === "sqlite" || scheme.length === 1) return undefined;
  return `databaseUrl (DATABASE_URL) points at ${scheme}: and is ignored; the database is the file in the data directory`;
}

/** The path of a `file:` or `sqlite:` URL (https://www.sqlite.org/uri.html), or the path itself. */
export function databasePath(url: string): string {
  const path = /^(?:file|sqlite):(?:\/\/(?:localhost(?=\/))?)?(.*)$/is.exec(url)?.[1];
  return path === undefined ? url : decodePath(path.replace(/[?#].*$/s, ""));
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
