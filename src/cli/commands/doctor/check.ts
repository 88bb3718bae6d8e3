import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { OPEN_SECRETS, openSecretFiles, serverWarnings } from "../../../config/checks.ts";
import { describeConfig } from "../../../config/describe.ts";
import type { Config, ConfigFiles, LoadedConfig } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";
import { KEEPS_UTF8_HEADERS, nodeWarning } from "../../../core/runtime.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { isUnused } from "../../data-dir.ts";

export interface Check {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
  /** The next step. */
  readonly remedy?: string;
}

export function pass(name: string, message: string): Check {
  return { name, status: "PASS", message };
}

export function warn(name: string, message: string, remedy?: string): Check {
  return { name, status: "WARN", message, ...(remedy === undefined ? {} : { remedy }) };
}

export function fail(name: string, message: string, remedy?: string): Check {
  return { name, status: "FAIL", message, ...(remedy === undefined ? {} : { remedy }) };
}

/** Runs a check; an error counts as a failed one. */
export async function attempt(name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(name, error instanceof Error ? error.message : String(error))];
  }
}

/** Reads the database; null if it cannot be read, which another check reports. */
export function readOrNull<T>(databaseFile: string, read: (connection: Sqlite) => T): T | null {
  try {
    return reading(databaseFile, read);
  } catch {
    return null;
  }
}

/** Whether Node.js still gets security fixes. */
export function checkNode(now = Date.now()): Check {
  const warning = nodeWarning(now);
  return warning === null ? pass("node", `Node.js ${process.versions.node}`) : warn("node", warning);
}

/** Warns where the HTTP library takes characters that are not ASCII for white space (docs/ntfy.md). */
export function checkHeaders(keepsUtf8 = KEEPS_UTF8_HEADERS): Check[] {
  if (keepsUtf8) return [];
  const lost = "on this platform characters that are not ASCII are lost at the ends of header values";
  return [warn("headers", lost, "let publishers of ntfy use the query, JSON or RFC 2047 for titles and tags")];
}

/** `1536` is `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`;
}

/** The configuration in use, or why there is none. */
export interface ConfigFinding {
  readonly loaded: LoadedConfig | null;
  readonly checks: readonly Check[];
}

/** @param load reads the configuration as a server would. */
export function checkConfig(load: () => LoadedConfig): ConfigFinding {
  let loaded: LoadedConfig;
  try {
    loaded = load();
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    const checks = error.problems.map((problem) => fail("configuration", problem));
    return { loaded: null, checks };
  }
  const { config, origins, files, warnings } = loaded;
  const settings = describeConfig(config, origins);
  const given = settings.filter(({ origin }) => origin !== "default" && origin !== "generated");
  const checks = [
    pass("configuration", `${config.env}; ${filesText(files)}; ${given.length} of ${settings.length} settings are set`),
    ...warnings.map((warning) => warn("configuration", warning)),
    ...serverWarnings(config).map((warning) => warn("configuration", warning)),
    ...checkSecrets(loaded),
  ];
  return { loaded, checks };
}

function filesText({ config, secrets }: ConfigFiles): string {
  const file = config ?? "no configuration file";
  if (secrets === null) return file;
  return `${file} and ${secrets.path}${secrets.unreadable === null ? "" : ` (not readable: ${secrets.unreadable})`}`;
}

/** A valid production configuration implies good secrets. */
function checkSecrets({ config, origins, files }: LoadedConfig): Check[] {
  const generated = ["auth.jwtSecret", "encryptionKey"].filter((key) => origins.get(key) === "generated");
  const where = join(config.dataDir, "secrets.json");
  const said = generated.length === 0 ? "configured" : `${generated.join(" and ")}: generated, kept in ${where}`;
  return [
    unusableKey(config) ?? pass("secrets", said),
    ...openSecretFiles({ files, origins }).map((path) =>
      warn("secrets", `${path} ${OPEN_SECRETS}`, `chmod 640 ${path}`),
    ),
  ];
}

function unusableKey({ databaseFile, secrets }: Config): Check | undefined {
  try {
    // A missing key is generated with a new database.
    if (isUnused(databaseFile)) return undefined;
    return secrets.encryptionKey ? undefined : fail("secrets", "the encryption key is empty");
  } catch (error) {
    return fail("secrets", error instanceof Error ? error.message : String(error));
  }
}

/** There is no Redis to reach, which `redis:check` reports. */
export function checkRedis(warnings: readonly string[]): Check[] {
  const ignored = warnings.find((warning) => warning.startsWith("REDIS_"));
  return [
    pass("redis", "embedded: Prism has its own broker and queues and needs no Redis"),
    ...(ignored === undefined ? [] : [warn("redis", ignored)]),
  ];
}
