import { join, resolve } from "node:path";
import * as v from "valibot";
import { SealedBox } from "../core/crypto/sealed-box.ts";
import {
  checkCluster,
  checkEmergency,
  checkFaces,
  checkLimits,
  checkOidc,
  checkPairs,
  checkProduction,
  checkProviders,
  checkProxyHeader,
  checkTrusted,
  missingInProduction,
  unusedProviders,
} from "./checks.ts";
import { readConfigFile, sudoAs } from "./config-file.ts";
import {
  databasePath,
  type EnvironmentVariables,
  foreignDatabaseUrl,
  ignoredSeedVariables,
  readDotEnv,
  readSecretsFile,
  readVariable,
  type SecretsFile,
  unknownVariables,
  withClientSecrets,
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
import { readStoredSettings, type StoredSettings, settingsFile } from "./stored-settings.ts";

export { ConfigRefused };

/** Source of a value, as `doctor` and `prism config` show it. */
export type Origin = "flag" | "environment" | ".env" | "secrets.env" | "file" | "console" | "default" | "generated";

/**
 * The settings of a running server, frozen. Defaults that depend on other settings are resolved.
 */
export interface Config extends ConfigValues {
  readonly host: string;
  readonly databaseFile: string;
  readonly modulesDir: string;
  readonly unknownRecipient: "provision" | "reject";
  readonly secrets: Secrets;
  /** The core of `prism check`, which knows nothing of a network: hosts are neither resolved nor refused. */
  readonly isOffline?: true;
}

export interface LoadedConfig {
  readonly config: Config;
  /** By dotted key. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** By dotted key: the flag, variable or setting that gave the value. */
  readonly names: ReadonlyMap<string, string>;
  readonly files: ConfigFiles;
  /** Settings stored by the console, also those that another source overrides. */
  readonly stored: StoredSettings;
  readonly warnings: readonly string[];
  /** Loads all sources again. @param stored replaces what is stored. @throws ConfigRefused */
  reload(stored?: StoredSettings): LoadedConfig;
}

/** The files that were used. */
export interface ConfigFiles {
  /** Null if no configuration file was found. */
  readonly config: string | null;
  readonly secrets: SecretsFile | null;
  /** The file of the console's settings, which need not exist. */
  readonly stored: string;
}

/** Secrets that must be configured in production; a command requires only those that it uses. */
export type SecretsUse = "all" | "encryption" | "none";

export interface ConfigSources {
  /** Values of flags by dotted key, as text. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly environment: EnvironmentVariables;
  readonly workingDir: string;
  /**
   * `--config`; default: prism.config.json in the working directory, otherwise in PRISM_CONFIG_DIR.
   */
  readonly configFile?: string | undefined;
  /** Default: all. */
  readonly secrets?: SecretsUse;
  /** Default: `settings.json` in the data directory. */
  readonly stored?: StoredSettings | undefined;
}

/** Default of PRISM_CONFIG_DIR. */
const SYSTEM_CONFIG_DIR = "/etc/prism";

/** Sources of settings; the first one that has a setting takes precedence. Those that have none are left out. */
interface SettingSources {
  readonly flags: ConfigSources["flags"];
  readonly environments: readonly (readonly [origin: Origin, environment: EnvironmentVariables])[];
  readonly files: readonly (readonly [origin: "file" | "console", settings: ReadonlyMap<string, unknown>])[];
}

/**
 * Loads the configuration: flags > environment > .env > secrets.env > file > settings of the console
 * > defaults. Writes nothing. @throws ConfigRefused with all problems
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const problems: string[] = [];
  const { flags, workingDir, configFile, secrets: use = "all" } = sources;
  const environment = copied(sources.environment);
  const configDir = resolve(workingDir, environment["PRISM_CONFIG_DIR"] || SYSTEM_CONFIG_DIR);
  const file = readConfigFile({ named: configFile, workingDir, configDir }, problems);
  const dotEnv = readDotEnv(workingDir, problems);
  const secretsFile = readSecretsFile(configDir);
  const environments = (
    [
      ["environment", environment],
      [".env", dotEnv],
      ["secrets.env", secretsFile?.variables ?? {}],
    ] as const
  ).filter(([, variables]) => Object.keys(variables).length > 0);
  const above = { flags, environments, files: filled(["file", file.settings]) };
  const dataDir = dataDirOf(above, (key, path) => resolve(key === "file" ? file.baseDir : workingDir, path));
  const stored = sources.stored ?? readStoredSettings(dataDir, problems);
  const overridden: string[] = [];
  const { values, origins, names } = pickAll(
    { ...above, files: filled(["file", file.settings], ["console", stored]) },
    problems,
    overridden,
  );
  const oidc = withClientSecrets(
    values["auth.oidc"] as ConfigValues["auth"]["oidc"],
    environments.map(([, variables]) => variables),
    problems,
  );
  const given = nest(OPTIONS, { ...values, "auth.oidc": oidc }) as unknown as ConfigValues;
  const missing = missingSecrets(given).filter((key) => origins.get(key) === "default");
  problems.push(...checkSecretsFor(use, given, missing, secretsFile));
  problems.push(
    ...checkPairs(given),
    ...checkEmergency(given),
    ...checkCluster(given),
    ...checkLimits(given),
    ...checkProviders(given),
    ...checkFaces(given),
    ...checkTrusted(given),
    ...checkProxyHeader(given),
    ...checkOidc(given),
  );
  if (problems.length > 0) throw new ConfigRefused(problems);

  const at: PathResolver = (key, path) => resolve(origins.get(key) === "file" ? file.baseDir : workingDir, path);
  const secrets = resolveSecrets({ ...given, dataDir }, unreadableHint(secretsFile, dataDir));
  for (const key of missing) origins.set(key, "generated");
  const seen = { ...secretsFile?.variables, ...dotEnv, ...environment };
  const warnings = [
    ...overridden,
    ...unknownVariables(seen),
    ...ignoredSeedVariables(seen),
    ...unusedProviders(given),
    ...(given.databaseUrl === undefined ? [] : [foreignDatabaseUrl(given.databaseUrl)]),
    apnsGaps(given.apns),
  ].filter((warning) => warning !== undefined);
  const files = { config: file.path, secrets: secretsFile, stored: settingsFile(dataDir) };
  return {
    config: derive(given, dataDir, at, secrets),
    origins,
    names,
    files,
    stored,
    warnings,
    reload: (stored) => loadConfig({ ...sources, stored }),
  };
}

/** The data directory, from which the settings of the console are read. */
function dataDirOf(sources: SettingSources, at: (origin: Origin, path: string) => string): string {
  const [first] = findValues("dataDir", OPTIONS.dataDir, sources, []);
  return first === undefined ? at("default", OPTIONS.dataDir.fallback) : at(first.origin, String(first.value));
}

/** Makes the path of the setting `key` absolute. */
type PathResolver = (key: string, path: string) => string;

function checkSecretsFor(
  use: SecretsUse,
  given: ConfigValues,
  missing: readonly string[],
  file: SecretsFile | null,
): string[] {
  if (use === "none") return [];
  const hint = unreadableHint(file, given.dataDir);
  const needed = use === "all" ? missing : missing.filter((key) => key === "encryptionKey");
  // The service already has a secret, so advice to generate one would be wrong.
  const isHidden = hint !== "" && given.env === "production";
  const absent = isHidden ? needed.map((key) => `${key} is not configured${hint}`) : missingInProduction(given, needed);
  return [...absent, ...checkProduction(given, use)];
}

/** Explains that a secret may be missing only because this user cannot read its file. */
function unreadableHint(file: SecretsFile | null, dataDir: string): string {
  if (file === null || file.unreadable === null) return "";
  const sudo = sudoAs(dataDir, file.path);
  return `; ${file.path} cannot be read (${file.unreadable}), run the command as the service's user: ${sudo}`;
}

/**
 * Source of a setting for a message: `--data-dir`, `PRISM_DATA_DIR`, `dataDir in
 * /etc/prism/prism.config.json` or `the default`.
 */
export function sourceOf(key: string, { origins, files }: Pick<LoadedConfig, "origins" | "files">): string {
  const origin = origins.get(key) ?? "default";
  if (origin === "flag") return `from ${flagName(key)}`;
  if (origin === "environment") return `from ${environmentName(key)}`;
  if (origin === "file") return `from ${key} in ${files.config}`;
  if (origin === "console") return `from ${key} in settings.json`;
  if (origin === ".env" || origin === "secrets.env") return `from ${environmentName(key)} in ${origin}`;
  return "the default, in the working directory";
}

function derive(given: ConfigValues, dataDir: string, at: PathResolver, secrets: Secrets): Config {
  const isProduction = given.env === "production";
  const url = given.databaseUrl;
  const { fcm, apns, tls, smtp, mailIn, ntfy, reports } = given;
  const usesUrl = url !== undefined && foreignDatabaseUrl(url) === undefined;
  const fileAt = (key: string, path: string | undefined) => (path === undefined ? undefined : at(key, path));
  return deepFreeze({
    ...given,
    dataDir,
    tls: { certFile: fileAt("tls.certFile", tls.certFile), keyFile: fileAt("tls.keyFile", tls.keyFile) },
    smtp: { ...smtp, dkim: { ...smtp.dkim, keyFile: fileAt("smtp.dkim.keyFile", smtp.dkim.keyFile) } },
    mailIn: {
      ...mailIn,
      certFile: fileAt("mailIn.certFile", mailIn.certFile) ?? fileAt("tls.certFile", tls.certFile),
      keyFile: fileAt("mailIn.keyFile", mailIn.keyFile) ?? fileAt("tls.keyFile", tls.keyFile),
    },
    fcm: { ...fcm, credentials: fileAt("fcm.credentials", fcm.credentials) },
    ntfy: { ...ntfy, templateDir: fileAt("ntfy.templateDir", ntfy.templateDir) },
    reports: {
      ...reports,
      holidays: fileAt("reports.holidays", reports.holidays),
      postMortem: fileAt("reports.postMortem", reports.postMortem),
    },
    apns: { ...apns, keyFile: fileAt("apns.keyFile", apns.keyFile) },
    host: given.host ?? (isProduction ? "0.0.0.0" : "127.0.0.1"),
    databaseFile: usesUrl ? at("databaseUrl", databasePath(url)) : join(dataDir, "prism.db"),
    modulesDir: fileAt("modulesDir", given.modulesDir) ?? join(dataDir, "modules"),
    unknownRecipient: given.notifications.unknownRecipient ?? (given.env === "development" ? "provision" : "reject"),
    secrets,
  });
}

function filled(...files: SettingSources["files"]): SettingSources["files"] {
  return files.filter(([, { size }]) => size > 0);
}

/** Each look into the process's own variables asks the system. On Windows only those ignore the case of names. */
function copied(environment: EnvironmentVariables): EnvironmentVariables {
  return process.platform === "win32" ? environment : { ...environment };
}

function pickAll(
  sources: SettingSources,
  problems: string[],
  overridden: string[],
): { values: Readonly<Record<string, unknown>>; origins: Map<string, Origin>; names: Map<string, string> } {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, Origin>();
  const names = new Map<string, string>();
  for (const [key, option] of flattenOptions(OPTIONS)) {
    const [first, ...others] = findValues(key, option, sources, problems);
    values[key] = first ? checked(option, first, problems) : option.fallback;
    origins.set(key, first?.origin ?? "default");
    if (first) names.set(key, first.name);
    const wrong: string[] = [];
    for (const other of others) checked(option, other, wrong);
    overridden.push(...wrong.map((problem) => `${problem}; ${first?.name} overrides it`));
  }
  return { values, origins, names };
}

interface FoundValue {
  readonly origin: Origin;
  /** Name of the flag, variable or setting in messages. */
  readonly name: string;
  /** Undefined if the file that contains the value cannot be read. */
  readonly value: unknown;
}

/** All values of one option, in order of precedence. */
function findValues(key: string, option: Option<unknown>, sources: SettingSources, problems: string[]): FoundValue[] {
  const { kind, seed } = option;
  const variables = [environmentName(key), ...seed];
  const found: FoundValue[] = [];
  const flag = sources.flags[key];
  if (flag !== undefined) found.push({ origin: "flag", name: flagName(key), value: kind.fromText(flag) });
  for (const [origin, environment] of sources.environments) {
    // An unreadable file is a problem only if no source of higher precedence has a value.
    const variable = readVariable(variables, environment, found.length === 0 ? problems : []);
    if (!variable) continue;
    const { name, text } = variable;
    found.push({ origin, name, value: text === undefined ? undefined : kind.fromText(text) });
  }
  for (const [origin, settings] of sources.files)
    if (settings.has(key)) {
      const name = origin === "console" ? `${key} in settings.json` : key;
      found.push({ origin, name, value: givenValue(kind, settings.get(key)) });
    }
  return found;
}

/** A value of JSON; text is read as in a variable. */
function givenValue(kind: Option<unknown>["kind"], value: unknown): unknown {
  return typeof value === "string" ? kind.fromText(value) : value;
}

/** The problem of a value that the console would store, without the name; undefined if it is valid. */
export function problemOf({ kind }: Option<unknown>, value: unknown): string | undefined {
  const result = v.safeParse(kind.schema, givenValue(kind, value));
  return result.success ? undefined : result.issues[0].message;
}

/** The validated value. An invalid one adds a problem and gives the default. */
function checked(
  { kind, fallback, secret }: Option<unknown>,
  { name, value }: FoundValue,
  problems: string[],
): unknown {
  if (value === undefined) return fallback;
  const result = v.safeParse(kind.schema, value);
  if (result.success) return result.output;
  const given = secret ? "" : `, not ${maskCredentials(JSON.stringify(value))}`;
  problems.push(`${name} ${result.issues[0].message}${given}`);
  return fallback;
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

/** A configuration is frozen, and each feature is given its settings. */
const shownSettings = new WeakMap<Config, Readonly<Record<string, unknown>>>();

/**
 * The current settings without secrets, nested as in prism.config.json and frozen, for code of
 * modules.
 */
export function publicConfig(config: Config): Readonly<Record<string, unknown>> {
  const known = shownSettings.get(config);
  if (known) return known;
  const shown = publicPart(config as unknown as Record<string, unknown>, OPTIONS);
  shownSettings.set(config, shown);
  return shown;
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
 * Encrypts with the configured key and decrypts with it or an earlier one. @throws ConfigRefused
 * without a configured key
 */
export function sealedBoxOf({ secrets, previousEncryptionKeys }: Config): SealedBox {
  return new SealedBox([secrets.encryptionKey, ...previousEncryptionKeys]);
}
