import { MINUTE_MS } from "../../../core/time/clock.ts";
import type { PageFailure } from "./failures.ts";
import { putOff, type Waiting } from "./page-queue.ts";

/* Pages that ring or cost, such as calls and SMS: one whose answer was lost may have arrived. */

/** From start to start, the last one repeats: 3 repetitions in any 15 minutes. */
const PAUSES_MS = [30_000, 6 * MINUTE_MS] as const;

/** @param lost answers of the message so far */
function pauseMs(lost: number): number {
  return PAUSES_MS[lost - 1] ?? 6 * MINUTE_MS;
}

/** An attempt has failed. @param startedAt elapsed ms */
export function noteLost(page: Waiting, failure: PageFailure, startedAt: number): void {
  if (page.facts.rings === 0) return;
  if (failure.is === "network" && failure.isLost) putOff(page, failure.text, startedAt + pauseMs(page.lost));
  else page.lost -= 1;
}

/**
 * After a restart: its process may have ended before the answer. @param lostAt start of that
 * attempt, elapsed ms
 */
export function resumeLost(page: Waiting, lostAt: number): void {
  if (page.lost === 0) return;
  const until = Math.max(page.notBefore, lostAt + pauseMs(page.lost));
  putOff(page, "the server stopped before the answer to the message", until);
}
