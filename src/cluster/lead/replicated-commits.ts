import type { Database as Sqlite } from "better-sqlite3";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import { type Position, positionWriter } from "../log/position.ts";
import { encodeRecord, newRecordId, type RecordContent, statementsOf } from "../log/record.ts";
import { Recorder } from "../log/recorder.ts";

interface Parts {
  /** With no statement prepared yet. */
  readonly connection: Sqlite;
  readonly box: SealedBox;
  readonly node: string;
  /** Of the last record in the log, which this node wrote as the leader. */
  readonly position: Position;
  /** Epoch ms. */
  now(): number;
  /** The log has a record, and its commit failed here. It must end the process: the next start applies it. */
  onLost(): never;
}

/** A record that is appended directly after the one before. */
export interface NextRecord {
  readonly messages: readonly Uint8Array[];
  /** Sequence of the last message before it. */
  readonly after: number;
  /** The log has it. @param sequence of its last message */
  accepted(sequence: number): void;
}

/**
 * The leader's side of the log: what a transaction changed is appended before it is committed. If it
 * cannot be appended, the process must end: what may be in the log must not be written again.
 */
export class ReplicatedCommits {
  readonly #parts: Parts;
  readonly #recorder: Recorder;
  readonly #store: (position: Position) => void;
  #position: Position;
  /** The log has the open transaction. */
  #isAppended = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#position = parts.position;
    this.#recorder = new Recorder(parts.connection, (word) => {
      if (word !== "commit" && this.#isAppended) this.#parts.onLost();
      this.#isAppended = false;
    });
    this.#store = positionWriter(parts.connection);
  }

  get position(): Position {
    return this.#position;
  }

  /** The changes of the open transaction, to be appended before its commit; null: there are none. */
  changes(): NextRecord | null {
    const { changes } = this.#recorder;
    if (changes.length === 0) return null;
    return this.#next({ kind: "statements", statements: statementsOf(changes) }, () => {
      this.#isAppended = true;
      this.#store(this.#position);
    });
  }

  /** Shows that this node leads, although nothing is written. */
  beat(): NextRecord {
    return this.#next({ kind: "beat" });
  }

  resign(successor: string | null): NextRecord {
    return this.#next({ kind: "resign", successor });
  }

  #next(content: RecordContent, onAccepted?: () => void): NextRecord {
    const { box, node, now } = this.#parts;
    const { sequence: after, id: previous, term } = this.#position;
    const record = { id: newRecordId(), previous, term, node, at: now(), content };
    return {
      messages: encodeRecord(record, box),
      after,
      accepted: (sequence) => {
        this.#position = { sequence, id: record.id, term };
        onAccepted?.();
      },
    };
  }
}
