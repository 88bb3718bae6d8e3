import { createHmac, randomBytes } from "node:crypto";
import { secretsEqual } from "../../../core/tokens.ts";

const STEP_MS = 30_000;
const DIGITS = 6;
/** A code of the step before or after counts: clocks differ, and typing takes time. */
const SKEW_STEPS = 1;
/** Length of a key for HMAC-SHA-1 (RFC 4226 section 4, R6). */
const SECRET_BYTES = 20;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/*
 * Time-based one-time passwords (RFC 6238) with the parameters that every authenticator app knows:
 * SHA-1, 6 digits, 30 seconds.
 */

export function createTotpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** The code of a time step (RFC 4226 section 5.3). */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** DIGITS).padStart(DIGITS, "0");
}

/**
 * The time step that a code belongs to; undefined for a wrong one.
 * @param after the last step a code was accepted for: it and earlier ones are refused (RFC 6238
 * section 5.2). @param now epoch ms
 */
export function stepOfCode(secret: Uint8Array, code: string, now: number, after: number): number | undefined {
  const current = Math.floor(now / STEP_MS);
  let found: number | undefined;
  // All of them, so that the time does not show which one it was.
  for (let step = current - SKEW_STEPS; step <= current + SKEW_STEPS; step++)
    if (secretsEqual(totpCode(secret, step), code) && step > after) found ??= step;
  return found;
}

/** Base32 without padding (RFC 4648 section 6). */
export function base32(bytes: Uint8Array, alphabet = BASE32): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[Number.parseInt(five.padEnd(5, "0"), 2)]).join("");
}

/** What authenticator apps read from a QR code. */
export function totpUri(secret: Uint8Array, issuer: string, account: string): string {
  const [from, label] = [encodeURIComponent(issuer), encodeURIComponent(account)];
  const parameters = `secret=${base32(secret)}&issuer=${from}&algorithm=SHA1&digits=${DIGITS}&period=${STEP_MS / 1000}`;
  return `otpauth://totp/${from}:${label}?${parameters}`;
}
