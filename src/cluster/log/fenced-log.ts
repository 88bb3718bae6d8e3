import type { NodeTime } from "../time.ts";
import { type ClusterLog, Fenced, type Following, LogBehind, LogGone, type LogMessage, RESEED } from "./log.ts";

/** Where messages are stored: a stream with one order, of which one group of servers decides. */
export interface LogTransport {
  /** Stores a message directly after `after`. @returns its sequence. @throws WrongEnd; any other error is doubt */
  publish(message: Uint8Array, after: number): Promise<number>;
  /** The message at a sequence; null: there is none. */
  get(sequence: number): Promise<Uint8Array | null>;
  /** Sequences of the first and the last message; of an empty log `last` is 0, or before `first`. */
  range(): Promise<LogRange>;
  /** Messages from a sequence on, as they come; ends when none comes for some seconds. */
  consume(from: number, signal: AbortSignal): AsyncGenerator<LogMessage>;
}

export interface LogRange {
  readonly first: number;
  readonly last: number;
}

/** The log does not end where the message should follow. */
export class WrongEnd extends Error {
  constructor() {
    super("the log has another end");
    this.name = "WrongEnd";
  }
}

const RETRY_MS = 100;
/** How long a server may lack the end of the stream after an election. */
const MOST_BEHIND_MS = 5000;

/** The rules by which nodes append to the log, and read it. */
export class FencedLog implements ClusterLog {
  readonly #transport: LogTransport;
  readonly #time: Pick<NodeTime, "elapsed" | "sleep">;
  #doubt: unknown = null;

  constructor(transport: LogTransport, time: Pick<NodeTime, "elapsed" | "sleep">) {
    this.#transport = transport;
    this.#time = time;
  }

  get doubt(): unknown {
    return this.#doubt;
  }

  async append(messages: readonly Uint8Array[], after: number): Promise<number> {
    let last = after;
    for (const message of messages) last = await this.#appendOne(message, last);
    return last;
  }

  async #appendOne(message: Uint8Array, after: number): Promise<number> {
    for (let unclearSince: number | null = null; ; await this.#time.sleep(RETRY_MS)) {
      try {
        const sequence = await this.#transport.publish(message, after);
        this.#doubt = null;
        if (sequence === after + 1) return sequence;
        throw new Fenced(`the log gave the sequence ${sequence} after ${after}`);
      } catch (error) {
        if (error instanceof Fenced) throw error;
        this.#doubt = error;
        if (!(error instanceof WrongEnd)) continue;
        const found = await this.#untilKnown(after + 1);
        if (found && Buffer.compare(found, message) === 0) {
          this.#doubt = null;
          return after + 1;
        }
        if (found) throw new Fenced(`another node has written after ${after}`);
        // An earlier copy of it may be accepted, and not stored yet.
        unclearSince ??= this.#time.elapsed();
        if (this.#time.elapsed() - unclearSince > MOST_BEHIND_MS)
          throw new Fenced(`the log does not end at ${after}, and has nothing after it`);
      }
    }
  }

  /** What the log has there, however long the answer takes: that to the message may be lost. */
  async #untilKnown(sequence: number): Promise<Uint8Array | null> {
    for (;;) {
      try {
        return await this.#transport.get(sequence);
      } catch {
        await this.#time.sleep(RETRY_MS);
      }
    }
  }

  follow(after: number): Following {
    const stopping = new AbortController();
    const { signal } = stopping;
    return {
      stop: () => stopping.abort(),
      [Symbol.asyncIterator]: () => this.#read(after, signal),
    };
  }

  async *#read(after: number, signal: AbortSignal): AsyncGenerator<LogMessage> {
    const { first, last } = await this.#rangeFrom(after);
    if (last < after)
      throw new LogGone(`the log ends at ${last}, and this node has applied ${after}: it lost its end; ${RESEED}`);
    requireFrom(after + 1, first);
    let next = after + 1;
    for await (const message of this.#transport.consume(next, signal)) {
      // A consumer that was made again may begin earlier.
      if (message.sequence < next) continue;
      // Or later: the caller follows again, if the log has what was left out.
      if (message.sequence > next) return this.#requireAt(next);
      next++;
      yield message;
    }
  }

  /** @throws LogBehind, LogGone */
  async #requireAt(sequence: number): Promise<void> {
    requireFrom(sequence, (await this.range()).first);
    if ((await this.get(sequence)) === null)
      throw new LogGone(`the log lacks the message ${sequence}, and has later ones; ${RESEED}`);
  }

  /** A server that has just begun to lead the stream may not have read all of it yet. */
  async #rangeFrom(after: number): Promise<LogRange> {
    for (const until = this.#time.elapsed() + MOST_BEHIND_MS; ; await this.#time.sleep(RETRY_MS)) {
      const range = await this.range();
      if (range.last >= after || this.#time.elapsed() > until) return range;
    }
  }

  async get(sequence: number): Promise<LogMessage | null> {
    const bytes = await this.#transport.get(sequence);
    return bytes === null ? null : { sequence, bytes };
  }

  async last(): Promise<number> {
    return (await this.range()).last;
  }

  /** Sequences of the first and the last message. */
  range(): Promise<LogRange> {
    return this.#transport.range();
  }
}

/** @throws LogBehind for a log that begins after what a node needs */
function requireFrom(sequence: number, first: number): void {
  if (first > sequence) throw new LogBehind(`the log begins at ${first}, and this node needs ${sequence}`);
}
