import { createHmac, createSecretKey, type Hmac, hkdfSync, type KeyObject } from "node:crypto";

/** HMAC (RFC 2104). In Node 24 bytes as a key take five times as long as a KeyObject of them. */
export function hmac(algorithm: string, key: string | Uint8Array | KeyObject): Hmac {
  return createHmac(algorithm, key instanceof Uint8Array ? createSecretKey(key) : key);
}

/** A key of 32 bytes for one use, derived from a secret by HKDF with SHA-256 (RFC 5869). */
export function derivedKey(secret: string | Uint8Array, use: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", use, 32)));
}

const keys = new WeakMap<object, Map<string, KeyObject>>();

/** HMAC-SHA-256 with a key of its own for each use, derived from the server's secret once. */
export function signing(secrets: { readonly access: string }, use: string): Hmac {
  const own = keys.get(secrets) ?? new Map<string, KeyObject>();
  keys.set(secrets, own);
  const key = own.get(use) ?? derivedKey(secrets.access, use);
  own.set(use, key);
  return hmac("sha256", key);
}
