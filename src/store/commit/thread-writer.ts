import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { collectOnce, startThread } from "../../core/runtime.ts";
import { openForWriting, type WritingOptions } from "../sqlite/connection.ts";
import { failureOf, sqliteCode, THREAD_GONE, ThreadError } from "../sqlite/sqlite-errors.ts";
import { type PackedEffects, packEffects, unpackEffects } from "./packed-effects.ts";
import type { CommitFailure, CommitOutcome, WriteSet } from "./write-set.ts";
import { isUnmeasured, perform, WriterPort, type WriterRequest } from "./writers.ts";
import { WritingConnection } from "./writing-connection.ts";

export interface WriterThreadData {
  readonly options: WritingOptions;
  readonly auditKey: Uint8Array;
  /** Requests and replies. */
  readonly port: MessagePort;
  /** The number of messages that the thread has sent, for a main thread that waits for one. */
  readonly sent: Int32Array;
  /** How commits are replicated, for `src/cluster`; undefined: they are of this file alone. */
  readonly replication?: object | undefined;
}

type ThreadRequest =
  | WriterRequest
  | { readonly op: "set"; readonly set: Omit<WriteSet, "effects">; readonly effects: PackedEffects };

type WriterReply = (
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly failure: CommitFailure; readonly code: string; readonly message: string }
) & {
  /** How long the connection worked on it, for {@link WriterPort.spentMs}; 0: it is not measured. */
  readonly tookMs: number;
};

interface Unsent {
  readonly request: ThreadRequest;
  readonly done: (reply: WriterReply) => void;
}

/** Sent while a set is written, when only the sync to disk remains. */
const SYNCING = "syncing";

/** Replies to the requests of one message, in their order. */
type ThreadMessage = readonly WriterReply[] | typeof SYNCING;

/**
 * Main function of the writer thread: one connection, requests in, replies out. Waiting for the
 * disk blocks no other thread.
 */
export function runWriterThread(data: WriterThreadData): void {
  const { options, auditKey } = data;
  serveWriter(new WritingConnection(openForWriting(options), auditKey, options.maxBytes), data);
}

/** Answers the requests of {@link ThreadWriter}. */
export function serveWriter(connection: WritingConnection, { port, sent }: WriterThreadData): void {
  const send = (message: ThreadMessage): void => {
    port.postMessage(message);
    Atomics.add(sent, 0, 1);
    Atomics.notify(sent, 0);
  };
  port.on("message", (requests: readonly ThreadRequest[]) => {
    send(requests.map((request) => answer(connection, request, () => send(SYNCING))));
    if (requests.at(-1)?.op === "close") port.close();
  });
}

function answer(connection: WritingConnection, request: ThreadRequest, onSync: () => void): WriterReply {
  const startedAt = performance.now();
  const tookMs = (): number => (isUnmeasured(request) ? 0 : performance.now() - startedAt);
  try {
    if (request.op !== "set") {
      const value = perform(connection, request);
      if (request.op === "collect") collectOnce();
      return { ok: true, value, tookMs: tookMs() };
    }
    const set = { ...request.set, effects: unpackEffects(request.effects) };
    const value = connection.commitSet(set, onSync);
    return { ok: true, value, tookMs: tookMs() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, failure: failureOf(error), code: sqliteCode(error), message, tookMs: tookMs() };
  }
}

/** Requests that wait for the disk, or may take long. */
const SLOW_REQUESTS: ReadonlySet<ThreadRequest["op"]> = new Set(["set", "commit", "checkpoint", "ping", "close"]);
/** How long the main thread waits for the answer to a statement; usually it is there in 0.05 ms. */
const WAIT_MS = 0.5;
/** How long it waits in one turn of the event loop. */
const WAIT_OF_TURN_MS = 2;

/**
 * The writing connection in a thread, for machines with two cores or more: the event loop never
 * waits for the disk.
 *
 * It does wait, shortly, for the statements of a transaction: each would otherwise cost a turn of the
 * loop, which under load takes many times longer, and nothing else is written meanwhile.
 *
 * The end of a transaction that shares its commit needs no answer before the commit: it is sent with the
 * next request, so that transactions that only write cost one message together.
 *
 * Two sets may be in flight, so that the thread does not idle between two syncs. The second one is
 * taken when the first starts to sync, because until then it can still grow (0.347 of a bare echo
 * at 64 connections, against 0.333 when taken at once and 0.329 after the first).
 */
export class ThreadWriter extends WriterPort {
  onRoom: (() => void) | null = null;
  spentMs = 0;
  #setsInFlight = 0;
  /** The set in flight is written and waits for the disk. */
  #isSyncing = false;
  readonly #thread: Worker;
  readonly #port: MessagePort;
  readonly #sent = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  /** Pending requests of {@link SLOW_REQUESTS}. */
  #slow = 0;
  /** In this turn of the loop; null: nothing yet. */
  #waitedMs: number | null = null;
  /** Pending requests, oldest first: the thread answers in order. */
  readonly #waiting: ((reply: WriterReply) => void)[] = [];
  /** The last ones of them, which go with the next message. */
  #unsent: Unsent[] = [];
  #dead: Error | null = null;
  #isClosing = false;

