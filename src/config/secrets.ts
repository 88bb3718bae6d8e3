import { hkdfSync, randomBytes } from "node:crypto";
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareDataDir } from "../core/data-dir.ts";
import { decodeKey32 } from "./kinds.ts";
import { ConfigRefused } from "./option.ts";
import type { ConfigValues } from "./options.ts";

/**
 * The secrets in force. They are never logged; `doctor` shows where each came from and nothing
 * else. A command that may go without a secret fails when it asks for one all the same: nothing is
 * ever signed or sealed with a made-up key.
 */
export class Secrets {
  readonly #access: string | undefined;
  readonly #refresh: string | undefined;
  readonly #encryptionKey: Uint8Array | undefined;

  constructor(access: string | undefined, refresh: string | undefined, encryptionKey: Uint8Array | undefined) {
    this.#access = access;
    this.#refresh = refresh;
    this.#encryptionKey = encryptionKey;
  }

  /** HMAC key of access tokens. @throws ConfigRefused */
  get access(): string {
    if (this.#access === undefined) throw notConfigured("auth.jwtSecret (JWT_SECRET)");
    return this.#access;
  }

  /**
   * HMAC key of the hashes of refresh tokens; without one of its own derived from the access
   * secret. @throws ConfigRefused
   */
  get refresh(): string {
    if (this.#refresh !== undefined) return this.#refresh;
    return Buffer.from(hkdfSync("sha256", this.access, "", "prism refresh tokens", 32)).toString("base64");
  }

  /** Encrypts at rest. @throws ConfigRefused */
  get encryptionKey(): Uint8Array {
    if (this.#encryptionKey === undefined) throw notConfigured("encryptionKey (PRISM_ENCRYPTION_KEY)");
    return this.#encryptionKey;
  }
}

function notConfigured(name: string): ConfigRefused {
  return new ConfigRefused([`${name} is not configured, and the data directory holds none that was generated`]);
}

interface KeptSecrets {
  readonly jwtSecret?: string;
  readonly encryptionKey?: string;
}

/** Keys of the secrets that were not configured. */
export function missingSecrets({ auth, encryptionKey }: ConfigValues): string[] {
  return [
    ...(auth.accessSecret === undefined && auth.jwtSecret === undefined ? ["auth.jwtSecret"] : []),
    ...(encryptionKey === undefined ? ["encryptionKey"] : []),
  ];
}

/**
 * Secrets from the configuration; what is missing comes from `<dataDir>/secrets.json` (mode 0600),
 * where it was generated at an earlier start or, if allowed, is generated now. Production never
 * gets one from there.
 * @throws ConfigRefused when the file is damaged
 */
export function resolveSecrets(config: ConfigValues, generate: boolean): Secrets {
  const mayKeep = missingSecrets(config).length > 0 && config.env !== "production";
  const kept = mayKeep ? keptSecrets(config.dataDir, generate) : {};
  return new Secrets(
    config.auth.accessSecret ?? config.auth.jwtSecret ?? kept.jwtSecret,
    config.auth.refreshSecret,
    config.encryptionKey ?? decodeKey32(kept.encryptionKey ?? ""),
  );
}

function keptSecrets(dataDir: string, generate: boolean): KeptSecrets {
  const path = join(dataDir, "secrets.json");
  if (!existsSync(path)) {
    if (!generate) return {};
    prepareDataDir(dataDir);
    makeSecrets(path);
  }
  return readSecrets(path);
}

/**
 * Written aside and then linked: a crash cannot leave half a key that would lock the database for
 * ever, and of two processes one wins.
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
  const kept = parse(readFileSync(path, "utf8"));
  if (typeof kept?.jwtSecret === "string" && decodeKey32(String(kept.encryptionKey)) !== undefined) return kept;
  throw new ConfigRefused([
    `${path} is damaged; restore it from a backup: without its encryptionKey nothing that is sealed in the database can be read`,
  ]);
}

function parse(text: string): KeptSecrets | undefined {
  try {
    return JSON.parse(text) as KeptSecrets;
  } catch {
    return undefined;
  }
}
