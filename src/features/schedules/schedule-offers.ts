import { PrismError } from "../../core/errors.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import type { Trx } from "../../store/database.ts";
import { parseQueueName, type QueueName } from "../jobs/index.ts";

/** Checks what the jobs of a schedule are to be given. @returns what is stored of it. */
export type SettlePayload = (payload: unknown, creator: UserPrincipal, trx: Trx) => Promise<unknown>;

/** Kinds of jobs that are not the program's own business: who may manage jobs may have them made. */
export class ScheduleOffers {
  readonly #offers = new Map<string, SettlePayload>();

  /** @returns a function that takes the offer back. */
  add(queue: QueueName, kind: string, settle: SettlePayload = async (payload) => payload): () => void {
    const key = `${queue} ${kind}`;
    this.#offers.set(key, settle);
    return () => {
      if (this.#offers.get(key) === settle) this.#offers.delete(key);
    };
  }

  /** @throws VALIDATION_FAILED for a kind that has no handler, or whose jobs nobody but the program makes. */
  require(queueName: string, kind: string): { readonly queue: QueueName; readonly settle: SettlePayload } {
    const queue = parseQueueName(queueName);
    const settle = queue && this.#offers.get(`${queue} ${kind}`);
    if (queue && settle) return { queue, settle };
    const known = [...this.#offers.keys()].sort().map((key) => {
      const [inQueue, ofKind] = key.split(" ");
      return `${ofKind} in ${inQueue}`;
    });
    throw new PrismError("VALIDATION_FAILED", "Nobody here runs such jobs", {
      details: [{ path: "kind", code: "VALUE", message: `must be one of: ${known.join(", ")}`, known }],
    });
  }
}
