import { existsSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { sha256Hex } from "../../core/crypto/tokens.ts";
import { startThread } from "../../core/runtime.ts";
import { hasAuditKey } from "../sealed-settings.ts";
import { closing, openForWriting, reading } from "./connection.ts";
import { MIGRATIONS } from "./migrations.gen.ts";
import { sqliteCode, ThreadError } from "./sqlite-errors.ts";

export interface Migration {
  /** `NNNN_name`; the numbers give the order. */
  readonly name: string;
  readonly sql: string;
}

interface MigrationStatus {
  readonly applied: readonly { readonly name: string; readonly appliedAt: number }[];
  readonly pending: readonly string[];
}

/** The database cannot be migrated: it is newer, of 0.1, or a released migration has changed. */
export class SchemaRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SchemaRefused";
  }
}

/**
 * The migrations of a database.
 * @throws SchemaRefused when it holds an unknown one, one whose text has changed since, or traces
 * of one without a record.
 */
export function migrationStatus(connection: Sqlite, migrations: readonly Migration[] = MIGRATIONS): MigrationStatus {
  // One snapshot: a migration committed between two reads would look like one without a record.
  return connection.transaction(() => readStatus(connection, migrations)).deferred();
}

function readStatus(connection: Sqlite, migrations: readonly Migration[]): MigrationStatus {
  const hasTable = connection.prepare("select 1 from sqlite_schema where type = 'table' and name = 'migrations'").get();
  const applied = hasTable
    ? connection
        .prepare<[], { name: string; checksum: string; appliedAt: number }>(
          "select name, checksum, appliedAt from migrations order by name",
        )
        .all()
    : [];
  for (const { name, checksum } of applied) {
    const known = migrations.find((migration) => migration.name === name);
    if (!known) {
      throw new SchemaRefused(
        `the database is newer than this program: it has ${name}; install the version that made it`,
      );
    }
    if (sha256Hex(known.sql) !== checksum) {
      throw new SchemaRefused(
        `${name} was applied with another text than this program carries; install the version that made the database`,
      );
    }
  }
  const names = new Set(applied.map(({ name }) => name));
  const pending = migrations.filter(({ name }) => !names.has(name));
  for (const migration of pending) requireNoTrace(connection, migration);
  return {
    applied: applied.map(({ name, appliedAt }) => ({ name, appliedAt })),
    pending: pending.map(({ name }) => name),
  };
}

/** Made before the migrations of a node in a cluster. */
const LOCAL_TABLE = "local_state";

/** @throws SchemaRefused when an object of the migration exists although it was never recorded */
function requireNoTrace(connection: Sqlite, { name, sql }: Migration): void {
  const hasObject = connection.prepare("select 1 from sqlite_schema where name = ?");
  const hasColumn = connection.prepare("select 1 from pragma_table_info(?) where name = ?");
  const dropped = new Set(
    [...sql.matchAll(/drop (?:table|index|trigger|view) (?:if exists )?(\w+)/gi)].map(([, made]) => made),
  );
  const made = [...sql.matchAll(/create (?:unique )?(table|index|trigger|view) (?:if not exists )?(\w+)/gi)]
    .filter(([, , object]) => !dropped.has(object) && object !== LOCAL_TABLE && hasObject.get(object))
    .map(([, kind, object]) => `${kind} ${object}`);
  const added = [...sql.matchAll(/alter table (\w+) add column (\w+)/gi)]
    .filter(([, table, column]) => hasColumn.get(table, column))
    .map(([, table, column]) => `column ${table}.${column}`);
  const [trace] = [...made, ...added];
  if (trace === undefined) return;
  const problem = `the database has the ${trace} of the migration ${name}, but no record that it was applied`;
  throw new SchemaRefused(`${problem}: rows of its table migrations are missing; restore a backup with prism restore`);
}

