import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareDataDir } from "../base/data-dir.ts";
import { decodeKey32 } from "./kinds.ts";
import type { ConfigValues } from "./options.ts";

/** The secrets in force. They are never logged; `doctor` shows where each came from and nothing else. */
export interface Secrets {
  /** HMAC key of access tokens. */
  readonly access: string;
  /** Encrypts at rest. */
  readonly encryptionKey: Uint8Array;
}

interface KeptSecrets {
  readonly jwtSecret?: string;
  readonly encryptionKey?: string;
}

/**
 * Secrets from the configuration; what is missing comes from `<dataDir>/secrets.json` (mode 0600), where it was generated at an earlier
 * start or, if allowed, is generated now.
 * @returns also the keys of the settings that were not configured. In production those are refused.
 */
export function resolveSecrets(config: ConfigValues, generate: boolean): { secrets: Secrets; generated: string[] } {
  const configuredAccess = config.auth.accessSecret ?? config.auth.jwtSecret;
  const generated: string[] = [];
  if (configuredAccess === undefined) generated.push("auth.jwtSecret");
  if (config.encryptionKey === undefined) generated.push("encryptionKey");
  const mayGenerate = generate && config.env !== "production";
  const kept = generated.length > 0 ? keptSecrets(config.dataDir, mayGenerate) : {};
  return {
    secrets: {
      access: configuredAccess ?? kept.jwtSecret ?? "",
      encryptionKey: config.encryptionKey ?? decodeKey32(kept.encryptionKey ?? "") ?? new Uint8Array(32),
    },
    generated,
  };
}

function keptSecrets(dataDir: string, mayGenerate: boolean): KeptSecrets {
  const path = join(dataDir, "secrets.json");
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as KeptSecrets;
  if (!mayGenerate) return {};
  prepareDataDir(dataDir);
  const made = { jwtSecret: randomBytes(32).toString("base64"), encryptionKey: randomBytes(32).toString("base64") };
  // Written aside and renamed, so that a crash cannot leave half a key that would lock the database for ever.
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
  return made;
}
