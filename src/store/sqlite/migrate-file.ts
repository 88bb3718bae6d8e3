import { existsSync } from "node:fs";
import { openForReading, openForWriting } from "./connection.ts";
import { type MigrationStatus, migrateUp, migrationStatus } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.gen.ts";
import { noteOwnSchema } from "./own-schema.ts";

/** Opens, or makes, the database file and brings its schema up to date. @returns the migrations applied. @throws SchemaRefused */
export function migrateFile(file: string): readonly string[] {
  const connection = openForWriting({ file, busyTimeoutMs: 5000 });
  try {
    const applied = migrateUp(connection);
    // Of a new database it is known what it holds.
    if (applied.length === MIGRATIONS.length) noteOwnSchema(connection);
    return applied;
  } finally {
    connection.close();
  }
}

/** Where a database file stands, without changing it; one that does not exist lacks everything. @throws SchemaRefused */
export function migrationStatusOf(file: string): MigrationStatus {
  if (!existsSync(file)) return { applied: [], pending: MIGRATIONS.map(({ name }) => name) };
  const connection = openForReading(file);
  try {
    return migrationStatus(connection);
  } finally {
    connection.close();
  }
}

export function pendingMigrations(file: string): readonly string[] {
  return migrationStatusOf(file).pending;
}
