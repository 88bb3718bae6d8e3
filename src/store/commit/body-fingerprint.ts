import { createHmac, hkdfSync } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import { sha256Hex } from "../../core/tokens.ts";

/** Says that every stored fingerprint is a keyed one; earlier versions stored the plain SHA-256 of the body. */
const KEYED_SETTING = "idempotency.keyed";

/** Makes the fingerprints of request bodies that carry an Idempotency-Key. */
export type BodyFingerprint = (body: string | Uint8Array) => string;

/**
 * Fingerprints under a key that the database holds in sealed form only: a body cannot be guessed from the file.
 * @param auditKey stays the same when the encryption key is rotated, so requests can be repeated across a rotation.
 */
export function bodyFingerprint(auditKey: Uint8Array): BodyFingerprint {
  const keyed = keyedDigest(auditKey);
  return (body) => keyed(sha256Hex(body));
}

/**
 * Replaces the plain SHA-256 values that earlier versions stored, once. The new value is made of the old one, so a request that was sent
 * before the upgrade is still recognised after it.
 */
export function keyStoredFingerprints(connection: Sqlite, auditKey: Uint8Array): void {
  if (connection.prepare("select 1 from settings where key = ?").get(KEYED_SETTING)) return;
  connection
    .transaction(() => {
      convertAll(connection, keyedDigest(auditKey));
      connection
        .prepare("insert into settings (key, value, updatedAt) values (?, 1, ?)")
        .run(KEYED_SETTING, Date.now());
    })
    .immediate();
}

interface StoredFingerprint {
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** In pages: there may be a million. */
function convertAll(connection: Sqlite, keyed: (digest: string) => string): void {
  const page = connection.prepare<[string, string], StoredFingerprint>(
    "select scope, key, fingerprint from idempotency_keys where (scope, key) > (?, ?) order by scope, key limit 1000",
  );
  const convert = connection.prepare("update idempotency_keys set fingerprint = ? where scope = ? and key = ?");
  for (let rows = page.all("", ""); rows.length > 0; ) {
    for (const { scope, key, fingerprint } of rows) convert.run(keyed(fingerprint), scope, key);
    const last = rows.at(-1);
    rows = last ? page.all(last.scope, last.key) : [];
  }
}

function keyedDigest(auditKey: Uint8Array): (digest: string) => string {
  const key = Buffer.from(hkdfSync("sha256", auditKey, "", "prism idempotency fingerprints", 32));
  return (digest) => createHmac("sha256", key).update(digest).digest("hex");
}
