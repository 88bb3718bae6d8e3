import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import * as v from "valibot";
import { decodeKey32 } from "../../../config/kinds.ts";
import { derivedKey, hmac } from "../../../core/crypto/hmac.ts";
import { SealedBox } from "../../../core/crypto/sealed-box.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { freeBytes } from "../../../core/data-dir.ts";
import { normalised } from "../../../core/text/clean-text.ts";

/**
 * Why an archive is not created or accepted. `damaged`: not an archive, or changed; `untrusted`: no
 * proof of its origin; `newer`: made by a later version; `passphrase`: wrong; `space`: not enough;
 * `exists`: the target exists.
 */
export type ArchiveProblem = "damaged" | "untrusted" | "newer" | "passphrase" | "space" | "exists";

/** An archive cannot be used or created. The message names the next step. */
export class ArchiveRefused extends Error {
  readonly problem: ArchiveProblem;

  constructor(problem: ArchiveProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ArchiveRefused";
    this.problem = problem;
  }
}

/** @throws ArchiveRefused */
export function requireRoom(dir: string, neededBytes: number, free = freeBytes): void {
  const found = free(dir);
  if (found >= neededBytes) return;
  // Rounds the need up and the free space down, so that the message never shows equal numbers.
  const [needed, left] = [Math.ceil(neededBytes / 1_048_576), Math.floor(found / 1_048_576)];
  throw new ArchiveRefused(
    "space",
    `there is not enough room in ${dir}: ${needed} MiB are needed, ${left} MiB are free`,
  );
}

export const MANIFEST_MEMBER = "manifest.json";
export const DATABASE_MEMBER = "prism.db";
export const KEYS_MEMBER = "keys.enc";

const FORMAT = 1;
/** Fixed names, and generated names in one folder: no path can leave the directory. */
const MEMBER_NAME = /^(?:prism\.db|keys\.enc|sounds\/[A-Za-z0-9][A-Za-z0-9._-]{0,79})$/;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const hex = (digits: number) => v.pipe(v.string(), v.regex(/^[0-9a-f]+$/), v.length(digits));
const text = v.pipe(v.string(), v.maxLength(200));

const Member = v.strictObject({ name: v.pipe(v.string(), v.regex(MEMBER_NAME)), bytes: count, sha256: hex(64) });

/** Content of an archive. Sizes limit unpacking; each member must match its hash. */
const Manifest = v.strictObject({
  format: v.literal(FORMAT),
  id: v.pipe(v.string(), v.uuid()),
  /** Version of the program that made it. */
  version: text,
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  schema: v.pipe(v.array(v.strictObject({ name: text, checksum: hex(64) })), v.minLength(1), v.maxLength(10_000)),
  /** Positions of the streams' counters. */
  offsets: v.strictObject({ events: count, streams: count }),
  /** Id of the encryption key that signs. */
  keyId: hex(8),
  /** In the order of the archive. */
  members: v.array(Member),
});

export type Manifest = v.InferOutput<typeof Manifest>;
export type ArchiveMember = Manifest["members"][number];

const Signed = v.strictObject({ manifest: Manifest, hmac: v.optional(hex(64)) });

/** The manifest file: a readable text and its HMAC. */
export function signManifest(manifest: Omit<Manifest, "format" | "keyId">, key: Uint8Array): Buffer {
  // The schema fixes the order of members for writing and reading.
  const whole = v.parse(Manifest, { format: FORMAT, ...manifest, keyId: keyIdOf(key) });
  return Buffer.from(`${JSON.stringify({ manifest: whole, hmac: hmacOf(whole, key) }, null, 2)}\n`);
}

export interface ReadManifest {
  readonly manifest: Manifest;
  readonly hmac: string | undefined;
}

/** @throws ArchiveRefused */
export function readManifest(bytes: Buffer): ReadManifest {
  const value = parsed(bytes);
  const format = (value as { manifest?: { format?: unknown } } | null)?.manifest?.format;
  if (typeof format === "number" && format > FORMAT)
    throw new ArchiveRefused("newer", `the archive has format ${format}, which a newer version of Prism makes`);
  const result = v.safeParse(Signed, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw damaged(`${v.getDotPath(issue) ?? "it"}: ${issue.message}`);
  }
  const { manifest, hmac } = result.output;
  const names = manifest.members.map(({ name }) => name);
  if (new Set(names).size !== names.length) throw damaged("it names a member twice");
  if (!names.includes(DATABASE_MEMBER)) throw damaged("it names no database");
  return { manifest, hmac };
}

/**
 * Checks that the archive was made with one of the keys. Compares the parsed content serialised
 * again, so that nothing unsigned is accepted.
 * @throws ArchiveRefused
 */
export function requireSigned({ manifest, hmac }: ReadManifest, keys: readonly Uint8Array[]): void {
  const trust = "if you know where it is from, add --trust-archive";
  if (hmac === undefined) throw new ArchiveRefused("untrusted", `the archive is not signed; ${trust}`);
  const key = keys.find((each) => keyIdOf(each) === manifest.keyId);
  if (!key)
    throw new ArchiveRefused(
      "untrusted",
      "the archive is signed with an encryption key that is not configured; set PRISM_ENCRYPTION_KEY to that one, " +
        `use --include-secrets if the archive holds its keys, or ${trust}`,
    );
  if (!secretsEqual(hmac, hmacOf(manifest, key)))
    throw new ArchiveRefused("untrusted", `the archive's manifest was changed after it was signed; ${trust}`);
}

function hmacOf(manifest: Manifest, key: Uint8Array): string {
  // A derived key: the encryption key itself signs nothing.
  return hmac("sha256", derivedKey(key, "prism backup manifest")).update(JSON.stringify(manifest)).digest("hex");
}

function keyIdOf(key: Uint8Array): string {
  return new SealedBox([key]).keyId.toString("hex");
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new ArchiveRefused("damaged", "the archive's manifest is not JSON", { cause });
  }
}

function damaged(why: string): ArchiveRefused {
  return new ArchiveRefused("damaged", `the archive's manifest is damaged: ${why}`);
}

/** The secrets of an installation in an archive, under a passphrase. */
export interface CarriedKeys {
  readonly jwtSecret: string;
  readonly encryptionKey: Uint8Array;
  /** Stored data may still be sealed with these. */
  readonly previousEncryptionKeys: readonly Uint8Array[];
}

const MAGIC = Buffer.from("prism keys 1\n");
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/**
 * 128 MiB and about half a second per guess
 * (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). Part of the
 * format.
 */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const MIN_BYTES = MAGIC.length + SALT_BYTES + NONCE_BYTES + TAG_BYTES;

/** Magic ‖ salt ‖ nonce ‖ AES-256-GCM of the keys' JSON ‖ tag, by scrypt of the passphrase. */
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
    scrypt(normalised(passphrase, "NFC"), salt, 32, SCRYPT, (error, key) => (error ? reject(error) : resolve(key)));
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