/** Where an upgrade is. */
export interface MigrationStep {
  readonly name: string;
  /** Its number among the pending ones, from 1. */
  readonly at: number;
  readonly of: number;
  /** Share of the work that is done, from 0 to 1, by the rows that are copied and indexed. */
  readonly done: number;
}

/** Its first parameter is the name of a migration that has been applied. */
export const NOTE_MIGRATION = "insert into migrations (name, checksum, appliedAt) values (?, ?, ?)";

/**
 * Applies pending migrations, forward only, each in one transaction, so that a kill loses at most
 * the running one. The caller holds the data directory's lock.
 * @returns the applied names. @throws SchemaRefused, and errors of SQLite.
 */
export function migrateUp(
  connection: Sqlite,
  migrations: readonly Migration[] = MIGRATIONS,
  onStep?: (step: MigrationStep) => void,
  transaction = (work: () => void): void => connection.transaction(work).immediate(),
): readonly string[] {
  const { pending } = migrationStatus(connection, migrations);
  if (pending.length === 0) return [];
  transaction(() => {
    connection.exec(
      "create table if not exists migrations (name text primary key, checksum text not null, " +
        "appliedAt integer not null) strict, without rowid",
    );
  });
  const record = connection.prepare(NOTE_MIGRATION);
  const planned = migrations.filter(({ name }) => pending.includes(name));
  const progress = onStep && progressOf(connection, planned, onStep);
  for (const { name, sql } of planned) {
    transaction(() => {
      progress?.begins(name);
      for (const statement of statementsOf(sql)) {
        connection.exec(statement);
        progress?.ran(name, statement);
      }
      record.run(name, sha256Hex(sql), Date.now());
    });
  }
  return pending;
}

/** A trigger has statements of its own: then the text is run as one. */
function statementsOf(sql: string): string[] {
  return /\btrigger\b/i.test(sql) ? [sql] : sql.split(/(?<=;)\s*\n/).filter((statement) => statement.trim() !== "");
}

/** Rows that take as long as what each statement takes anyway. */
const ROWS_OF_A_STATEMENT = 1000;

function progressOf(connection: Sqlite, planned: readonly Migration[], onStep: (step: MigrationStep) => void) {
  const rows = new Map<string, number>();
  const weightOf = (statement: string): number => {
    const table = /\bfrom (\w+)|\bon (\w+) ?\(|^\s*update (\w+)/i.exec(statement)?.slice(1).find(Boolean);
    if (table === undefined) return 1;
    const count = rows.get(table) ?? rowCount(connection, table);
    rows.set(table, count);
    return 1 + count / ROWS_OF_A_STATEMENT;
  };
  const texts = planned.flatMap(({ sql }) => statementsOf(sql));
  const weights = new Map(texts.map((text) => [text, weightOf(text)]));
  const total = texts.reduce((sum, text) => sum + (weights.get(text) ?? 0), 0);
  let done = 0;
  const tell = (name: string): void => {
    const at = 1 + planned.findIndex((migration) => migration.name === name);
    onStep({ name, at, of: planned.length, done: total === 0 ? 1 : Math.min(1, done / total) });
  };
  return {
    begins: tell,
    ran(name: string, statement: string) {
      done += weights.get(statement) ?? 0;
      tell(name);
    },
  };
}

/** Tables that grow large: their rows make a migration long. */
const COUNTS: Readonly<Record<string, string>> = {
  alerts: "select count(*) from alerts",
  decisions: "select count(*) from decisions",
  deliveries: "select count(*) from deliveries",
  events: "select count(*) from events",
  incidents: "select count(*) from incidents",
  job_attempts: "select count(*) from job_attempts",
  jobs: "select count(*) from jobs",
  notification_recipients: "select count(*) from notification_recipients",
  notifications: "select count(*) from notifications",
  stream_log: "select count(*) from stream_log",
};

/** 0 for a small table, or one that a pending migration makes. */
function rowCount(connection: Sqlite, table: string): number {
  const sql = COUNTS[table];
  const isThere = connection.prepare("select 1 from sqlite_schema where type = 'table' and name = ?").get(table);
  return sql === undefined || !isThere ? 0 : (connection.prepare<[], number>(sql).pluck().get() ?? 0);
}

/**
 * Opens or creates the database file and migrates it. @returns the applied migrations. @throws
 * SchemaRefused
 */
export function migrateFile(file: string, onStep?: (step: MigrationStep) => void): readonly string[] {
  return closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    supportedStatus(connection);
    const applied = migrateUp(connection, MIGRATIONS, onStep);
    // The content of a new database is known.
    if (applied.length === MIGRATIONS.length) noteOwnSchema(connection);
    return applied;
  });
}

