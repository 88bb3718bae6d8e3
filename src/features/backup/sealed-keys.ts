import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { decodeKey32 } from "../../config/kinds.ts";
import { ArchiveRefused } from "./archive-refused.ts";

/** The secrets of an installation, as an archive carries them: under a passphrase. */
export interface CarriedKeys {
  readonly jwtSecret: string;
  readonly encryptionKey: Uint8Array;
  /** What is at rest may still be sealed with these. */
  readonly previousEncryptionKeys: readonly Uint8Array[];
}

const MAGIC = Buffer.from("prism keys 1\n");
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 128 MiB and about half a second a guess (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). Part of the format. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const MIN_BYTES = MAGIC.length + SALT_BYTES + NONCE_BYTES + TAG_BYTES;

/** Magic ‖ salt ‖ nonce ‖ AES-256-GCM of the keys' JSON ‖ tag, under a key that scrypt makes of the passphrase. */
export async function sealKeys(keys: CarriedKeys, passphrase: string): Promise<Buffer> {
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const cipher = createCipheriv("aes-256-gcm", await derive(passphrase, salt), nonce).setAAD(MAGIC);
  const plain = JSON.stringify({
    jwtSecret: keys.jwtSecret,
    encryptionKey: base64(keys.encryptionKey),
    previousEncryptionKeys: keys.previousEncryptionKeys.map(base64),
  });
  return Buffer.concat([MAGIC, salt, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws ArchiveRefused */
export async function openKeys(sealed: Buffer, passphrase: string): Promise<CarriedKeys> {
  if (!sealed.subarray(0, MAGIC.length).equals(MAGIC) || sealed.length < MIN_BYTES)
    throw new ArchiveRefused("damaged", "the archive's keys are not in a form that this version knows");
  const body = sealed.subarray(MAGIC.length);
  const salt = body.subarray(0, SALT_BYTES);
  const nonce = body.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", await derive(passphrase, salt), nonce).setAAD(MAGIC);
  decipher.setAuthTag(body.subarray(-TAG_BYTES));
  try {
    const content = body.subarray(SALT_BYTES + NONCE_BYTES, -TAG_BYTES);
    return keysOf(Buffer.concat([decipher.update(content), decipher.final()]).toString("utf8"));
  } catch (cause) {
    throw new ArchiveRefused("passphrase", "the passphrase does not open the archive's keys", { cause });
  }
}

function derive(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize("NFC"), salt, 32, SCRYPT, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function keysOf(json: string): CarriedKeys {
  const { jwtSecret, encryptionKey, previousEncryptionKeys } = JSON.parse(json) as Record<string, unknown>;
  if (typeof jwtSecret !== "string" || !Array.isArray(previousEncryptionKeys)) throw new Error("keys are missing");
  return {
    jwtSecret,
    encryptionKey: key32(encryptionKey),
    previousEncryptionKeys: previousEncryptionKeys.map(key32),
  };
}

function key32(text: unknown): Uint8Array {
  const key = decodeKey32(String(text));
  if (!key) throw new Error("a key does not have 32 bytes");
  return key;
}

function base64(key: Uint8Array): string {
  return Buffer.from(key).toString("base64");
}
