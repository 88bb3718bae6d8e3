import { setImmediate } from "node:timers/promises";
import type { Work } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Awaitable, Reply } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { AlertInput, AlertOutcome } from "../../alerts/index.ts";
import type { AlertmanagerOwn } from "./context.ts";
import { type AlertmanagerAlert, inputOf, type Poster, readPostedAlerts } from "./post-alerts.ts";
import { empty, messageOf, refused } from "./replies.ts";
import type { Received, ReceivedAlerts } from "./status.ts";

/** Alerts of a body that are read before other requests may run. */
const SLICE = 200;

type Charge = (work: Work) => void;

/**
 * `POST /api/v2/alerts`: valid alerts are stored, whatever the others of the batch are. A few that are
 * repetitions are answered without a promise.
 */
export function acceptAlerts(
  own: AlertmanagerOwn,
  received: ReceivedAlerts,
  from: Poster,
  body: Buffer,
  exchange: Exchange,
): Awaitable<Reply<unknown>> {
  const posted = readPostedAlerts(body, exchange);
  if ("refusal" in posted) return posted.refusal;
  const { alerts } = posted;
  const batch = new Batch(own, from, (work) => exchange.work?.charge(exchange, work));
  const counts = received.of(from.projectId);
  const taken = alerts.length <= SLICE ? batch.take(alerts) : batch.takeSlices(alerts);
  return taken instanceof Promise ? taken.then(() => batch.answer(counts)) : batch.answer(counts);
}

/** The alerts of one request. */
class Batch {
  readonly #own: AlertmanagerOwn;
  readonly #from: Poster;
  readonly #charge: Charge;
  readonly #now: EpochMs;
  readonly #problems: string[] = [];
  readonly #counts = { firing: 0, resolved: 0 };
  #full: PrismError | null = null;

  constructor(own: AlertmanagerOwn, from: Poster, charge: Charge) {
    this.#own = own;
    this.#from = from;
    this.#charge = charge;
    this.#now = own.clock.now();
  }

  async takeSlices(alerts: readonly AlertmanagerAlert[]): Promise<void> {
    for (let at = 0; at < alerts.length; at += SLICE) {
      if (at > 0) await setImmediate();
      await this.take(alerts.slice(at, at + SLICE));
    }
  }

  take(alerts: readonly AlertmanagerAlert[]): Awaitable<void> {
    const inputs: AlertInput[] = [];
    for (const alert of alerts) {
      const input = this.#inputOf(alert);
      if (input === null) continue;
      inputs.push(input);
      this.#counts[input.endsAt != null && input.endsAt > this.#now ? "firing" : "resolved"]++;
    }
    if (inputs.length === 0) return undefined;
    const outcomes = this.#own.alerts.submitNow(inputs, { charge: this.#charge });
    return outcomes instanceof Promise ? outcomes.then((all) => this.#note(all)) : this.#note(outcomes);
  }

  #inputOf(alert: AlertmanagerAlert): AlertInput | null {
    try {
      return inputOf(alert, this.#from, this.#now);
    } catch (error) {
      if (!(error instanceof PrismError) || error.code !== "VALIDATION_FAILED") throw error;
      this.#problems.push(messageOf(error));
      return null;
    }
  }

  #note(outcomes: readonly AlertOutcome[]): void {
    for (const outcome of outcomes) {
      if (outcome.status !== "refused") continue;
      this.#problems.push(messageOf(outcome.error));
      if (outcome.error.code === "STORAGE_LIMIT_REACHED") this.#full = outcome.error;
    }
  }

  /** @throws STORAGE_LIMIT_REACHED: a sender repeats after 5xx only. */
  answer(counts: Received): Reply<unknown> {
    counts.invalid += this.#problems.length;
    counts.firing += this.#counts.firing;
    counts.resolved += this.#counts.resolved;
    if (this.#full !== null) throw this.#full;
    return this.#problems.length === 0 ? empty() : refused(400, this.#problems.join("\n"));
  }
}
