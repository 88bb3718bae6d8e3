import type { SealedBox } from "../../core/sealed-box.ts";
import type { AuditRow } from "../commit/write-set.ts";
import { openForWriting } from "../sqlite/connection.ts";
import { AuditChain } from "./audit-chain.ts";
import { loadAuditKey } from "./audit-key.ts";

/**
 * Adds one row to the audit trail, in a transaction of its own; also beside a running server (D35), and in a database whose schema is behind.
 * @throws UnsealError when the encryption key is another one, and what SQLite throws
 */
export function appendAudit(file: string, box: SealedBox, row: AuditRow): void {
  const connection = openForWriting({ file, busyTimeoutMs: 5000 });
  try {
    const chain = new AuditChain(connection, loadAuditKey(connection, box));
    connection.transaction(() => chain.append([row])).immediate();
  } finally {
    connection.close();
  }
}

/** That a row could be added: the trail's key is there, or is made now, and opens with ours. @throws UnsealError, and what SQLite throws */
export function requireAuditKey(file: string, box: SealedBox): void {
  const connection = openForWriting({ file, busyTimeoutMs: 5000 });
  try {
    loadAuditKey(connection, box);
  } finally {
    connection.close();
  }
}