  /** @param onDeath called once if the thread ends unasked; nothing can be written any more. */
  constructor(data: Omit<WriterThreadData, "port" | "sent">, onDeath: (error: Error) => void) {
    super();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const role = data.replication === undefined ? "writer" : "replicated-writer";
    this.#thread = startThread(role, { ...data, port: port2, sent: this.#sent }, [port2]);
    port1.on("message", (message: ThreadMessage) => this.#receive(message));
    const die = (error: Error): void => {
      if (this.#dead) return;
      // Its answers before it died count.
      while (this.#receiveNext());
      port1.close();
      this.#dead = error;
      for (const resolve of this.#waiting.splice(0)) resolve(deathReply(error));
      if (!this.#isClosing) onDeath(error);
    };
    this.#thread.on("error", die);
    this.#thread.on("exit", (code) => die(new Error(`the writer thread ended with code ${code}`)));
  }

  hasRoom(): boolean {
    return this.#setsInFlight === 0 || (this.#setsInFlight === 1 && this.#isSyncing);
  }

  commitSet({ effects, ...set }: WriteSet, done: (outcome: CommitOutcome) => void): void {
    this.#setsInFlight++;
    this.#send({ op: "set", set, effects: packEffects(effects) }, (reply) => {
      this.#setsInFlight--;
      this.#isSyncing = false;
      if (reply.ok) done(reply.value as CommitOutcome);
      else done({ ok: false, failure: reply.failure, superseded: false, message: reply.message });
    });
  }

  override async close(): Promise<void> {
    if (this.#dead) return;
    this.#isClosing = true;
    try {
      await super.close();
    } finally {
      this.#dead = new Error("the writer is closed");
      this.#port.close();
      await this.#thread.terminate();
    }
  }

  unref(): void {
    this.#port.unref();
    this.#thread.unref();
  }

  ask(request: WriterRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#send(withoutEffects(request), (reply) => {
        if (reply.ok) resolve(reply.value);
        else reject(new ThreadError(reply.code, reply.message));
      });
    });
  }

  #send(request: ThreadRequest, done: (reply: WriterReply) => void): void {
    if (this.#dead) {
      done(deathReply(this.#dead));
      return;
    }
    const { op } = request.op === "together" ? (request.requests.at(-1) ?? request) : request;
    const isSlow = SLOW_REQUESTS.has(op);
    if (isSlow) this.#slow++;
    const answered = (reply: WriterReply): void => {
      if (isSlow) this.#slow--;
      done(reply);
    };
    this.#waiting.push(answered);
    this.#unsent.push({ request, done: answered });
    // Another request of the same commit follows.
    if (op === "endPart") return;
    this.#post();
    if (this.#slow === 0) this.#awaitAnswers();
  }

  /** Sends all in one message: a message costs more than most requests. */
  #post(): void {
    const unsent = this.#unsent;
    this.#unsent = [];
    try {
      this.#port.postMessage(unsent.map(({ request }) => request));
    } catch {
      for (const each of unsent) this.#postAlone(each);
    }
  }

  /** One of them has a value that cannot be sent, such as a function. */
  #postAlone({ request, done }: Unsent): void {
    try {
      this.#port.postMessage([request]);
    } catch (error) {
      this.#waiting.splice(this.#waiting.indexOf(done), 1);
      const { name: code, message } = error instanceof Error ? error : new Error(String(error));
      done({ ok: false, failure: "internal", code, message, tookMs: 0 });
    }
  }

  /** Blocks until all requests are answered, or for as long as is left. */
  #awaitAnswers(): void {
    if (this.#waitedMs === null) {
      this.#waitedMs = 0;
      setImmediate(() => {
        this.#waitedMs = null;
      });
    }
    const mayWaitMs = Math.min(WAIT_MS, WAIT_OF_TURN_MS - this.#waitedMs);
    if (mayWaitMs <= 0) return;
    const startedAt = performance.now();
    for (let leftMs = mayWaitMs; leftMs > 0; leftMs = mayWaitMs - (performance.now() - startedAt)) {
      const seen = Atomics.load(this.#sent, 0);
      while (this.#receiveNext());
      if (this.#waiting.length === 0 || Atomics.wait(this.#sent, 0, seen, leftMs) === "timed-out") break;
    }
    this.#waitedMs += performance.now() - startedAt;
  }

  /** @returns whether there was a message */
  #receiveNext(): boolean {
    const received = receiveMessageOnPort(this.#port) as { readonly message: ThreadMessage } | undefined;
    if (received) this.#receive(received.message);
    return received !== undefined;
  }

  #receive(message: ThreadMessage): void {
    if (message === SYNCING) {
      this.#isSyncing = true;
      this.onRoom?.();
      return;
    }
    for (const reply of message) {
      this.spentMs += reply.tookMs;
      this.#waiting.shift()?.(reply);
    }
  }
}

/** Effects change memory of the main thread only. */
function withoutEffects(request: WriterRequest): WriterRequest {
  if (request.op === "together") return { op: "together", requests: request.requests.map(withoutEffects) };
  return "end" in request ? { ...request, end: { ...request.end, effects: [] } } : request;
}

function deathReply(error: Error): WriterReply {
  return { ok: false, failure: "closed", code: THREAD_GONE, message: error.message, tookMs: 0 };
}
