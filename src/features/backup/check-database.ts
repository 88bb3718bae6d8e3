import type { SealedBox } from "../../core/sealed-box.ts";
import { kyselyOver, ReadDriver } from "../../store/commit/write-driver.ts";
import { Scanner } from "../../store/scanner.ts";
import { loadAuditKey } from "../../store/sealed-settings.ts";
import { openForReading } from "../../store/sqlite/connection.ts";
import { requireOwnSchema } from "../../store/sqlite/migrate.ts";
import { sqliteCode } from "../../store/sqlite/sqlite-errors.ts";
import { lastAuditSeq, verifyAudit } from "../audit/index.ts";
import { ArchiveRefused } from "./archive-refused.ts";

/**
 * Whether a database that came from an archive may be used: its schema is this program's, the file is whole, references lead somewhere, and the chain of the
 * audit trail is unbroken. The schema comes first: before it is known, nothing of the file is used but SQLite's own tables. Long looks are in a thread.
 * @returns the migrations it has. @throws ArchiveRefused, SchemaRefused, UnsealError when it was made with another encryption key
 */
export async function checkDatabase(file: string, box: SealedBox): Promise<readonly string[]> {
  try {
    const { schema, auditKey } = firstLook(file, box);
    const scanner = new Scanner(file);
    try {
      await checkContent(scanner, auditKey);
    } finally {
      await scanner.close();
    }
    return schema;
  } catch (error) {
    if (!/^SQLITE_(NOTADB|CORRUPT)/.test(sqliteCode(error))) throw error;
    throw new ArchiveRefused("damaged", `the database is damaged: ${(error as Error).message}`, { cause: error });
  }
}

function firstLook(file: string, box: SealedBox): { schema: readonly string[]; auditKey: Uint8Array } {
  const connection = openForReading(file);
  try {
    connection.pragma("cell_size_check = ON");
    const schema = requireOwnSchema(connection);
    const hasKey = connection.prepare("select 1 from settings where key = 'audit.key'").get() !== undefined;
    if (!hasKey) throw new ArchiveRefused("damaged", "the database has no audit key; no server has ever run on it");
    return { schema, auditKey: loadAuditKey(connection, box) };
  } finally {
    connection.close();
  }
}

async function checkContent(scanner: Scanner, auditKey: Uint8Array): Promise<void> {
  const found = await scanner.query("pragma quick_check", []);
  const problems = found
    .flatMap((row) => Object.values(row as Record<string, unknown>))
    .filter((text) => text !== "ok");
  if (problems.length > 0) throw new ArchiveRefused("damaged", `the database is damaged: ${problems[0]}`);
  const [orphan] = (await scanner.query("pragma foreign_key_check", [])) as { table: string; parent: string }[];
  if (orphan)
    throw new ArchiveRefused(
      "damaged",
      `the database has a reference from ${orphan.table} to ${orphan.parent} that leads nowhere`,
    );
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  const verdict = await verifyAudit(db, auditKey, await lastAuditSeq(db));
  if (verdict.ok) return;
  const where = verdict.firstBad
    ? `row ${verdict.firstBad.seq} was changed, or one before it is gone`
    : "its last rows are gone";
  throw new ArchiveRefused("damaged", `the chain of the audit trail does not hold: ${where}`);
}
