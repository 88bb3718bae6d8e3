import { randomBytes } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import { KEY_ID_BYTES, type SealedBox } from "../../core/sealed-box.ts";

export const AUDIT_KEY_SETTING = "audit.key";
export const AUDIT_KEY_PLACE = "settings.value.audit.key";
const KEY_BYTES = 32;
/** Sealed together with the key once a signed `audit.head` was written: without the encryption key it cannot be taken away. */
const HEAD_MARK = Buffer.from([1]);

/** The key of the audit chain: 32 random bytes made at first use, kept under the encryption key. @throws UnsealError when that is another one. */
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

/** Whether a signed `audit.head` was written for this database, so that one must exist. @throws UnsealError */
export function isHeadRequired(connection: Sqlite, box: SealedBox): boolean {
  const stored = storedValue(connection);
  return stored !== undefined && box.open(AUDIT_KEY_PLACE, stored).length > KEY_BYTES;
}

/**
 * The stored value of the key with the mark that a signed head is required.
 * @returns null where it has the mark, or where another encryption key has sealed it: a rotation may be under way.
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
