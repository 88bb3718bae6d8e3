import type { ReadDb } from "../../store/database.ts";
import { kyselyOver, ReadDriver } from "../../store/kysely-drivers.ts";
import { Scanner } from "../../store/scanner.ts";

/** The database for long looks: in another thread, so that the progress line goes on. */
export type DoctorDatabase = ReadDb;

export function openDoctorDatabase(file: string): { readonly db: DoctorDatabase; close(): Promise<void> } {
  const scanner = new Scanner(file);
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  return { db, close: () => scanner.close() };
}
