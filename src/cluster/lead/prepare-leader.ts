import { parentPort } from "node:worker_threads";
import { SealedBox } from "../../core/crypto/sealed-box.ts";
import { startThread } from "../../core/runtime.ts";
import { endSequenceBlocks } from "../../store/commit/sequences.ts";
import { loadAuditKey, noteServerKeys } from "../../store/sealed-settings.ts";
import { closing, openForWriting } from "../../store/sqlite/connection.ts";
import { migrateUp } from "../../store/sqlite/migrate.ts";
import { failureOf } from "../../store/sqlite/sqlite-errors.ts";
import { Fenced } from "../log/log.ts";
import type { Position } from "../log/position.ts";
import { recordBox } from "../log/record.ts";
import { refuseChangingFunctions } from "../log/recorder.ts";
import { SyncLog } from "../log/sync-log.ts";
import type { Replication } from "../log/writer-thread.ts";
import { newAppendFigures, SharedName } from "./lead.ts";
import { newAccepted, noteAccepted } from "./lease.ts";
import { type NextRecord, ReplicatedCommits } from "./replicated-commits.ts";

interface Preparation {
  readonly file: string;
  /** With which is stored what is encrypted; the first one encrypts. */
  readonly keys: readonly [Uint8Array, ...Uint8Array[]];
  readonly own: Pick<Replication, "options" | "node" | "secrets" | "position">;
}

export type PrepareThreadData = Preparation & Pick<Replication, "accepted">;

type Reply = { readonly position: Position } | { readonly message: string; readonly isFenced: boolean };

/**
 * Writes what a start writes beside the writer, migrations for instance, as records. In a thread: the
 * loop says meanwhile that this node leads. @throws Fenced
 */
export async function prepareAsLeader(preparation: Preparation): Promise<Replication> {
  const accepted = newAccepted();
  const data: PrepareThreadData = { ...preparation, accepted };
  const thread = startThread("prepare-leader", data);
  try {
    const reply = await new Promise<Reply>((resolve, reject) => {
      thread.once("message", resolve).once("error", reject);
      thread.once("exit", (code) => reject(new Error(`the thread that prepares the database ended with code ${code}`)));
    });
    if ("message" in reply) throw reply.isFenced ? new Fenced(reply.message) : new Error(reply.message);
    const { position } = reply;
    const figures = newAppendFigures(position.sequence);
    return { ...preparation.own, position, accepted, figures, successor: new SharedName().bytes };
  } finally {
    await thread.terminate();
  }
}

/** Main function of the thread. */
export async function runPrepareLeader({ file, keys, own, accepted }: PrepareThreadData): Promise<void> {
  const log = new SyncLog(own.options, own.node);
  const reply = (message: Reply): void => parentPort?.postMessage(message);
  try {
    const position = closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection): Position => {
      refuseChangingFunctions(connection);
      const commits = new ReplicatedCommits({
        ...{ connection, node: own.node, position: own.position, box: recordBox(own.secrets) },
        now: Date.now,
        onLost: () => {
          throw new Fenced("a record is in the log, and its commit failed");
        },
      });
      const append = (next: NextRecord | null): void => log.appendNext(next, (sent) => noteAccepted(accepted, sent));
      // Another node may have taken over since the record of this leader was sent.
      append(commits.beat());
      const transaction = (work: () => void): void => {
        connection.prepare("begin immediate").run();
        work();
        append(commits.changes());
        connection.prepare("commit").run();
      };
      migrateUp(connection, undefined, undefined, transaction);
      transaction(() => {
        const box = new SealedBox(keys);
        loadAuditKey(connection, box);
        endSequenceBlocks(connection);
        noteServerKeys(connection, box);
      });
      return commits.position;
    });
    reply({ position });
  } catch (error) {
    // As in the writer's thread: with a full disk it follows, so that another node may lead.
    const isFenced = error instanceof Fenced || failureOf(error) !== "internal";
    reply({ message: error instanceof Error ? error.message : String(error), isFenced });
  } finally {
    await log.close();
  }
}
