import { serveWriter, type WriterThreadData } from "../../store/commit/thread-writer.ts";
import { WritingConnection } from "../../store/commit/writing-connection.ts";
import { openForWriting } from "../../store/sqlite/connection.ts";
import { type AppendFigures, noteAppend, SharedName } from "../lead/lead.ts";
import { FENCED_EXIT, isBlocked, noteAccepted, silentMsOf } from "../lead/lease.ts";
import { type NextRecord, ReplicatedCommits } from "../lead/replicated-commits.ts";
import { RecordTooLarge } from "./log.ts";
import type { LogOptions } from "./nats-log.ts";
import type { Position } from "./position.ts";
import { recordBox } from "./record.ts";
import { refuseChangingFunctions } from "./recorder.ts";
import { SyncLog } from "./sync-log.ts";

/** How a leader replicates its commits. */
export interface Replication {
  readonly options: LogOptions;
  readonly node: string;
  readonly secrets: readonly [string, ...string[]];
  /** Of the last record that this node wrote. */
  readonly position: Position;
  /** When the last accepted record was sent. */
  readonly accepted: BigInt64Array;
  readonly figures: AppendFigures;
  /** {@link SharedName} of the node that shall lead next. */
  readonly successor: Uint8Array;
}

export type ReplicatedWriterData = WriterThreadData & { readonly replication: Replication };

/** An idle leader appends a record this often. */
const IDLE_RECORD_MS = 2000;
const LOOK_MS = 500;

/** Main function of the leader's writer thread. */
export function runReplicatedWriter(data: ReplicatedWriterData): void {
  const { options, auditKey, replication } = data;
  const { accepted, figures, successor } = replication;
  const connection = openForWriting(options);
  const log = new SyncLog(replication.options, replication.node);
  const commits = new ReplicatedCommits({
    ...{ connection, node: replication.node, position: replication.position },
    ...{ box: recordBox(replication.secrets), now: Date.now },
    onLost: () => end("a record is in the log, and its commit failed"),
  });
  const append = (next: NextRecord | null): void =>
    orEnd(() =>
      log.appendNext(next, (sent, sequence) => {
        noteAccepted(accepted, sent);
        noteAppend(figures, sequence, silentMsOf(accepted));
      }),
    );
  refuseChangingFunctions(connection);
  class ReplicatedConnection extends WritingConnection {
    protected override beforeCommit(): void {
      append(commits.changes());
    }

    override close(): void {
      append(commits.resign(new SharedName(successor).value));
      super.close();
    }
  }
  const writing = new ReplicatedConnection(connection, auditKey, options.maxBytes);
  const timer = setInterval(() => {
    // A leader that answers nothing must be replaced, although this thread lives.
    if (silentMsOf(accepted) >= IDLE_RECORD_MS && !isBlocked(accepted)) append(commits.beat());
  }, LOOK_MS);
  data.port.once("close", () => clearInterval(timer));
  serveWriter(writing, data);
}

function orEnd(work: () => void): void {
  try {
    work();
  } catch (error) {
    // Nothing of it is in the log: the transaction is rolled back, and this node leads on.
    if (error instanceof RecordTooLarge) throw error;
    end(error instanceof Error ? error.message : String(error));
  }
}

/** What may be in the log must not be rolled back here and then written again: the next start applies it. */
function end(reason: string): never {
  process.stderr.write(`this node leads no longer: ${reason}\n`);
  process.exit(FENCED_EXIT);
}
