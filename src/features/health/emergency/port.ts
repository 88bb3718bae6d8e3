import type { LastResortCode } from "../../../core/finding.ts";
import type { EpochMs } from "../../../core/time/clock.ts";

export type EmergencyReason = LastResortCode;

/** Text of an emergency call. No secrets and no alert content: Prism does not control where it goes. */
export interface EmergencyNews {
  /** One or two sentences: what happened, with numbers and names. */
  readonly text: string;
  /** Since when. Default: the time of the first `raise`. */
  readonly since?: EpochMs;
  /** Further lines, such as the number and link of the oldest incident. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** The last resort `emergency`: without its settings both methods do nothing. */
export interface EmergencyPort {
  /** Whether a way is configured. Reasons that cost something to find are looked for only then. */
  readonly isConfigured: boolean;
  /**
   * Reports that a reason is present: it is called now, or 15 minutes after the last call for it,
   * and again every 15 minutes until {@link clear}. Raising it again replaces what the next call
   * says. `server-was-down` is an event: it ends with its first accepted call.
   */
  raise(reason: EmergencyReason, news: EmergencyNews): void;
  /** The reason is gone: nothing more is called or retried for it. */
  clear(reason: EmergencyReason): void;
}
