import { hkdfSync, randomBytes } from "node:crypto";
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareDataDir } from "../core/data-dir.ts";
import { sudoAs } from "./config-file.ts";
import { decodeKey32 } from "./kinds.ts";
import { ConfigRefused } from "./option.ts";
import type { ConfigValues } from "./options.ts";

/**
 * The current secrets. They are never logged; `doctor` shows only their sources. A secret is read
 * when a command needs it. One that is not configured is an error: nothing is signed or encrypted
 * with a generated replacement.
 */
export class Secrets {
  readonly #given: GivenSecrets;
  readonly #kept: () => KeptSecrets;
  readonly #absent: string;

  /**
   * @param kept reads the secrets generated with the database, when one is needed.
   * @param absent end of the message about a secret that is not configured.
   */
  constructor(given: GivenSecrets, kept: () => KeptSecrets, absent: string) {
    this.#given = given;
    this.#kept = kept;
    this.#absent = absent;
  }

  /** HMAC key of access tokens. @throws ConfigRefused */
  get access(): string {
    return this.#given.access ?? this.#kept().jwtSecret ?? this.#refuse("auth.jwtSecret (JWT_SECRET)");
  }

  /**
   * HMAC key for the hashes of refresh tokens; by default derived from the access secret. @throws
   * ConfigRefused
   */
  get refresh(): string {
    if (this.#given.refresh !== undefined) return this.#given.refresh;
    return Buffer.from(hkdfSync("sha256", this.access, "", "prism refresh tokens", 32)).toString("base64");
  }

  /** Key for encryption at rest. @throws ConfigRefused */
  get encryptionKey(): Uint8Array {
    const { encryptionKey } = this.#given;
    return encryptionKey ?? decodeKey32(this.#kept().encryptionKey ?? "") ?? this.#refuse(ENCRYPTION_KEY);
  }

  /** Whether what is encrypted at rest can be read. */
  get hasEncryptionKey(): boolean {
    return this.#given.encryptionKey !== undefined || this.#kept().encryptionKey !== undefined;
  }

  /** For a core that stores and signs nothing: each secret that is not configured is random. */
  orRandom(): Secrets {
    const { access, refresh, encryptionKey } = this.#given;
    const kept = this.#kept();
    const given = {
      access: access ?? kept.jwtSecret ?? randomBytes(32).toString("base64"),
      refresh,
      encryptionKey: encryptionKey ?? decodeKey32(kept.encryptionKey ?? "") ?? randomBytes(32),
    };
    return new Secrets(given, this.#kept, this.#absent);
  }

  #refuse(name: string): never {
    throw new ConfigRefused([`${name} is not configured${this.#absent}`]);
  }
}

const ENCRYPTION_KEY = "encryptionKey (PRISM_ENCRYPTION_KEY)";

interface GivenSecrets {
  readonly access: string | undefined;
  readonly refresh: string | undefined;
  readonly encryptionKey: Uint8Array | undefined;
}

interface KeptSecrets {
  readonly jwtSecret?: string;
  readonly encryptionKey?: string;
}

/** Keys of the secrets that are not configured. */
export function missingSecrets({ auth, encryptionKey }: Pick<ConfigValues, "auth" | "encryptionKey">): string[] {
  return [
    ...(auth.accessSecret === undefined && auth.jwtSecret === undefined ? ["auth.jwtSecret"] : []),
    ...(encryptionKey === undefined ? ["encryptionKey"] : []),
  ];
}

const KEPT_FILE = "secrets.json";

/**
 * Secrets from the configuration; missing ones come from `<dataDir>/secrets.json` (mode 0600),
 * which is created with a new database. Production never uses that file.
 * @param hint another possible cause of a missing secret, for the message.
 */
export function resolveSecrets(config: ConfigValues, hint: string): Secrets {
  const { auth, encryptionKey, env, dataDir } = config;
  const file = join(dataDir, KEPT_FILE);
  const mayKeep = missingSecrets(config).length > 0 && env !== "production";
  let read: KeptSecrets | undefined;
  const kept = (): KeptSecrets => {
    // Read on demand: a new database creates the file after the settings are loaded.
    if (read === undefined && mayKeep && existsSync(file)) read = readSecrets(file);
    return read ?? {};
  };
  const absent = mayKeep ? `, and there is no ${file}, which is made with a new database only` : "";
  const access = auth.accessSecret ?? auth.jwtSecret;
  return new Secrets({ access, refresh: auth.refreshSecret, encryptionKey }, kept, absent + hint);
}

/**
 * Generates the secrets that may be missing in development. Only with a new database: a new key
 * could not decrypt anything in an existing one.
 */
export function generateSecrets(config: Pick<ConfigValues, "auth" | "encryptionKey" | "env" | "dataDir">): void {
  if (config.env === "production" || missingSecrets(config).length === 0) return;
  const file = join(config.dataDir, KEPT_FILE);
  if (existsSync(file)) return;
  prepareDataDir(config.dataDir);
  makeSecrets(file);
}

/**
 * Writes a temporary file and links it: a crash cannot leave a partial key, which would make the
 * database unreadable, and of two processes only one succeeds.
 */
function makeSecrets(path: string): void {
  const made = { jwtSecret: randomBytes(32).toString("base64"), encryptionKey: randomBytes(32).toString("base64") };
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600, flush: true });
  try {
    linkSync(aside, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function readSecrets(path: string): KeptSecrets {
  const kept = parse(readText(path));
  if (typeof kept?.jwtSecret === "string" && decodeKey32(String(kept.encryptionKey)) !== undefined) return kept;
  throw new ConfigRefused([
    `${path} is damaged; restore it from a backup: ` +
      "without its encryptionKey the encrypted data in the database cannot be read",
  ]);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ConfigRefused([`${path} cannot be read (${code}); run the command as its owner: ${sudoAs(path)}`]);
  }
}

function parse(text: string): KeptSecrets | undefined {
  try {
    return JSON.parse(text) as KeptSecrets;
  } catch {
    return undefined;
  }
}
