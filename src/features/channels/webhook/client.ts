import { PrismError } from "../../../core/errors.ts";
import { wordsOfPage } from "../../../core/text/plain-text.ts";
import type { Clock } from "../../../core/time/clock.ts";
import {
  type Accepted,
  type ChannelCalls,
  RefusedNow,
  readRetryAfter,
  TargetGone,
  Throttled,
} from "../../delivery/channel.ts";
import { PermanentError, RetryLater } from "../../time/jobs/index.ts";
import type { SafeAnswer } from "./kept-connections.ts";
import { post, type SignedCall } from "./message.ts";
import type { SafeFetch } from "./safe-fetch.ts";

/** Request Timeout and Too Early: the same request may be taken a little later. */
const PASSING: ReadonlySet<number> = new Set([408, 425]);

/** Posts signed requests to webhooks, to addresses checked by the `webhooks.*` settings. */
export class WebhookClient implements ChannelCalls<SignedCall> {
  readonly isConfigured = true;
  readonly #fetch: SafeFetch;
  readonly #clock: Clock;

  constructor(fetch: SafeFetch, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  async call(message: SignedCall, signal: AbortSignal): Promise<Accepted> {
    const answer = await post(this.#fetch, message, signal).catch((error: unknown) => {
      throw asOutcome(error);
    });
    this.#requireTaken(answer);
    return {};
  }

  /** @throws the error for a status other than 2xx, and for a page, as of a proxy, in its place */
  #requireTaken({ status, headers, body }: SafeAnswer): void {
    if (status >= 200 && status < 300) {
      const page = wordsOfPage(headers["content-type"] ?? "", body.toString("utf8"));
      if (page !== null) throw new Error(`the webhook answered ${status} with a page: ${page}`);
      return;
    }
    const says = `the webhook answered ${status}`;
    if (status === 410) throw new TargetGone(says);
    const waitMs = readRetryAfter(headers["retry-after"], this.#clock.now());
    if (waitMs !== undefined && (status === 429 || status === 503)) throw new Throttled(says, waitMs);
    if (status === 429) throw new RetryLater(says, 0);
    if (status >= 300 && status < 400) throw new RefusedNow(`${says}; redirects are not followed`);
    throw status < 500 && !PASSING.has(status) ? new RefusedNow(says) : new Error(says);
  }
}

/** A refused URL stays refused. */
export function asOutcome(error: unknown): unknown {
  return error instanceof PrismError ? new PermanentError(error.message, { cause: error }) : error;
}
