import { join, resolve } from "node:path";
import * as v from "valibot";
import { SealedBox } from "../core/sealed-box.ts";
import { checkLimits, checkProduction, checkProviders, checkTrusted, unusedProviders } from "./checks.ts";
import { readConfigFile } from "./config-file.ts";
import {
  databasePath,
  type Environment,
  foreignDatabaseUrl,
  ignoredSeedVariables,
  readDotEnv,
  readVariable,
  unknownVariables,
} from "./environment.ts";
import {
  ConfigRefused,
  environmentName,
  flagName,
  flattenOptions,
  isOption,
  maskCredentials,
  type Option,
  type OptionTree,
} from "./option.ts";
import { apnsGaps, type ConfigValues, OPTIONS } from "./options.ts";
import { missingSecrets, resolveSecrets, type Secrets } from "./secrets.ts";

export { ConfigRefused };

/** Where a value came from, as `doctor` shows it. */
export type Origin = "flag" | "environment" | ".env" | "file" | "default" | "generated";

/** The settings a server runs with; frozen. What depends on other settings is worked out. */
export interface Config extends ConfigValues {
  readonly host: string;
  readonly databaseFile: string;
  readonly modulesDir: string;
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
  readonly environment: Environment;
  readonly workingDir: string;
  /** `--config`; without it prism.config.json of the working directory, if there is one. */
  readonly configFile?: string | undefined;
  /**
   * Make the secrets that development may go without, and keep them in the data directory. Commands
   * that only talk to a server do not.
   */
  readonly generateSecrets: boolean;
  /**
   * Whether production is refused without good secrets (default). Commands that only read need
   * none.
   */
  readonly checkSecrets?: boolean;
}

/** The places where a setting is looked for, the first that has it wins. */
interface Places {
  readonly flags: ConfigSources["flags"];
  readonly environment: Environment;
  readonly dotEnv: Environment;
  readonly file: ReadonlyMap<string, unknown>;
}

/**
 * Flags > environment > .env > file > defaults. @throws ConfigRefused with every problem there is
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const problems: string[] = [];
  const { flags, environment, workingDir, configFile } = sources;
  const file = readConfigFile(configFile, workingDir, problems);
  const dotEnv = readDotEnv(workingDir, problems);
  const { values, origins } = pickAll({ flags, environment, dotEnv, file }, problems);
  const given = nest(OPTIONS, values) as unknown as ConfigValues;
  const missing = missingSecrets(given).filter((key) => origins.get(key) === "default");
  if (sources.checkSecrets !== false) problems.push(...checkProduction(given, missing));
  if ((given.tls.certFile === undefined) !== (given.tls.keyFile === undefined))
    problems.push("tls.certFile and tls.keyFile belong together; set both, or neither");
  problems.push(...checkLimits(given), ...checkProviders(given), ...checkTrusted(given));
  // Before any secret is made and kept: what is refused leaves nothing behind.
  if (problems.length > 0) throw new ConfigRefused(problems);

  const dataDir = resolve(workingDir, given.dataDir);
  const secrets = resolveSecrets({ ...given, dataDir }, sources.generateSecrets);
  for (const key of missing) origins.set(key, "generated");
  const seen = { ...dotEnv, ...environment };
  const warnings = [
    ...unknownVariables(seen),
    ...ignoredSeedVariables(seen),
    ...unusedProviders(given),
    ...(given.databaseUrl === undefined ? [] : [foreignDatabaseUrl(given.databaseUrl)]),
    apnsGaps(given.apns),
  ].filter((warning) => warning !== undefined);
  return { config: derive(given, dataDir, workingDir, secrets), origins, warnings };
}

function derive(given: ConfigValues, dataDir: string, workingDir: string, secrets: Secrets): Config {
  const isProduction = given.env === "production";
  const url = given.databaseUrl;
  const { certFile, keyFile } = given.tls;
  const { fcm, apns } = given;
  const usesUrl = url !== undefined && foreignDatabaseUrl(url) === undefined;
  return deepFreeze({
    ...given,
    dataDir,
    tls: {
      certFile: certFile === undefined ? undefined : resolve(workingDir, certFile),
      keyFile: keyFile === undefined ? undefined : resolve(workingDir, keyFile),
    },
    fcm: { ...fcm, credentials: fcm.credentials === undefined ? undefined : resolve(workingDir, fcm.credentials) },
    apns: { ...apns, keyFile: apns.keyFile === undefined ? undefined : resolve(workingDir, apns.keyFile) },
    host: given.host ?? (isProduction ? "0.0.0.0" : "127.0.0.1"),
    databaseFile: usesUrl ? resolve(workingDir, databasePath(url)) : join(dataDir, "prism.db"),
    modulesDir: given.modulesDir === undefined ? join(dataDir, "modules") : resolve(workingDir, given.modulesDir),
    unknownRecipient: given.notifications.unknownRecipient ?? (given.env === "development" ? "provision" : "reject"),
    secrets,
  });
}

function pickAll(
  places: Places,
  problems: string[],
): { values: Readonly<Record<string, unknown>>; origins: Map<string, Origin> } {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, Origin>();
  for (const [key, option] of flattenOptions(OPTIONS)) {
    const [value, origin] = pick(key, option, places, problems);
    values[key] = value;
    origins.set(key, origin);
  }
  return { values, origins };
}

/**
 * The value of one option from the first place that has it, checked; its default where that is
 * wrong, and a problem more.
 */
function pick(key: string, option: Option<unknown>, places: Places, problems: string[]): [unknown, Origin] {
  const check = (value: unknown, name: string): unknown => {
    const result = v.safeParse(option.kind.schema, value);
    if (result.success) return result.output;
    const given = option.secret ? "" : `, not ${maskCredentials(JSON.stringify(value))}`;
    problems.push(`${name} ${result.issues[0].message}${given}`);
    return option.fallback;
  };
  const flag = places.flags[key];
  if (flag !== undefined) return [check(option.kind.fromText(flag), flagName(key)), "flag"];
  for (const [origin, environment] of [
    ["environment", places.environment],
    [".env", places.dotEnv],
  ] as const) {
    const variable = readVariable([environmentName(key), ...option.seed], environment, problems);
    if (!variable) continue;
    const { name, text } = variable;
    return [text === undefined ? option.fallback : check(option.kind.fromText(text), name), origin];
  }
  if (places.file.has(key)) {
    const value = places.file.get(key);
    return [check(typeof value === "string" ? option.kind.fromText(value) : value, key), "file"];
  }
  return [option.fallback, "default"];
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

/**
 * The settings in force without the secret ones, nested as in prism.config.json: what code that is
 * not the program's own may see. Frozen.
 */
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

/**
 * Seals with the configured key and opens what earlier ones sealed. @throws ConfigRefused where no
 * key is configured
 */
export function sealedBoxOf({ secrets, previousEncryptionKeys }: Config): SealedBox {
  return new SealedBox([secrets.encryptionKey, ...previousEncryptionKeys]);
}
