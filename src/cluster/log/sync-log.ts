import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { startThread } from "../../core/runtime.ts";
import { MOST_SILENT_MS, type SentAt, sentNow } from "../lead/lease.ts";
import type { NextRecord } from "../lead/replicated-commits.ts";
import { Fenced, RecordTooLarge } from "./log.ts";
import type { LogOptions } from "./nats-log.ts";

/** What the log's thread is started with. */
export interface LogThreadData {
  readonly options: LogOptions;
  readonly node: string;
  readonly port: MessagePort;
  /** The number of answers that it has sent. */
  readonly sent: Int32Array;
  /** How long the thread that asks waits for an answer. */
  readonly mostWaitMs: number;
}

export interface AppendRequest {
  readonly messages: readonly Uint8Array[];
  readonly after: number;
  /** `process.hrtime`, which is the same in all threads. */
  readonly askedAt: bigint;
}

/** `message`: why it was not appended, or may not have been. */
export type AppendReply = { readonly sequence: number } | { readonly message: string; readonly isTooLarge: boolean };

/**
 * Appends to the log while the thread that asks waits: a commit of SQLite is synchronous, and its
 * record must be in the log before. The connection to NATS is in a thread of its own.
 */
export class SyncLog {
  readonly #thread: Worker;
  readonly #port: MessagePort;
  readonly #sent = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #mostWaitMs: number;
  #answers = 0;

  constructor(options: LogOptions, node: string, mostWaitMs = MOST_SILENT_MS) {
    this.#mostWaitMs = mostWaitMs;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const data: LogThreadData = { options, node, port: port2, sent: this.#sent, mostWaitMs };
    this.#thread = startThread("log", data, [port2]);
    this.#thread.unref();
    port1.unref();
  }

  /** @returns the sequence of the last message. @throws Fenced, also when the log accepts nothing in time or fails; RecordTooLarge */
  append(messages: readonly Uint8Array[], after: number): number {
    const request: AppendRequest = { messages, after, askedAt: process.hrtime.bigint() };
    this.#port.postMessage(request);
    if (Atomics.wait(this.#sent, 0, this.#answers, this.#mostWaitMs) === "timed-out")
      throw new Fenced(`the log accepted no record for ${this.#mostWaitMs / 1000} s`);
    this.#answers++;
    const received = receiveMessageOnPort(this.#port) as { readonly message: AppendReply } | undefined;
    if (received === undefined) throw new Fenced("the log's thread gave no answer");
    const { message: reply } = received;
    if ("sequence" in reply) return reply.sequence;
    throw reply.isTooLarge ? new RecordTooLarge(reply.message) : new Fenced(reply.message);
  }

  /** @throws Fenced, RecordTooLarge */
  appendNext(next: NextRecord | null, onAccepted: (sent: SentAt, sequence: number) => void): void {
    if (next === null) return;
    const sent = sentNow();
    const sequence = this.append(next.messages, next.after);
    next.accepted(sequence);
    onAccepted(sent, sequence);
  }

  async close(): Promise<void> {
    this.#port.close();
    await this.#thread.terminate();
  }
}
