import type { Worker } from "node:worker_threads";
import { type Deferred, deferred } from "../base/deferred.ts";
import { startThread } from "../base/runtime.ts";
import type { ScanReply, ScanRequest } from "./scan-thread.ts";
import { THREAD_GONE, ThreadError } from "./sqlite-errors.ts";

const IDLE_MS = 60_000;

/** The thread for reads that scan: starts on first use, stops after a minute without any, and starts anew when it has died. */
export class Scanner {
  readonly #file: string;
  readonly #idleMs: number;
  #thread: Worker | null = null;
  #lastId = 0;
  readonly #waiting = new Map<number, Deferred<unknown[]>>();
  #idleTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param idleMs how long the thread is kept without a query. */
  constructor(file: string, idleMs = IDLE_MS) {
    this.#file = file;
    this.#idleMs = idleMs;
  }

  get isRunning(): boolean {
    return this.#thread !== null;
  }

  /** Rows of one statement that reads. @throws ThreadError with SQLite's code */
  async query(sql: string, parameters: readonly unknown[]): Promise<unknown[]> {
    if (this.#isClosed) throw new ThreadError(THREAD_GONE, "the store is closed");
    this.#keepAlive();
    const request: ScanRequest = { id: ++this.#lastId, sql, parameters };
    const answer = deferred<unknown[]>();
    this.#start().postMessage(request);
    this.#waiting.set(request.id, answer);
    return answer.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop();
  }

  async #stop(): Promise<void> {
    this.#keepAlive();
    const thread = this.#thread;
    this.#thread = null;
    // At once, not when the thread has ended: what is asked meanwhile belongs to the next one.
    this.#failAll(new ThreadError(THREAD_GONE, "the scan thread was stopped"));
    await thread?.terminate();
  }

  #start(): Worker {
    if (this.#thread) return this.#thread;
    const thread = startThread("scan", { file: this.#file });
    thread.on("message", (reply: ScanReply) => {
      if (this.#thread === thread) this.#settle(reply);
    });
    thread.on("error", (error) => this.#gone(thread, error.message));
    thread.on("exit", (code) => this.#gone(thread, `the scan thread ended with code ${code}`));
    this.#thread = thread;
    return thread;
  }

  #settle(reply: ScanReply): void {
    const answer = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) answer?.resolve(reply.rows);
    else answer?.reject(new ThreadError(reply.code, reply.message));
    if (this.#waiting.size > 0) return;
    this.#idleTimer = setTimeout(() => void this.#stop(), this.#idleMs);
    this.#idleTimer.unref();
  }

  #gone(thread: Worker, message: string): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    this.#failAll(new ThreadError(THREAD_GONE, message));
  }

  #failAll(error: Error): void {
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
  }

  #keepAlive(): void {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
  }
}
