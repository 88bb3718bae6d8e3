import type { ReadDb } from "../../../store/database.ts";
import { Scanner } from "../../../store/read/scanner.ts";
import { kyselyOver, ReadDriver } from "../../../store/sqlite/kysely-drivers.ts";

/** The database for long looks: in another thread, so that the progress line goes on. */
export type DoctorDatabase = ReadDb;

export function openDoctorDatabase(file: string): { readonly db: DoctorDatabase; close(): Promise<void> } {
  const scanner = new Scanner(file);
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  return { db, close: () => scanner.close() };
}
