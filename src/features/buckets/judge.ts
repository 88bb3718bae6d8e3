import type { EpochMs } from "../../core/clock.ts";
import { moneyOf } from "../../core/money.ts";
import type { BucketRow } from "./queries.ts";

export type BucketEvent = "bucket.below_threshold" | "bucket.recovered";

/** What a bucket is at some instant, and what is to be told of it. */
export interface Verdict {
  readonly state: BucketRow["state"];
  readonly lastAlertAt: EpochMs | null;
  readonly event: BucketEvent | null;
}

/** Below its threshold: told when it goes there, and again each `renotifyMs`. Back at it or above: told once (contract 8.3). */
export function judge(bucket: BucketRow, now: EpochMs): Verdict {
  const { state, lastAlertAt, renotifyMs } = bucket;
  if (moneyOf(bucket.currentBalance) >= moneyOf(bucket.threshold))
    return { state: "ok", lastAlertAt: null, event: state === "below" ? "bucket.recovered" : null };
  // Also where the clock was set back in between.
  const isTold = state === "below" && lastAlertAt !== null && Math.abs(now - lastAlertAt) < renotifyMs;
  return isTold
    ? { state: "below", lastAlertAt, event: null }
    : { state: "below", lastAlertAt: now, event: "bucket.below_threshold" };
}
