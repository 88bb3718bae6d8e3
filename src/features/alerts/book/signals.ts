import { AsyncResource } from "node:async_hooks";
import { setTimeout } from "node:timers/promises";
import { PrismError } from "../../../core/errors.ts";
import type { Clock, EpochMs } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import type { AlertInput } from "../types.ts";
import { deleteSignals, firstSignals, type SignalRow } from "./alert-book.ts";
import { type CheckedInput, checkInput } from "./normalise.ts";

const MAX_SIGNALS = 200;
const RETRY_MS = 1000;

interface SignalParts extends Uses<"db" | "log"> {
  readonly wall: Clock;
  take(trx: Trx, inputs: readonly CheckedInput[]): Promise<unknown>;
}

/**
 * Applies what rules have decided about alerts: rows that are committed with the event. They are
 * applied in the order of the events, and deleted in the same transaction.
 */
export class SignalReader {
  readonly #parts: SignalParts;
  #reading: Promise<void> | null = null;
  /** A commit that adds signals may call {@link read} from inside its transaction. */
  readonly #readOutside = AsyncResource.bind(() => this.#readAll());
  #isWanted = false;
  #isStopped = false;

  constructor(parts: SignalParts) {
    this.#parts = parts;
  }

  /** Rows may have been added. Resolves when those that are there now have been taken. */
  async read(): Promise<void> {
    this.#isWanted = true;
    if (this.#isStopped) return;
    this.#reading ??= this.#readOutside().finally(() => {
      this.#reading = null;
    });
    await this.#reading;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    let limit = MAX_SIGNALS;
    while (this.#isWanted && !this.#isStopped) {
      this.#isWanted = false;
      try {
        const count = await this.#parts.db.write((trx) => this.#apply(trx, limit));
        if (count === limit) this.#isWanted = true;
        limit = MAX_SIGNALS;
      } catch (error) {
        this.#isWanted = true;
        if (error instanceof PrismError) await this.#pause(error);
        else if (limit > 1) limit = 1;
        else await this.#discard(error);
      }
    }
  }

  /** @returns the number of signals that were read */
  async #apply(trx: Trx, limit: number): Promise<number> {
    const signals = await firstSignals(trx, limit);
    if (signals.length === 0) return 0;
    const inputs = signals.flatMap((signal) => this.#check(signal));
    await deleteSignals(trx, signals);
    await this.#parts.take(trx, inputs);
    return signals.length;
  }

  #check(signal: SignalRow): CheckedInput[] {
    const { eventSeq, ruleId, at } = signal;
    const now = this.#parts.wall.now();
    try {
      const input: AlertInput = { ...JSON.parse(signal.input), projectId: signal.projectId };
      if (signal.action === "fire") return [checkInput(firing(input, at, now), now)];
      return [checkInput({ ...input, endsAt: at, resolvesAtOnce: true }, Math.max(at, now))];
    } catch (error) {
      this.#parts.log.warn({ err: error, eventSeq, ruleId }, "skipped an invalid alert of a rule");
      return [];
    }
  }

  async #pause(error: unknown): Promise<void> {
    if (this.#isStopped) return;
    this.#parts.log.warn({ err: error }, "cannot store alerts of rules; retrying");
    await setTimeout(RETRY_MS, undefined, { ref: false });
  }

  /** A defect: the signals after it must not wait for ever. */
  async #discard(cause: unknown): Promise<void> {
    await this.#parts.db
      .write(async (trx) => {
        const signals = await firstSignals(trx, 1);
        await deleteSignals(trx, signals);
        this.#parts.log.error(
          { err: cause, signal: signals[0] },
          "storing the alert of a rule failed; alert discarded",
        );
      })
      .catch((error: unknown) => this.#pause(error));
  }
}

/** It fires even if its time-out has passed meanwhile, as while the server was down. */
function firing(input: AlertInput, at: EpochMs, now: EpochMs): AlertInput {
  const { startsAt = at, endsAt = null } = input;
  return { ...input, startsAt, endsAt: endsAt !== null && endsAt <= now ? now + Math.max(1, endsAt - at) : endsAt };
}
