import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { nearestName } from "./nearest.ts";
import type { OidcSettings } from "./oidc-options.ts";
import { environmentName, flattenOptions } from "./option.ts";
import { OPTIONS } from "./options.ts";

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

/** Variables that start with PRISM_ but are not settings. */
const OTHER_VARIABLES = ["PRISM_URL", "PRISM_TOKEN", "PRISM_CONFIG", "PRISM_CONFIG_DIR", "PRISM_CACHE_DIR"];

/** A variable that is set; `text` is undefined if the file it refers to cannot be read. */
interface Variable {
  readonly name: string;
  readonly text: string | undefined;
}

/** Whether the variable or its `_FILE` variant has a value. */
export function isVariableSet(environment: EnvironmentVariables, name: string): boolean {
  return [name, `${name}_FILE`].some((each) => (environment[each] ?? "") !== "");
}

/**
 * The first of these variables that is set, or the trimmed content of the file that `<name>_FILE`
 * refers to. An empty variable counts as unset, because compose files leave them so.
 */
export function readVariable(
  names: readonly string[],
  environment: EnvironmentVariables,
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

/** The variables of the file .env in the working directory; empty without that file. */
export function readDotEnv(workingDir: string, problems: string[]): EnvironmentVariables {
  const path = join(workingDir, ".env");
  if (!existsSync(path)) return {};
  try {
    return parseEnv(readFileSync(path, "utf8"));
  } catch (error) {
    problems.push(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return {};
  }
}

/** `secrets.env` of the system's configuration: the secret variables of the service. */
export interface SecretsFile {
  readonly path: string;
  readonly variables: EnvironmentVariables;
  /**
   * Error code if this user cannot read it, such as EACCES. Commands that need no secret work
   * without it.
   */
  readonly unreadable: string | null;
}

/** @returns null without such a file. */
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

/** What they hold is for configuration files and imports, and secrets of clients at providers. */
const OTHER_PREFIXES = /^PRISM_(SECRET_|IMPORT_|AUTH_OIDC_\w+_CLIENT_SECRET)/;

/** The providers, with the secrets of `PRISM_AUTH_OIDC_<NAME>_CLIENT_SECRET` where the list has none. */
export function withClientSecrets(
  given: readonly OidcSettings[],
  environments: readonly EnvironmentVariables[],
  problems: string[],
): readonly OidcSettings[] {
  return given.map((provider) => {
    if (provider.clientSecret !== undefined) return provider;
    const name = `PRISM_AUTH_OIDC_${provider.name.toUpperCase().replaceAll("-", "_")}_CLIENT_SECRET`;
    const found = environments.map((each) => readVariable([name], each, problems)).find((each) => each?.text);
    return { ...provider, clientSecret: found?.text };
  });
}

/** One warning for each `PRISM_…` variable that is not a setting. */
export function unknownVariables(environment: EnvironmentVariables): string[] {
  const known = [...flattenOptions(OPTIONS).map(([key]) => environmentName(key)), ...OTHER_VARIABLES];
  const names = new Set(known.flatMap((name) => [name, `${name}_FILE`]));
  return Object.keys(environment)
    .filter((name) => name.startsWith("PRISM_") && !OTHER_PREFIXES.test(name) && !names.has(name))
    .sort()
    .map((name) => {
      const nearest = nearestName(name, known);
      return `${name} is not a setting of Prism and is ignored${nearest ? `; did you mean ${nearest}?` : ""}`;
    });
}

/**
 * Variables of other programs' environment files that are known but unused. `serve` logs a warning
 * for them at its start.
 */
const IGNORED: readonly { readonly names: RegExp; readonly why: string }[] = [
  { names: /^REDIS_(URL|HOST|PORT|PASSWORD)$/, why: "Prism needs no Redis; its broker is embedded" },
  {
    names: /^APNS_(?!(?:KEY_FILE|KEY_ID|TEAM_ID|BUNDLE_ID|PRODUCTION)(?:_FILE)?$)\w+$/,
    why: "the variables for APNs are APNS_KEY_FILE, APNS_KEY_ID, APNS_TEAM_ID, APNS_BUNDLE_ID and APNS_PRODUCTION",
  },
];

/** @returns one warning per reason, with the variables that are set. */
export function ignoredSeedVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  return IGNORED.flatMap(({ names, why }) => {
    const set = Object.keys(environment).filter((name) => names.test(name) && environment[name] !== "");
    return set.length === 0 ? [] : [`${set.sort().join(", ")} ${set.length === 1 ? "is" : "are"} ignored: ${why}`];
  });
}

/**
 * A database URL of another engine is ignored. @returns the warning; undefined for a URL or path of
 * SQLite.
 */
export function foreignDatabaseUrl(url: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === "file" || scheme === "sqlite" || scheme.length === 1) return undefined;
  return (
    `databaseUrl (DATABASE_URL) points at ${scheme}: and is ignored; ` +
    "the database is the file in the data directory"
  );
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
