import { createSecretKey, type KeyObject } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import { hmac } from "../../core/crypto/hmac.ts";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import type { AuditLogTable } from "../schema.ts";
import { hasAuditKey, loadAuditKey } from "../sealed-settings.ts";
import { closing, openForReading, openForWriting } from "../sqlite/connection.ts";
import type { AuditRow } from "./write-set.ts";

/** Previous hash of the first row. */
export const GENESIS_HASH = "0".repeat(64);

/** The columns that a link's hash covers. Their order is part of the format. */
type ChainedRow = Omit<AuditLogTable, "seq" | "hash"> & { readonly seq: number };

/**
 * hash = HMAC-SHA-256(audit key, previous hash ‖ canonical JSON of the row), in hex
 * (docs/security.md). Canonical: an array of the columns in the order of the table, JSON columns as
 * the text that is stored, no whitespace.
 */
export function auditHash(key: Uint8Array | KeyObject, row: ChainedRow): string {
  return hmac("sha256", key)
    .update(row.prevHash)
    .update(JSON.stringify(chainedColumns(row)))
    .digest("hex");
}

/** The hashed columns in table order. */
function chainedColumns(row: Omit<ChainedRow, "prevHash">): [number, ...(string | number | null)[]] {
  return [
    row.seq,
    row.id,
    row.action,
    row.userId,
    row.actor,
    row.resourceType,
    row.resourceId,
    row.metadata,
    row.ip,
    row.requestId,
    row.timestamp,
  ];
}

/**
 * Appends to the audit chain on the writing connection. The previous hash is read inside the
 * transaction that appends.
 */
export class AuditChain {
  /** Made once: OpenSSL copies other keys for each hash. */
  readonly #key: KeyObject;
  readonly #last;
  readonly #sequence;
  readonly #insert;

  constructor(connection: Sqlite, key: Uint8Array) {
    this.#key = createSecretKey(key);
    this.#last = connection.prepare<[], { seq: number; hash: string }>(
      "select seq, hash from audit_log order by seq desc limit 1",
    );
    this.#sequence = connection.prepare<[], { seq: number }>(
      "select seq from sqlite_sequence where name = 'audit_log'",
    );
    this.#insert = connection.prepare<[number, ...(string | number | null)[]]>(
      `insert into audit_log (seq, id, action, userId, actor, resourceType, resourceId, metadata, ip,
        requestId, timestamp, prevHash, hash)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
  }

  /** Call it last in an open transaction. */
  append(rows: readonly AuditRow[]): void {
    if (rows.length === 0) return;
    const last = this.#last.get();
    let seq = Math.max(last?.seq ?? 0, this.#sequence.get()?.seq ?? 0);
    let prevHash = last?.hash ?? GENESIS_HASH;
    for (const row of rows) {
      seq++;
      const hash = auditHash(this.#key, { ...row, seq, prevHash });
      this.#insert.run(...chainedColumns({ ...row, seq }), prevHash, hash);
      prevHash = hash;
    }
  }
}

/**
 * Adds one row to the audit trail of a database that no server has open and whose schema may be
 * behind. The caller holds the lock on its directory.
 * @throws UnsealError when the encryption key is another one, and what SQLite throws
 */
export function appendAudit(file: string, box: SealedBox, row: AuditRow): void {
  closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    const chain = new AuditChain(connection, loadAuditKey(connection, box));
    connection.transaction(() => chain.append([row])).immediate();
  });
}

/**
 * Checks that a row could be appended: the trail's key exists, or is created now, and our
 * encryption key opens it. @throws UnsealError, and errors of SQLite
 */
export function requireAuditKey(file: string, box: SealedBox): void {
  const reader = openForReading(file);
  const hasKey = hasAuditKey(reader);
  // Without a key no server has run on this database: nothing else writes it.
  const connection = hasKey ? reader : openForWriting({ file, busyTimeoutMs: 5000 });
  try {
    loadAuditKey(connection, box);
  } finally {
    connection.close();
    reader.close();
  }
}
