import { createHmac } from "node:crypto";
import { PrismError } from "../../../core/errors.ts";
import { WEAK_PASSWORDS } from "./weak-passwords.ts";

/** bcrypt reads no further. */
const BCRYPT_BYTES = 72;
const MAX_BYTES = 1024;
/** Of hashes of other programs: what `auth.bcryptCost` may be. */
export const MIN_HASH_COST = 4;
export const MAX_HASH_COST = 16;
const LONG_PASSWORD_KEY = "prism-pw-v1";

/**
 * What bcrypt is given for a password (D17): the NFKC text where it fits in 72 bytes, so that hashes from elsewhere verify; of a longer one
 * base64(HMAC-SHA-256), so that nothing is cut off unsaid. @throws VALIDATION_FAILED for what no password may be
 */
export function bcryptInput(password: string): string {
  const text = password.normalize("NFKC");
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES) throw invalid(`must be at most ${MAX_BYTES} bytes`);
  if (text.includes("\0")) throw invalid("must not contain U+0000");
  return bytes <= BCRYPT_BYTES ? text : createHmac("sha256", LONG_PASSWORD_KEY).update(text).digest("base64");
}

/** @throws VALIDATION_FAILED for what no password may be */
export function requirePossible(password: string): void {
  bcryptInput(password);
}

/** The cost that a bcrypt hash was made at; undefined for a text that is no such hash. */
export function costOf(hash: string): number | undefined {
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(hash)?.[1];
  return cost === undefined ? undefined : Number(cost);
}

/** A hash of no password: comparing with it takes the time of its cost, and is false. */
export function nobodysHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, "0")}$${"nobody".padEnd(22, "x")}${"x".repeat(31)}`;
}

/**
 * Refuses a new password that is short, is one of the most used, or says the account's own name.
 * @param names mail address, username, phone: what anybody may know. @throws WEAK_PASSWORD, VALIDATION_FAILED
 */
export function requireStrong(
  password: string,
  minLength: number,
  names: readonly (string | null | undefined)[],
): void {
  requirePossible(password);
  const text = password.normalize("NFKC");
  if ([...text].length < minLength) throw weak(`must be at least ${minLength} characters long`);
  const lower = text.toLowerCase();
  if (WEAK_PASSWORDS.has(lower)) throw weak("is one of the most used passwords");
  const own = names.flatMap((name) => (name ? [name.toLowerCase(), name.toLowerCase().split("@")[0]] : []));
  if (own.includes(lower)) throw weak("must not be the account's own name");
}

function invalid(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The password is not valid", {
    details: [{ path: "password", code: "VALUE", message }],
  });
}

function weak(message: string): PrismError {
  return new PrismError("WEAK_PASSWORD", `The password ${message}`, {
    details: [{ path: "password", code: "WEAK_PASSWORD", message }],
  });
}