type MigrateReply =
  | { readonly step: MigrationStep }
  | { readonly applied: readonly string[] }
  | { readonly code: string; readonly message: string; readonly isRefused: boolean };

/**
 * {@link migrateFile} in a thread: the event loop keeps answering. @throws SchemaRefused,
 * ThreadError with SQLite's code
 */
export async function migrateInThread(file: string, onStep: (step: MigrationStep) => void): Promise<readonly string[]> {
  const thread = startThread("migrate", file);
  try {
    const reply = await new Promise<Exclude<MigrateReply, { step: MigrationStep }>>((resolve, reject) => {
      thread.on("message", (message: MigrateReply) => ("step" in message ? onStep(message.step) : resolve(message)));
      thread.once("error", reject);
      thread.once("exit", (code) => reject(new Error(`the migrating thread ended with code ${code}`)));
    });
    if ("applied" in reply) return reply.applied;
    throw reply.isRefused ? new SchemaRefused(reply.message) : new ThreadError(reply.code, reply.message);
  } finally {
    await thread.terminate();
  }
}

export function runMigrateThread(file: string): void {
  if (!parentPort) throw new TypeError("this runs in a thread of its own");
  const port = parentPort;
  const send = (reply: MigrateReply): void => port.postMessage(reply);
  try {
    send({ applied: migrateFile(file, (step) => send({ step })) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    send({ code: sqliteCode(error), message, isRefused: error instanceof SchemaRefused });
  }
}

/** The state of a database file, read only; a missing file lacks all. @throws SchemaRefused */
export function migrationStatusOf(file: string): MigrationStatus {
  if (!existsSync(file)) return { applied: [], pending: MIGRATIONS.map(({ name }) => name) };
  return reading(file, supportedStatus);
}

/** The last migration of 0.2.0: what its first start converted, this program does not. */
const SINCE = "0066_oncall_link_makers";

/** {@link migrationStatus}. @throws SchemaRefused for a database of 0.1, too; an unused one may end anywhere */
export function supportedStatus(connection: Sqlite): MigrationStatus {
  const status = migrationStatus(connection);
  if (!hasAuditKey(connection) || status.applied.some(({ name }) => name === SINCE)) return status;
  throw new SchemaRefused(
    "the database is of version 0.1; start 0.2.0 with it once, then this program. Nothing was changed",
  );
}

export function pendingMigrations(file: string): readonly string[] {
  return migrationStatusOf(file).pending;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string | null;
}

/**
 * Checks that a database from outside has exactly the schema of this program's migrations, up to
 * some point. A view in place of a table, or a foreign trigger, would act with the rights of the
 * database's users. Modules may have plain tables.
 * @returns the names of its migrations, in order. @throws SchemaRefused
 */
export function requireOwnSchema(connection: Sqlite, migrations: readonly Migration[] = MIGRATIONS): readonly string[] {
  const { applied } = migrationStatus(connection, migrations);
  const names = applied.map(({ name }) => name);
  const prefix = migrations.slice(0, names.length);
  if (names.length === 0)
    throw new SchemaRefused("the database is not one of Prism: no migration was ever applied to it");
  if (prefix.some(({ name }, at) => name !== names[at]))
    throw new SchemaRefused(`the database lacks a migration from before ${names.at(-1)}`);
  const wanted = schemaOf(prefix);
  const found = rowsOf(connection);
  for (const [key, sql] of found) {
    if (!wanted.has(key)) throw new SchemaRefused(`the database has the ${key}, which no migration makes`);
    if (wanted.get(key) !== sql) throw new SchemaRefused(`the database's ${key} is not what the migrations make`);
  }
  for (const key of wanted.keys()) if (!found.has(key)) throw new SchemaRefused(`the database lacks the ${key}`);
  return names;
}

/**
 * The last `schema_version` (https://www.sqlite.org/pragma.html#pragma_schema_version) that was
 * found free of foreign objects.
 */
const CHECKED_KEY = "schema.checked";

/** Objects that a module may create; part of messages. */
const ALLOWED_FORM = "modules may make tables named module_<name>_… and indexes on them, and nothing else";

/** Counts the schema changes of a database. */
export function schemaVersion(connection: Sqlite): number {
  return Number(connection.pragma("schema_version", { simple: true }));
}

/** Records the current schema as this program's own: {@link foreignSchema} skips comparing it. */
function noteOwnSchema(connection: Sqlite): void {
  connection
    .prepare(
      `insert into local_state (key, value, updatedAt) values (?, ?, ?)
       on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`,
    )
    .run(CHECKED_KEY, schemaVersion(connection), Date.now());
}

/**
 * Objects in the schema of a current database that a restore would refuse; null for none. Compares
 * only after a schema change, because it takes 10 ms.
 */
export function foreignSchema(connection: Sqlite): string | null {
  const checked = connection.prepare<[string], number>("select value from local_state where key = ?").pluck();
  if (checked.get(CHECKED_KEY) === schemaVersion(connection)) return null;
  try {
    requireOwnSchema(connection);
    noteOwnSchema(connection);
    return null;
  } catch (error) {
    if (error instanceof SchemaRefused) return error.message;
    throw error;
  }
}

/** @throws SchemaRefused if more than a module's objects differs between the two schemas */
export function requireModuleChanges(before: Sqlite, after: Sqlite): void {
  const [old, now] = [rowsOf(before), rowsOf(after)];
  const changed = [...now].find(([key, sql]) => old.get(key) !== sql || !old.has(key))?.[0];
  const what = changed ?? [...old.keys()].find((key) => !now.has(key));
  if (what === undefined) return;
  throw new SchemaRefused(
    `the transaction was rolled back because it changes the ${what}: ${ALLOWED_FORM}, or no backup could be restored`,
  );
}

function schemaOf(migrations: readonly Migration[]): ReadonlyMap<string, string | null> {
  const connection = new SqliteDatabase(":memory:");
  try {
    migrateUp(connection, migrations);
    return rowsOf(connection);
  } finally {
    connection.close();
  }
}

/**
 * A table of a module or an index on it: `module_<name>_…` in any letter case. Virtual tables are
 * excluded: they run code.
 */
function isModules({ type, tbl_name, sql }: SchemaRow): boolean {
  if (!/^module_[a-z0-9]+_[a-z0-9_]+$/i.test(tbl_name)) return false;
  return type === "index" || (type === "table" && /^create table /i.test(sql ?? ""));
}

/** Every object but SQLite's statistics: `type name` (an index with its table) and its text. */
function rowsOf(connection: Sqlite): ReadonlyMap<string, string | null> {
  const rows = connection.prepare<[], SchemaRow>("select type, name, tbl_name, sql from sqlite_schema").all();
  return new Map(
    rows
      .filter(({ type, name }) => !(type === "table" && /^sqlite_stat[1-4]$/.test(name)))
      .filter((row) => !isModules(row))
      .map(({ type, name, tbl_name, sql }) => [`${type} ${name}${tbl_name === name ? "" : ` on ${tbl_name}`}`, sql]),
  );
}
