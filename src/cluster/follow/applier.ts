import type { Database as Sqlite, Statement } from "better-sqlite3";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import { NOTE_MIGRATION } from "../../store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../store/sqlite/migrations.gen.ts";
import { failureOf } from "../../store/sqlite/sqlite-errors.ts";
import { LogBehind, type LogMessage } from "../log/log.ts";
import { type Position, positionWriter, preparePosition, readPosition, START } from "../log/position.ts";
import { type ClusterRecord, RecordReader, type Statements, UnreadableRecord } from "../log/record.ts";
import { refuseChangingFunctions } from "../log/recorder.ts";

/**
 * Applies records to this node's file in their order, each in one transaction with its position. A
 * failure leaves the file as it was, at its position.
 */
export class Applier {
  readonly #connection: Sqlite;
  readonly #reader: RecordReader;
  readonly #store: (position: Position) => void;
  readonly #transaction: readonly [begin: () => void, commit: () => void, rollback: () => void];
  readonly #runner: StatementRunner;
  #position: Position;
  /** Of the last message that was read, which may be a part of a record. */
  #sequence: number;

  /** @param connection of this file alone; it does not wait for the disk: the log has what a crash loses */
  constructor(connection: Sqlite, box: SealedBox) {
    this.#connection = connection;
    connection.pragma("synchronous = NORMAL");
    preparePosition(connection);
    refuseChangingFunctions(connection);
    this.#reader = new RecordReader(box);
    this.#runner = new StatementRunner(connection);
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
    if (record === null) {
      this.#sequence = sequence;
      return null;
    }
    const { id, previous, term, content } = record;
    // Two nodes were started at once: the log did not exist when this empty one looked.
    if (this.#position.id === START.id && previous !== START.id)
      throw new LogBehind("the log begins with a database that this node does not have");
    if (previous !== this.#position.id)
      throw new Diverged(
        `the record ${id} of the log follows ${previous || "none"}, and this node has ${this.#position.id || "none"}: ` +
          "the log was cut or replaced; if the leader is right, use prism cluster join here",
      );
    const [begin, commit, rollback] = this.#transaction;
    const position = { sequence, id, term };
    try {
      begin();
      if (content.kind === "statements") {
        requireKnownMigrations(content.statements);
        this.#runner.run(content.statements);
      }
      this.#store(position);
      commit();
    } catch (error) {
      // Parts of the record that were read are read again.
      this.#sequence = this.#position.sequence;
      if (this.#connection.inTransaction) rollback();
      throw error;
    }
    this.#position = position;
    this.#sequence = sequence;
    return record;
  }
}

/** What a node applied is not what the leader wrote: its file differs, or its program is another one. */
export class Diverged extends Error {
  override readonly name = "Diverged";
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

/** Statements that were prepared once; the leader's own are few. */
const MOST_PREPARED = 500;

/** Executes the statements of records. */
export class StatementRunner {
  readonly #connection: Sqlite;
  readonly #prepared = new Map<string, Statement<unknown[]>>();

  constructor(connection: Sqlite) {
    this.#connection = connection;
  }

  /** Executes them in the open transaction. @throws Diverged */
  run({ texts, calls }: Statements): void {
    for (const [index, count, parameters] of calls) {
      const text = texts[index] ?? "";
      try {
        if (count === null && parameters.length === 0) {
          // It may change the schema: a migration with triggers is one text of several statements.
          this.#prepared.clear();
          this.#connection.exec(text);
          continue;
        }
        const changed = this.#execute(text, parameters);
        if (count !== null && changed !== count)
          throw new Diverged(`a statement changed ${changed} rows, and ${count} at the leader: ${text}`);
      } catch (cause) {
        // A full disk says nothing about what the file holds.
        if (cause instanceof Diverged || failureOf(cause) !== "internal") throw cause;
        throw new Diverged(`a statement of the leader fails here: ${(cause as Error).message}: ${text}`, { cause });
      }
    }
  }

  #execute(text: string, parameters: readonly unknown[]): number {
    const statement = this.#prepared.get(text) ?? this.#prepare(text);
    return statement.reader ? statement.all(...parameters).length : statement.run(...parameters).changes;
  }

  #prepare(text: string): Statement<unknown[]> {
    if (this.#prepared.size >= MOST_PREPARED) this.#prepared.clear();
    const statement = this.#connection.prepare<unknown[]>(text);
    this.#prepared.set(text, statement);
    return statement;
  }
}
