import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { OPEN_SECRETS, openSecretFiles, serverWarnings } from "../../../config/checks.ts";
import { sudoAs } from "../../../config/config-file.ts";
import { describeConfig } from "../../../config/describe.ts";
import type { Config, ConfigFiles, LoadedConfig } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";
import { KEEPS_UTF8_HEADERS, nodeWarning } from "../../../core/runtime.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { isUnused } from "../../data-dir.ts";
import type { Judged } from "./running-config.ts";

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

/** The configuration of this shell, or why there is none. */
export interface ReadConfig {
  readonly loaded: LoadedConfig | null;
  readonly refused: readonly Check[];
}

/** @param load reads the configuration as a server would. */
export function readConfig(load: () => LoadedConfig): ReadConfig {
  try {
    return { loaded: load(), refused: [] };
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    return { loaded: null, refused: error.problems.map((problem) => fail("configuration", problem)) };
  }
}

/** The configuration in use: that of the running server where it can be asked. */
export function checkConfig({ loaded, server, socket }: Judged): Check[] {
  const { config, origins, files, warnings } = loaded;
  const settings = describeConfig(config, origins);
  const given = settings.filter(({ origin }) => origin !== "default" && origin !== "generated");
  // With other settings than those of this shell the server may have read other files.
  const own = server && server.differing.length > 0 ? [] : [filesText(files)];
  const source = [...own, ...(server ? [`of the running server${differenceText(server)}`] : [])].join("; ");
  const denied = "a server runs that this user may not ask: judged are the settings of this shell, not the server's";
  return [
    pass("configuration", `${config.env}; ${source}; ${given.length} of ${settings.length} settings are set`),
    ...(socket === "denied" ? [warn("configuration", denied, `run ${sudoAs(config.dataDir)}`)] : []),
    ...warnings.map((warning) => warn("configuration", warning)),
    ...serverWarnings(config).map((warning) => warn("configuration", warning)),
    ...checkPublicUrl(config),
    ...checkSecrets(loaded),
  ];
}

/** With a mail server it is one of {@link serverWarnings}. */
function checkPublicUrl({ env, publicUrl, smtp }: Config): Check[] {
  if (env !== "production" || publicUrl !== undefined || smtp.host !== undefined) return [];
  const what = "publicUrl is not set: links in messages, invitations and URLs of receivers lead to localhost";
  return [warn("configuration", what, "set it to the address that users open")];
}

const SHOWN_SETTINGS = 8;

function differenceText({ differing, missing }: NonNullable<Judged["server"]>): string {
  const list = (keys: readonly string[]) =>
    keys.length <= SHOWN_SETTINGS
      ? keys.join(", ")
      : `${keys.slice(0, SHOWN_SETTINGS).join(", ")} and ${keys.length - SHOWN_SETTINGS} more`;
  const others = differing.length === 0 ? "" : `; not those of this shell: ${list(differing)}`;
  return missing.length === 0 ? others : `${others}; without its secrets, which are not given here: ${list(missing)}`;
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
