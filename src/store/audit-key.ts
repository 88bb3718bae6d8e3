import { randomBytes } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import type { SealedBox } from "../base/sealed-box.ts";

export const AUDIT_KEY_SETTING = "audit.key";
export const AUDIT_KEY_PLACE = "settings.value.audit.key";

/** The key of the audit chain: 32 random bytes made at first use, kept under the encryption key. @throws UnsealError when that is another one. */
export function loadAuditKey(connection: Sqlite, box: SealedBox): Uint8Array {
  const read = connection.prepare<[string], { value: Buffer }>("select value from settings where key = ?");
  const stored = read.get(AUDIT_KEY_SETTING);
  if (stored) return box.open(AUDIT_KEY_PLACE, stored.value);
  // Two commands may race to be first: the one that loses takes what the other stored.
  connection
    .prepare("insert into settings (key, value, updatedAt) values (?, ?, ?) on conflict (key) do nothing")
    .run(AUDIT_KEY_SETTING, box.seal(AUDIT_KEY_PLACE, randomBytes(32)), Date.now());
  const settled = read.get(AUDIT_KEY_SETTING);
  if (!settled) throw new Error("the audit key could not be stored");
  return box.open(AUDIT_KEY_PLACE, settled.value);
}
