import { parentPort } from "node:worker_threads";
import type { Database as Sqlite } from "better-sqlite3";
import { freeBytes } from "../../core/data-dir.ts";
import { startThread } from "../../core/runtime.ts";
import { reading } from "./connection.ts";
import { sqliteCode, ThreadError } from "./sqlite-errors.ts";

export interface SnapshotThreadData {
  readonly file: string;
  readonly into: string;
}

type SnapshotReply = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly message: string };

/**
 * Copies the database as of one commit, beside a server that continues to write: one `VACUUM INTO`
 * on a reading connection, in a thread. The page-wise backup API restarts at every commit of
 * another connection and would never finish under load. The file must not be opened or closed by
 * path while it is in use, because closing a descriptor drops SQLite's locks
 * (https://www.sqlite.org/howtocorrupt.html, section 2.2).
 * @param into a file that is empty or does not exist. @throws ThreadError with SQLite's code
 */
export async function snapshotDatabase(data: SnapshotThreadData): Promise<void> {
  const thread = startThread("snapshot", data);
  try {
    const reply = await new Promise<SnapshotReply>((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", reject);
      thread.once("exit", (code) => reject(new Error(`the copying thread ended with code ${code}`)));
    });
    if (!reply.ok) throw new ThreadError(reply.code, reply.message);
  } finally {
    await thread.terminate();
  }
}

export function runSnapshotThread({ file, into }: SnapshotThreadData): void {
  if (!parentPort) throw new TypeError("snapshots are made in a thread of their own");
  parentPort.postMessage(copy(file, into));
}

function copy(file: string, into: string): SnapshotReply {
  try {
    reading(file, (connection) => connection.prepare<[string]>("vacuum into ?").run(into));
    return { ok: true };
  } catch (error) {
    return { ok: false, code: sqliteCode(error), message: error instanceof Error ? error.message : String(error) };
  }
}

/** Approximate size of a snapshot. */
export function snapshotBytes(file: string): number {
  return reading(file, (connection) => {
    const [pages, free, size] = (["page_count", "freelist_count", "page_size"] as const).map((name) =>
      Number(connection.pragma(name, { simple: true })),
    );
    return ((pages ?? 0) - (free ?? 0)) * (size ?? 0);
  });
}

/** SQLite leaves what it has written of a snapshot without room. @param keptBytes stay free. @throws without room */
export function requireRoomForSnapshot(
  { file, folder, keptBytes }: { readonly file: string; readonly folder: string; readonly keptBytes: number },
  free = freeBytes,
): void {
  const [needed, found] = [snapshotBytes(file) + keptBytes, free(folder)];
  if (found < needed)
    throw new Error(`a copy of the database needs ${needed} bytes, and the disk of ${folder} has ${found}: free some`);
}

/**
 * The newest backup by the audit trail; null when there is none. That of an upgrade does not
 * count: it is on the same disk, for the way back. Reads the newest rows: the index on `action` has the rows in
 * the order of `seq`.
 */
export function lastBackup(connection: Sqlite): LastBackup | null {
  const sql = `select timestamp as at, metadata ->> '$.node' as node, metadata ->> '$.file' as file from audit_log
    where action = 'backup.create' and metadata ->> '$.upgrade' is null order by seq desc limit 1`;
  return connection.prepare<[], LastBackup>(sql).get() ?? null;
}

interface LastBackup {
  readonly at: number;
  /** Who made it, and where, in a cluster; null: a single server. */
  readonly node: string | null;
  readonly file: string | null;
}

export function lastBackupAt(connection: Sqlite): number | null {
  return lastBackup(connection)?.at ?? null;
}
