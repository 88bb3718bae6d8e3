import { parentPort } from "node:worker_threads";
import { openForReading } from "../sqlite/connection.ts";
import { sqliteCode } from "../sqlite/sqlite-errors.ts";
import { StatementCache } from "../sqlite/statement-cache.ts";

export interface ScanThreadData {
  readonly file: string;
}

export interface ScanRequest {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type ScanReply =
  | { readonly id: number; readonly ok: true; readonly rows: unknown[] }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

/** Reads that may scan, on a read-only connection of their own. Each request is one short read: a long one would keep the WAL from restarting. */
export function runScanThread({ file }: ScanThreadData): void {
  const port = parentPort;
  if (!port) throw new TypeError("scans run in a thread of their own");
  const statements = new StatementCache(openForReading(file));
  port.on("message", ({ id, sql, parameters }: ScanRequest) => {
    let reply: ScanReply;
    try {
      reply = { id, ok: true, rows: statements.run(sql, parameters).rows };
    } catch (error) {
      reply = {
        id,
        ok: false,
        code: sqliteCode(error),
        message: error instanceof Error ? error.message : String(error),
      };
    }
    port.postMessage(reply);
  });
}
