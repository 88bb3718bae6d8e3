import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import * as v from "valibot";
import { checkProduction } from "./check-production.ts";
import { ConfigRefused } from "./config-refused.ts";
import { maskCredentials } from "./mask.ts";
import { nearestName } from "./nearest.ts";
import { environmentName, flagName, flattenOptions, isOption, type Option, type OptionTree } from "./option.ts";
import { type ConfigValues, OPTIONS } from "./options.ts";
import { resolveSecrets, type Secrets } from "./secrets.ts";
import { databasePath, foreignDatabaseUrl, ignoredSeedVariables } from "./seed-variables.ts";

export { ConfigRefused };

/** Where a value came from, as `doctor` shows it. */
export type Origin = "flag" | "environment" | "file" | "default" | "generated";

/** The settings a server runs with; frozen. What depends on other settings is worked out. */
export interface Config extends ConfigValues {
  readonly host: string;
  readonly databaseFile: string;
  readonly unknownRecipient: "provision" | "reject";
  readonly secrets: Secrets;
}

export interface LoadedConfig {
  readonly config: Config;
  /** By dotted key. */
  readonly origins: ReadonlyMap<string, Origin>;
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  /** Values of the command line by dotted key, as text. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDir: string;
  /** `--config`; without it prism.config.json of the working directory, if there is one. */
  readonly configFile?: string | undefined;
  /** Make the secrets that development may go without, and keep them in the data directory. Commands that only talk to a server do not. */
  readonly generateSecrets: boolean;
  /** Whether production is refused without good secrets (default). Commands that only read need none. */
  readonly checkSecrets?: boolean;
}

/** Names of the environment that begin with PRISM_ and are no settings. */
const OTHER_VARIABLES = ["PRISM_URL", "PRISM_TOKEN", "PRISM_CONFIG", "PRISM_CACHE_DIR"];

/** Flags > environment > file > defaults. @throws ConfigRefused */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const problems: string[] = [];
  const file = readConfigFile(sources, problems);
  const environment = withDotEnv(sources, file);

  const values: Record<string, unknown> = {};
  const origins = new Map<string, Origin>();
  for (const [key, option] of flattenOptions(OPTIONS)) {
    const [value, origin] = pick(key, option, { ...sources, environment }, file, problems);
    values[key] = value;
    origins.set(key, origin);
  }
  const warnings = [
    ...unknownVariables(environment),
    ...ignoredSeedVariables(environment),
    ...(typeof values["databaseUrl"] === "string" ? [foreignDatabaseUrl(values["databaseUrl"])] : []),
  ].filter((warning) => warning !== undefined);
  if (problems.length > 0) throw new ConfigRefused(problems);

  const given = nest(OPTIONS, values) as unknown as ConfigValues;
  const dataDir = resolve(sources.workingDir, given.dataDir);
  const { secrets, generated } = resolveSecrets({ ...given, dataDir }, sources.generateSecrets);
  for (const key of generated) origins.set(key, "generated");
  if (sources.checkSecrets !== false) problems.push(...checkProduction(given, generated));
  if (problems.length > 0) throw new ConfigRefused(problems);
  return { config: derive(given, dataDir, sources.workingDir, secrets), origins, warnings };
}

function derive(given: ConfigValues, dataDir: string, workingDir: string, secrets: Secrets): Config {
  const isProduction = given.env === "production";
  const url = given.databaseUrl;
  const usesUrl = url !== undefined && foreignDatabaseUrl(url) === undefined;
  return deepFreeze({
    ...given,
    dataDir,
    host: given.host ?? (isProduction ? "0.0.0.0" : "127.0.0.1"),
    databaseFile: usesUrl ? resolve(workingDir, databasePath(url)) : join(dataDir, "prism.db"),
    unknownRecipient: given.notifications.unknownRecipient ?? (given.env === "development" ? "provision" : "reject"),
    secrets,
  });
}

/** The value of one option from the first source that has it, checked. */
function pick(
  key: string,
  option: Option<unknown>,
  { flags, environment }: ConfigSources,
  file: ReadonlyMap<string, unknown>,
  problems: string[],
): [unknown, Origin] {
  const check = (value: unknown, name: string): unknown => {
    const result = v.safeParse(option.kind.schema, value);
    if (result.success) return result.output;
    const given = option.secret ? "" : `, not ${maskCredentials(JSON.stringify(value))}`;
    problems.push(`${name} ${result.issues[0].message}${given}`);
    return option.fallback;
  };
  const flag = flags[key];
  if (flag !== undefined) return [check(option.kind.fromText(flag), flagName(key)), "flag"];
  for (const name of [environmentName(key), ...option.seed]) {
    const text = readVariable(name, environment, problems);
    if (text !== undefined) return [check(option.kind.fromText(text), name), "environment"];
  }
  if (file.has(key)) {
    const value = file.get(key);
    return [check(typeof value === "string" ? option.kind.fromText(value) : value, key), "file"];
  }
  return [option.fallback, "default"];
}

/** A variable, or the content of the file that `<name>_FILE` points at. Empty counts as absent, as compose files leave them. */
function readVariable(name: string, environment: ConfigSources["environment"], problems: string[]): string | undefined {
  const text = environment[name];
  if (text !== undefined && text !== "") return text;
  const path = environment[`${name}_FILE`];
  if (path === undefined || path === "") return undefined;
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    problems.push(`${name}_FILE points at ${path}, which cannot be read`);
    return undefined;
  }
}

function readConfigFile({ configFile, workingDir }: ConfigSources, problems: string[]): Map<string, unknown> {
  const path = configFile ?? join(workingDir, "prism.config.json");
  const found = new Map<string, unknown>();
  if (configFile === undefined && !existsSync(path)) return found;
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    problems.push(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
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
      const nearest = nearestName(name, Object.keys(tree));
      problems.push(
        `${key} is not a setting${nearest ? `; did you mean ${prefix === "" ? nearest : `${prefix}.${nearest}`}?` : ""}`,
      );
    } else if (isOption(known)) found.set(key, value);
    else collect(value, known, key, found, problems);
  }
}

/** In development the file .env of the working directory stands behind the environment. */
function withDotEnv(sources: ConfigSources, file: ReadonlyMap<string, unknown>): ConfigSources["environment"] {
  const path = join(sources.workingDir, ".env");
  const [env] = pick("env", OPTIONS.env, sources, file, []);
  if (env !== "development" || !existsSync(path)) return sources.environment;
  return { ...parseEnv(readFileSync(path, "utf8")), ...sources.environment };
}

function unknownVariables(environment: ConfigSources["environment"]): string[] {
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

function nest(tree: OptionTree, values: Readonly<Record<string, unknown>>, prefix = ""): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(tree).map(([name, node]) => {
      const key = prefix === "" ? name : `${prefix}.${name}`;
      return [name, isOption(node) ? values[key] : nest(node, values, key)];
    }),
  );
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === "object" && member !== null && !ArrayBuffer.isView(member)) deepFreeze(member);
  }
  return Object.freeze(value);
}
