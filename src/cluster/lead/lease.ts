import { setTimeout } from "node:timers/promises";
import type { NodeTime } from "../time.ts";

/** Exit code of a process that leads no longer; `serve` starts it again as a follower. */
export const FENCED_EXIT = 76;

/** A new leader waits this long; its predecessor does nothing later than this after its last record. */
export const LEASE_MS = 6000;
/** More than this between the wall clock and the monotonic one: the machine was suspended. */
const CLOCK_STEP_MS = 1000;
/** How long a leader may act after its last accepted record was sent; a shorter suspension is not seen. */
const ACT_MS = LEASE_MS - CLOCK_STEP_MS;
const LOOK_MS = 100;
/** A leader ends after this time without an accepted record, and starts again as a follower. */
export const MOST_SILENT_MS = 20_000;

/** The monotonic one may stand still while the machine is suspended. */
type LeaseClocks = Pick<NodeTime, "elapsed" | "now">;

const SYSTEM: LeaseClocks = { elapsed: () => Number(process.hrtime.bigint()) / 1e6, now: () => Date.now() };

/** When a record was sent. */
export interface SentAt {
  /** Monotonic, in ms. */
  readonly at: number;
  /** Wall clock minus monotonic clock then, in ms: both clocks are read before it is sent. */
  readonly offset: number;
}

export function sentNow(clocks: LeaseClocks = SYSTEM): SentAt {
  const at = clocks.elapsed();
  return { at, offset: clocks.now() - at };
}

/** A leader that loads its tables may block its loop for longer than one that serves. */
const MOST_LOADING_MS = 20_000;
/** An idle leader whose loop is blocked for this long appends no records: another node takes over. */
const MOST_BLOCKED_MS = 5000;

/** When the last accepted record was sent, and when the loop turned, in ns, in memory that threads share. */
export function newAccepted(clocks: LeaseClocks = SYSTEM): BigInt64Array {
  const accepted = new BigInt64Array(new SharedArrayBuffer(3 * BigInt64Array.BYTES_PER_ELEMENT));
  Atomics.store(accepted, 2, toNs(clocks.elapsed() + MOST_LOADING_MS - MOST_BLOCKED_MS));
  return accepted;
}

/** The loop of the leader turns. */
export function noteTurn(accepted: BigInt64Array, clocks: LeaseClocks = SYSTEM): void {
  const now = toNs(clocks.elapsed());
  if (now > Atomics.load(accepted, 2)) Atomics.store(accepted, 2, now);
}

export function isBlocked(accepted: BigInt64Array, clocks: LeaseClocks = SYSTEM): boolean {
  return clocks.elapsed() - toMs(Atomics.load(accepted, 2)) > MOST_BLOCKED_MS;
}

export function noteAccepted(accepted: BigInt64Array, { at, offset }: SentAt): void {
  // In this order: a reader never has an old offset with a new time.
  Atomics.store(accepted, 1, toNs(offset));
  Atomics.store(accepted, 0, toNs(at));
}

/** Time since the last accepted record was sent, by the monotonic clock. */
export function silentMsOf(accepted: BigInt64Array, clocks: LeaseClocks = SYSTEM): number {
  return clocks.elapsed() - toMs(Atomics.load(accepted, 0));
}

function toNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}

function toMs(ns: bigint): number {
  return Number(ns) / 1e6;
}

/** Whether a leader may act outside: call services, run handlers of jobs. */
export class Lease {
  readonly #accepted: BigInt64Array;
  readonly #clocks: LeaseClocks;

  /** @param accepted of {@link newAccepted} */
  constructor(accepted: BigInt64Array, clocks: LeaseClocks = SYSTEM) {
    this.#accepted = accepted;
    this.#clocks = clocks;
  }

  /** Since the last accepted record was sent. */
  get silentMs(): number {
    return silentMsOf(this.#accepted, this.#clocks);
  }

  get isOver(): boolean {
    const { silentMs } = this;
    const offset = this.#clocks.now() - this.#clocks.elapsed();
    return silentMs >= ACT_MS || Math.abs(offset - toMs(Atomics.load(this.#accepted, 1))) > CLOCK_STEP_MS;
  }

  /** Resolves when a record is accepted again; null: the lease is not over. */
  untilHeld(): Promise<void> | null {
    return this.isOver ? this.#wait() : null;
  }

  async #wait(): Promise<void> {
    while (this.isOver) await setTimeout(LOOK_MS);
  }
}
