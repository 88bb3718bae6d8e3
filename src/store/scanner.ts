import type { Worker } from "node:worker_threads";
import { type Deferred, deferred } from "../base/deferred.ts";
import { startThread } from "../base/runtime.ts";
import type { ScanReply, ScanRequest } from "./scan-thread.ts";

const IDLE_MS = 60_000;

/** The thread for reads that scan: starts on first use, stops after a minute without any. */
export class Scanner {
  readonly #file: string;
  #thread: Worker | null = null;
  #lastId = 0;
  readonly #waiting = new Map<number, Deferred<unknown[]>>();
  #idleTimer: NodeJS.Timeout | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  query(sql: string, parameters: readonly unknown[]): Promise<unknown[]> {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
    const request: ScanRequest = { id: ++this.#lastId, sql, parameters };
    const answer = deferred<unknown[]>();
    this.#waiting.set(request.id, answer);
    this.#start().postMessage(request);
    return answer.promise;
  }

  async close(): Promise<void> {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
    this.#failAll(new Error("the scan thread was stopped"));
  }

  #start(): Worker {
    if (this.#thread) return this.#thread;
    const thread = startThread("scan", { file: this.#file });
    thread.on("message", (reply: ScanReply) => this.#settle(reply));
    thread.on("error", (error) => this.#gone(thread, error));
    thread.on("exit", () => this.#gone(thread, new Error("the scan thread ended")));
    this.#thread = thread;
    return thread;
  }

  #settle(reply: ScanReply): void {
    const answer = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) answer?.resolve(reply.rows);
    else answer?.reject(new Error(reply.message));
    if (this.#waiting.size > 0) return;
    this.#idleTimer = setTimeout(() => void this.close(), IDLE_MS);
    this.#idleTimer.unref();
  }

  #gone(thread: Worker, error: Error): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    this.#failAll(error);
  }

  #failAll(error: Error): void {
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
  }
}
