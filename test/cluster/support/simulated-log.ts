import { type LogTransport, WrongEnd } from "../../../src/cluster/log/fenced-log.ts";
import type { LogMessage } from "../../../src/cluster/log/log.ts";
import type { Random } from "../../helpers/chance.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a transport asks its node: a process that is stopped or has ended gets no answer. */
export interface Caller {
  readonly name: string;
  /** Calls `work` when the process runs, and never if it has ended. */
  runs(work: () => void): void;
}

const TIMEOUT_MS = 2000;
const SILENT_MS = 6000;

/**
 * The group of servers that keeps the log, seen from the nodes: requests and answers are late, come
 * twice or get lost; a part of the time there is no majority. What it has accepted it keeps.
 */
export class SimulatedLog {
  readonly messages: Uint8Array[] = [];
  /** Nodes that cannot reach the servers. */
  readonly cut = new Set<string>();
  /** There is no majority. */
  isDown = false;
  /** Of a hundred answers, so many get lost. */
  lossPercent = 2;
  readonly #time: VirtualTime;
  readonly #chance: Random;
  readonly #readers = new Set<() => void>();
  readonly #isAskedById: boolean;
  #isHealed = false;
  /** Ids that servers remember, also of messages that an election has dropped. */
  readonly #ids = new Set<string>();

  /** @param isAskedById the fault CL-5: doubt is settled by the ids that servers remember */
  constructor(time: VirtualTime, chance: Random, isAskedById: boolean) {
    this.#time = time;
    this.#chance = chance;
    this.#isAskedById = isAskedById;
  }

  /** From now on everything arrives. */
  heal(): void {
    this.#isHealed = true;
  }

  transport(caller: Caller): LogTransport {
    return {
      publish: (message, after) =>
        this.#ask(caller, () => {
          if (this.#isAskedById) return this.#publishById(message);
          return this.#publish(message, after);
        }),
      get: (sequence) => this.#ask(caller, () => this.messages[sequence - 1] ?? null),
      range: () => this.#ask(caller, () => ({ first: 1, last: this.messages.length })),
      consume: (from, signal) => this.#consume(caller, from, signal),
    };
  }

  #publish(message: Uint8Array, after: number): number {
    if (after !== this.messages.length) throw new WrongEnd();
    this.#append(message);
    return this.messages.length;
  }

  #publishById(message: Uint8Array): number {
    const id = Buffer.from(message.subarray(0, 9)).toString("hex");
    if (this.#ids.has(id)) return this.messages.length;
    this.#ids.add(id);
    if (this.#chance.integer(1, 100) <= this.lossPercent) throw new Error("an election has dropped it");
    this.#append(message);
    return this.messages.length;
  }

  #append(message: Uint8Array): void {
    this.messages.push(message);
    for (const wake of [...this.#readers]) wake();
  }

  get #delayMs(): number {
    return !this.#isHealed && this.#chance.integer(1, 50) === 1
      ? this.#chance.integer(100, 3000)
      : this.#chance.integer(1, 10);
  }

  #isLost(name: string): boolean {
    return !this.#isHealed && (this.#isCut(name) || this.#chance.integer(1, 100) <= this.lossPercent);
  }

  #isCut(name: string): boolean {
    return !this.#isHealed && (this.isDown || this.cut.has(name));
  }

  /** A request and its answer. */
  #ask<T>(caller: Caller, serve: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = (end: () => void) => caller.runs(end);
      this.#time.after(TIMEOUT_MS, () => answer(() => reject(new Error("no answer in time"))));
      const copies = this.#chance.integer(1, 50) === 1 ? 2 : 1;
      for (let n = 0; n < copies; n++)
        this.#time.after(this.#delayMs, () => {
          if (this.#isLost(caller.name)) return;
          let end: () => void;
          try {
            const served = serve();
            end = () => resolve(served);
          } catch (error) {
            end = () => reject(error);
          }
          // Of a request that came twice only one answer counts.
          if (!this.#isLost(caller.name)) this.#time.after(this.#delayMs, () => answer(end));
        });
    });
  }

  async *#consume(caller: Caller, from: number, signal: AbortSignal): AsyncGenerator<LogMessage> {
    const endsAt = this.#consumerEndsAt;
    // An ordered consumer that was made again may begin earlier.
    const early = this.#isHealed || this.#chance.integer(1, 10) > 1 ? 0 : this.#chance.integer(0, from - 1);
    for (let sequence = from - early; !signal.aborted; sequence++) {
      const bytes = await this.#next(caller, sequence, endsAt);
      if (bytes === null) return;
      yield { sequence, bytes };
    }
  }

  /** A consumer is silent once the one server that has it is gone. */
  get #consumerEndsAt(): number {
    const lasts = this.#isHealed || this.#chance.integer(1, 10) > 1;
    return lasts ? Number.POSITIVE_INFINITY : this.#time.now + this.#chance.integer(0, 5000);
  }

  /** @returns null when none comes for some seconds */
  #next(caller: Caller, sequence: number, endsAt: number): Promise<Uint8Array | null> {
    return new Promise((resolve) => {
      const end = (bytes: Uint8Array | null): void => {
        this.#readers.delete(look);
        takeBack();
        caller.runs(() => resolve(bytes));
      };
      const look = (): void => {
        const bytes = this.messages[sequence - 1];
        if (bytes === undefined || this.#isCut(caller.name) || this.#time.now >= endsAt) return;
        this.#readers.delete(look);
        this.#time.after(this.#chance.integer(1, 10), () => end(bytes));
      };
      const takeBack = this.#time.after(SILENT_MS, () => end(null));
      this.#readers.add(look);
      look();
    });
  }
}
