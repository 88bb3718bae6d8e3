import { randomBytes } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import { derivedKey, hmac } from "../core/crypto/hmac.ts";
import { KEY_ID_BYTES, type SealedBox } from "../core/crypto/sealed-box.ts";
import { sha256Hex } from "../core/crypto/tokens.ts";

export const AUDIT_KEY_SETTING = "audit.key";
export const AUDIT_KEY_PLACE = "settings.value.audit.key";
const KEY_BYTES = 32;
/** Sealed once a signed `audit.head` was written: only the key's holder can remove the mark. */
const HEAD_MARK = Buffer.from([1]);

/**
 * The key of the audit chain: 32 random bytes made on first use, sealed under the encryption key.
 * @throws UnsealError when the encryption key is another one.
 */
export function loadAuditKey(connection: Sqlite, box: SealedBox): Uint8Array {
  const stored = storedValue(connection);
  if (stored) return box.open(AUDIT_KEY_PLACE, stored).subarray(0, KEY_BYTES);
  // Two commands may race to be first: the one that loses takes what the other stored.
  connection
    .prepare("insert into settings (key, value, updatedAt) values (?, ?, ?) on conflict (key) do nothing")
    .run(AUDIT_KEY_SETTING, box.seal(AUDIT_KEY_PLACE, randomBytes(KEY_BYTES)), Date.now());
  const settled = storedValue(connection);
  if (!settled) throw new Error("the audit key could not be stored");
  return box.open(AUDIT_KEY_PLACE, settled).subarray(0, KEY_BYTES);
}

/** Whether something was ever sealed in the database; one that no core has opened has no key. */
export function hasAuditKey(connection: Sqlite): boolean {
  const isMigrated = connection.prepare("select 1 from sqlite_schema where name = 'settings'").get() !== undefined;
  return isMigrated && storedValue(connection) !== undefined;
}

/** Whether a signed `audit.head` was written for this database, so is due. @throws UnsealError */
export function isHeadRequired(connection: Sqlite, box: SealedBox): boolean {
  const stored = storedValue(connection);
  return stored !== undefined && box.open(AUDIT_KEY_PLACE, stored).length > KEY_BYTES;
}

/**
 * The stored key with the mark that requires a signed head.
 * @returns null when it has the mark, or when another encryption key sealed it: a rotation may be
 * running.
 */
export function markedAuditKey(stored: Uint8Array, box: SealedBox): Buffer | null {
  if (!box.keyId.equals(stored.subarray(0, KEY_ID_BYTES))) return null;
  const value = box.open(AUDIT_KEY_PLACE, stored);
  return value.length > KEY_BYTES ? null : box.seal(AUDIT_KEY_PLACE, Buffer.concat([value, HEAD_MARK]));
}

function storedValue(connection: Sqlite): Buffer | undefined {
  const read = connection.prepare<[string], Buffer>("select value from settings where key = ?").pluck();
  return read.get(AUDIT_KEY_SETTING);
}

/** Credentials of this server's own Pusher app. */
export const PUSHER_APP_SETTING = "pusher.app";

/** The key pair of this server at push services of browsers. */
export const VAPID_KEYS_SETTING = "webpush.vapidKeys";

/** Secrets that the server creates on first use. */
export const OWN_SECRETS = [PUSHER_APP_SETTING, VAPID_KEYS_SETTING] as const;

/** The settings of the console, by dotted key; written in a cluster only. */
export const CONSOLE_SETTINGS = "console.settings";

/** Rows of `settings` with sealed values. */
export const SEALED_SETTINGS = [AUDIT_KEY_SETTING, ...OWN_SECRETS, CONSOLE_SETTINGS] as const;

/** The data authenticated with a sealed setting. */
export function settingSealContext(key: string): string {
  return `settings.value.${key}`;
}

/** Ids of the keys that the last core could open, as a JSON list. */
export const SERVER_KEYS_SETTING = "encryption.serverKeys";

/** Records the keys of a core, which also shows that one has opened the database. */
export function noteServerKeys(connection: Sqlite, box: SealedBox): void {
  connection
    .prepare(
      `insert into settings (key, value, updatedAt) values (?, ?, ?)
       on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt
         where value is not excluded.value`,
    )
    .run(SERVER_KEYS_SETTING, JSON.stringify(box.keyIds), Date.now());
}

/** Computes the fingerprint of a request body that carries an Idempotency-Key. */
export type BodyFingerprint = (body: string | Uint8Array) => string;

/**
 * Keyed fingerprints, with a key that the database holds only in sealed form: the file does not
 * reveal bodies.
 * @param auditKey survives a rotation of the encryption key, so requests can be repeated across it.
 */
export function bodyFingerprint(auditKey: Uint8Array): BodyFingerprint {
  const key = derivedKey(auditKey, "prism idempotency fingerprints");
  return (body) => hmac("sha256", key).update(sha256Hex(body)).digest("hex");
}
