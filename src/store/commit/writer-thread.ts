import { parentPort } from "node:worker_threads";
import { openForWriting, type WritingOptions } from "../sqlite/connection.ts";
import { failureOf, sqliteCode } from "../sqlite/sqlite-errors.ts";
import type { QueryRows } from "../sqlite/statement-cache.ts";
import type { CommitFailure, CommitOutcome, WriteSet } from "./write-set.ts";
import { type TransactionRows, WritingConnection } from "./writing-connection.ts";

export interface WriterThreadData {
  readonly options: WritingOptions;
  readonly auditKey: Uint8Array;
}

/** What the main thread asks. Every request is answered once, in order. */
export type WriterRequest =
  | { readonly op: "set"; readonly set: WriteSet }
  | { readonly op: "query"; readonly sql: string; readonly parameters: readonly unknown[] }
  | { readonly op: "commit"; readonly end: TransactionRows }
  | { readonly op: "endPart"; readonly end: TransactionRows; readonly isFirst: boolean }
  | { readonly op: "begin" | "rollback" | "beginPart" | "rollbackPart" | "dataVersion" | "checkpoint" | "close" };

export type WriterReply =
  | { readonly ok: true; readonly value: CommitOutcome | QueryRows | number | null }
  | { readonly ok: false; readonly failure: CommitFailure; readonly code: string; readonly message: string };

/** Says, while a set is being written, that only the disk is still waited for. */
export const SYNCING = "syncing";

/** The writer thread's whole life: one connection, requests in, replies out. Waiting for the disk or for a lock stops nobody else. */
export function runWriterThread(data: WriterThreadData): void {
  const port = parentPort;
  if (!port) throw new TypeError("the writer runs in a thread of its own");
  const connection = new WritingConnection(openForWriting(data.options), data.auditKey);
  port.on("message", (request: WriterRequest) => {
    port.postMessage(answer(connection, request, () => port.postMessage(SYNCING)));
    if (request.op === "close") port.close();
  });
}

function answer(connection: WritingConnection, request: WriterRequest, onSync: () => void): WriterReply {
  try {
    return { ok: true, value: perform(connection, request, onSync) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, failure: failureOf(error), code: sqliteCode(error), message };
  }
}

function perform(
  connection: WritingConnection,
  request: WriterRequest,
  onSync: () => void,
): CommitOutcome | QueryRows | number | null {
  switch (request.op) {
    case "set":
      return connection.commitSet(request.set, { onSync });
    case "query":
      return connection.query(request.sql, request.parameters);
    case "dataVersion":
      return connection.dataVersion();
    case "begin":
      connection.begin();
      return null;
    case "commit":
      connection.commit(request.end);
      return null;
    case "beginPart":
      connection.beginPart();
      return null;
    case "endPart":
      connection.endPart(request.end, request.isFirst);
      return null;
    case "rollbackPart":
      connection.rollbackPart();
      return null;
    case "rollback":
      connection.rollback();
      return null;
    case "checkpoint":
      connection.checkpoint();
      return null;
    case "close":
      connection.close();
      return null;
  }
}
