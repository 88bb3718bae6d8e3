import { createHmac, hkdfSync } from "node:crypto";
import * as v from "valibot";
import { SealedBox } from "../../core/sealed-box.ts";
import { secretsEqual } from "../../core/tokens.ts";
import { ArchiveRefused } from "./archive-refused.ts";

export const MANIFEST_MEMBER = "manifest.json";
export const DATABASE_MEMBER = "prism.db";
export const KEYS_MEMBER = "keys.enc";
export const SOUNDS_DIR = "sounds";

const FORMAT = 1;
/** Fixed names, and files of generated names in one folder: nothing that could lead out of a directory. */
const MEMBER_NAME = /^(?:prism\.db|keys\.enc|sounds\/[A-Za-z0-9][A-Za-z0-9._-]{0,79})$/;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const hex = (digits: number) => v.pipe(v.string(), v.regex(/^[0-9a-f]+$/), v.length(digits));
const text = v.pipe(v.string(), v.maxLength(200));

const Member = v.strictObject({ name: v.pipe(v.string(), v.regex(MEMBER_NAME)), bytes: count, sha256: hex(64) });

/** What an archive says of itself. Sizes bound what is unpacked; each member must be exactly what its hash says. */
const Manifest = v.strictObject({
  format: v.literal(FORMAT),
  id: v.pipe(v.string(), v.uuid()),
  /** Of the program that made it. */
  version: text,
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  schema: v.pipe(v.array(v.strictObject({ name: text, checksum: hex(64) })), v.minLength(1), v.maxLength(10_000)),
  /** Up to where the streams' counters had got. */
  offsets: v.strictObject({ events: count, streams: count }),
  /** Of the encryption key that signs. */
  keyId: hex(8),
  /** In the order in which they stand in the archive. */
  members: v.array(Member),
});

export type Manifest = v.InferOutput<typeof Manifest>;
export type ArchiveMember = Manifest["members"][number];

const Signed = v.strictObject({ manifest: Manifest, hmac: v.optional(hex(64)) });

/** The manifest's file: its text for people, and its HMAC. */
export function signManifest(manifest: Omit<Manifest, "format" | "keyId">, key: Uint8Array): Buffer {
  // The schema gives the members their order, here and where it is read.
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
 * Whether somebody who has one of the keys made the archive. What is compared is what was read, written anew: nothing can be read that was not signed.
 * @throws ArchiveRefused
 */
export function requireSigned({ manifest, hmac }: ReadManifest, keys: readonly Uint8Array[]): void {
  const trust = "if you know where it is from, add --trust-archive";
  if (hmac === undefined) throw new ArchiveRefused("untrusted", `the archive is not signed; ${trust}`);
  const key = keys.find((each) => keyIdOf(each) === manifest.keyId);
  if (!key)
    throw new ArchiveRefused(
      "untrusted",
      `the archive is signed with an encryption key that is not configured; set PRISM_ENCRYPTION_KEY to that one, use --include-secrets if the archive holds its keys, or ${trust}`,
    );
  if (!secretsEqual(hmac, hmacOf(manifest, key)))
    throw new ArchiveRefused("untrusted", `the archive's manifest was changed after it was signed; ${trust}`);
}

function hmacOf(manifest: Manifest, key: Uint8Array): string {
  // A key of its own: the encryption key signs nothing itself.
  const signing = Buffer.from(hkdfSync("sha256", key, "", "prism backup manifest", 32));
  return createHmac("sha256", signing).update(JSON.stringify(manifest)).digest("hex");
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
