import type { Database as Sqlite, Statement } from "better-sqlite3";
import type { SealedBox } from "../core/sealed-box.ts";
import { NOTE_MIGRATION } from "../store/sqlite/migrate.ts";
import { MIGRATIONS } from "../store/sqlite/migrations.gen.ts";
import { LogBehind, type LogMessage } from "./log.ts";
import { type Position, positionWriter, preparePosition, readPosition, START } from "./position.ts";
import { type ClusterRecord, RecordReader, type Statements, UnreadableRecord } from "./record.ts";
import { refuseChangingFunctions } from "./recorder.ts";

/**
 * Applies records to this node's file in their order, each in one transaction with its position. A
 * failure leaves the file as it was, at its position.
 */
export class Applier {
  readonly #connection: Sqlite;
  readonly #reader: RecordReader;
  readonly #store: (position: Position) => void;
  readonly #transaction: readonly [begin: () => void, commit: () => void, rollback: () => void];
  #position: Position;
  /** Of the last message, also of a part. */
  #sequence: number;

  /** @param connection of this file alone; it does not wait for the disk: the log has what a crash loses */
  constructor(connection: Sqlite, box: SealedBox) {
    this.#connection = connection;
    connection.pragma("synchronous = NORMAL");
    preparePosition(connection);
    refuseChangingFunctions(connection);
    this.#reader = new RecordReader(box);
    this.#store = positionWriter(connection);
    this.#position = readPosition(connection) ?? START;
    this.#sequence = this.#position.sequence;
    const [begin, commit, rollback] = ["begin immediate", "commit", "rollback"].map((text) => connection.prepare(text));
    this.#transaction = [() => begin?.run(), () => commit?.run(), () => rollback?.run()];
  }

  get position(): Position {
    return this.#position;
  }

  /** Of the last message that was read. */
  get sequence(): number {
    return this.#sequence;
  }

  /** @returns the record; null for a part of one. @throws Diverged, LogBehind, UnreadableRecord */
  apply({ sequence, bytes }: LogMessage): ClusterRecord | null {
    if (sequence !== this.#sequence + 1)
      throw new Diverged(`the message ${sequence} of the log follows ${this.#sequence}: one is missing`);
    const record = this.#reader.read(bytes);
    this.#sequence = sequence;
    if (record === null) return null;
    const { id, previous, term, content } = record;
    // Both were started at once: the log did not exist when this empty node looked.
    if (this.#position.id === START.id && previous !== START.id)
      throw new LogBehind("the log begins with a database that this node does not have");
    if (previous !== this.#position.id)
      throw new Diverged(
        `the record ${id} of the log follows ${previous || "none"}, and this node has ${this.#position.id || "none"}: ` +
          "the log was cut or replaced; if the leader is right, use prism cluster join here",
      );
    const [begin, commit, rollback] = this.#transaction;
    const position = { sequence, id, term };
    begin();
    try {
      if (content.kind === "statements") {
        requireKnownMigrations(content.statements);
        applyStatements(this.#connection, content.statements);
      }
      this.#store(position);
      commit();
    } catch (error) {
      if (this.#connection.inTransaction) rollback();
      this.#sequence = this.#position.sequence;
      throw error;
    }
    this.#position = position;
    return record;
  }
}

/** What a node applied is not what the leader wrote: its file differs, or its program is another one. */
export class Diverged extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "Diverged";
  }
}

const KNOWN = new Set(MIGRATIONS.map(({ name }) => name));

/** @throws UnreadableRecord: the leader is of a newer version, and this program could not lead its database */
function requireKnownMigrations({ texts, calls }: Statements): void {
  const index = texts.indexOf(NOTE_MIGRATION);
  for (const [text, , parameters] of index < 0 ? [] : calls) {
    const [name] = parameters;
    if (text !== index || KNOWN.has(String(name))) continue;
    throw new UnreadableRecord(`the leader has applied the migration ${name}, which this program lacks: upgrade it`);
  }
}

/** Executes the statements of a record in the open transaction. @throws Diverged */
export function applyStatements(connection: Sqlite, { texts, calls }: Statements): void {
  const prepared = new Map<number, Statement<unknown[]>>();
  for (const [index, count, parameters] of calls) {
    const text = texts[index] ?? "";
    if (count === null && parameters.length === 0) {
      run(connection, text);
      continue;
    }
    const changed = execute(connection, prepared, { index, text, parameters });
    if (count !== null && changed !== count)
      throw new Diverged(`a statement changed ${changed} rows, and ${count} at the leader: ${text}`);
  }
}

/** Statements about the schema: a migration with triggers is one text of several. */
function run(connection: Sqlite, text: string): void {
  try {
    connection.exec(text);
  } catch (cause) {
    throw failing(text, cause);
  }
}

function failing(text: string, cause: unknown): Diverged {
  return new Diverged(`a statement of the leader fails here: ${(cause as Error).message}: ${text}`, { cause });
}

interface Call {
  readonly index: number;
  readonly text: string;
  readonly parameters: readonly unknown[];
}

function execute(connection: Sqlite, prepared: Map<number, Statement<unknown[]>>, call: Call): number {
  const { index, text, parameters } = call;
  try {
    // A statement about the schema can only be prepared when those before it have run.
    const statement = prepared.get(index) ?? connection.prepare<unknown[]>(text);
    prepared.set(index, statement);
    return statement.reader ? statement.all(...parameters).length : statement.run(...parameters).changes;
  } catch (cause) {
    throw failing(text, cause);
  }
}
