import type { PageKindName } from "./page.ts";

/** Pauses between the starts of probes: doubling from the first to the longest. */
const FIRST_PAUSE_MS = 1000;
/** A waiting page leaves at most this long after its target has recovered. */
export const LONGEST_PAUSE_MS = { high: 28_000, low: 58_000 } as const;
/** Without an acceptance for this time the pages that wait count as failed. */
export const FAILED_AFTER_MS = { high: 45_000, low: 300_000 } as const;

type Urgency = keyof typeof LONGEST_PAUSE_MS;

/** Pause from the start of an attempt to the next one. @param tries that have failed, 1 or more */
export function probePauseMs(tries: number, urgency: Urgency): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries - 1, 10), LONGEST_PAUSE_MS[urgency]);
}

/** Failures since the last acceptance. Times are elapsed milliseconds. */
interface Trouble {
  readonly since: number;
  tries: number;
  /** Start of the last attempt. */
  startedAt: number;
  error: string;
  /** The last attempt ended without an answer: it held a socket for the whole time. */
  timedOut: boolean;
}

/**
 * Lets pages through to a target or provider. `open`: all pass. In trouble: one probe passes after
 * each pause, all others wait behind it. A service that names a time closes it until then.
 */
export class Gate {
  trouble: Trouble | null = null;
  /** A page is on its way through a gate in trouble. */
  isProbing = false;
  /** The service named this time. */
  pausedUntil = 0;
  /** It counts as failed from then on until the next acceptance: a page that comes waits for no time. */
  isFailed = false;
  /** It has answered since the start of the process. */
  isProven = false;

  /** Whether a page may pass now. */
  isOpen(now: number, urgency: Urgency): boolean {
    if (this.pausedUntil > now) return false;
    if (!this.trouble) return true;
    return !this.isProbing && this.#probeAt(urgency) <= now;
  }

  /** When the next page may pass, if it is closed. */
  opensAt(urgency: Urgency): number {
    const probeAt = this.trouble && !this.isProbing ? this.#probeAt(urgency) : 0;
    return Math.max(this.pausedUntil, probeAt);
  }

  /** When pages that wait since this instant count as failed; infinity while all is well. */
  failsAt(urgency: Urgency, waitsSince: number): number {
    if (this.isFailed) return waitsSince;
    if (!this.trouble) return Number.POSITIVE_INFINITY;
    return Math.max(this.trouble.since, waitsSince) + FAILED_AFTER_MS[urgency];
  }

  accepted(): void {
    this.trouble = null;
    this.isFailed = false;
    this.isProven = true;
  }

  /** @param startedAt of the attempt: pauses count from start to start */
  failed(startedAt: number, error: string, timedOut: boolean): void {
    const { trouble } = this;
    if (!trouble) {
      this.trouble = { since: startedAt, tries: 1, startedAt, error, timedOut };
      return;
    }
    // Attempts that ran at the same time count once.
    if (startedAt >= trouble.startedAt + FIRST_PAUSE_MS) trouble.tries += 1;
    trouble.startedAt = Math.max(trouble.startedAt, startedAt);
    trouble.error = error;
    trouble.timedOut = timedOut;
  }

  /** The service asks for no message before this time. */
  pause(until: number): void {
    this.isProven = true;
    this.pausedUntil = Math.max(this.pausedUntil, until);
  }

  /** An operator, or a change of settings, asks for an attempt now. */
  retryNow(): void {
    this.pausedUntil = 0;
    if (this.trouble) this.trouble.startedAt = Number.NEGATIVE_INFINITY;
  }

  #probeAt(urgency: Urgency): number {
    const { tries, startedAt } = this.trouble ?? { tries: 1, startedAt: 0 };
    return startedAt + probePauseMs(tries, urgency);
  }
}

/** A provider or target in trouble, for operators. */
export interface TroubleFacts {
  readonly target: string;
  readonly provider: string;
  readonly kind: PageKindName;
  /** Pages that wait for it. */
  readonly waiting: number;
  /** For how long nothing was accepted. */
  readonly sinceMs: number;
  readonly error: string;
  /** It counts as failed; otherwise it is tried for a short time. */
  readonly isFailed: boolean;
}
