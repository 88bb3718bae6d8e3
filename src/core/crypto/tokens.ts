import { createHash, hash, hkdfSync, randomBytes, randomFillSync, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

const POOL_BYTES = 8192;
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;

/** One random byte from a pool of 8 KiB: a call into OpenSSL costs more than an id. */
export function randomByte(): number {
  if (poolAt === POOL_BYTES) fillPool();
  return pool[poolAt++] as number;
}

/** Some random bytes from the same pool, to be copied before the next ones are taken. */
export function fewRandomBytes(count: number): Buffer {
  if (poolAt + count > POOL_BYTES) fillPool();
  poolAt += count;
  return pool.subarray(poolAt - count, poolAt);
}

function fillPool(): void {
  randomFillSync(pool);
  poolAt = 0;
}

/**
 * `prk_`: API key of a project; `prt_`: service token; `prs_`: setup token; `prc_`: calendar link.
 * The checksum at the end lets secret scanners recognise them and typing errors be detected.
 */
export type TokenKind = "prk" | "prt" | "prs" | "prc";

const SECRET_BYTES = 32;

/**
 * A new secret: kind, 256 random bits in base64url, and the CRC-32 of both in hex. `prefix` (8
 * characters) may be shown and stored in clear text; the database stores `hash`.
 */
export function createToken(kind: TokenKind): { token: string; prefix: string; hash: string } {
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const token = `${kind}_${secret}${checksum(`${kind}_${secret}`)}`;
  return { token, prefix: secret.slice(0, 8), hash: hashToken(token) };
}

/** Whether the text has this kind's form, with a correct checksum. It may still be unknown. */
export function isTokenOf(kind: TokenKind, text: string): boolean {
  if (!text.startsWith(`${kind}_`) || text.length !== kind.length + 1 + 43 + 8) return false;
  return checksum(text.slice(0, -8)) === text.slice(-8);
}

/** The first characters of a token or key, which people may see: of a short one that another system made less. */
export function prefixOfToken(token: string): string {
  return token.slice(0, Math.min(6, Math.floor(token.length / 5)));
}

/** Header of the requests of channels: a server that gets its own message back does not send it again. */
export const ORIGIN_HEADER = "X-Prism-Origin";

/** The value of {@link ORIGIN_HEADER}: names the server, and reveals nothing. */
export function originOf(secret: string): string {
  return Buffer.from(hkdfSync("sha256", secret, "", "prism origin", 16)).toString("hex");
}

/** SHA-256 in hex. A secret with 256 random bits needs no slow hash. */
export function hashToken(token: string): string {
  return sha256Hex(token);
}

export function sha256Hex(data: string | Uint8Array): string {
  return hash("sha256", data, "hex");
}

/** A text of at most 200 characters; a longer one by its start and hash, so that two of them differ. */
export function boundedId(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 135)}:${sha256Hex(text)}`;
}

/** Constant-time comparison of two secrets, by their hashes, so that lengths do not leak. */
export function secretsEqual(left: string, right: string): boolean {
  return timingSafeEqual(createHash("sha256").update(left).digest(), createHash("sha256").update(right).digest());
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
