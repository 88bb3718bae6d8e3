import { type Clock, DAY_MS, type EpochMs } from "../../../core/clock.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { PageKindName } from "./page.ts";
import type { PageSender } from "./sender.ts";
import { namesOfWays } from "./way-names.ts";

/** A target that accepts no pages, for operators. */
export interface FailingWay {
  readonly target: string;
  /** Such as "channel Pager", "webhook hooks.example.com" or "mail of ann". */
  readonly name: string;
  readonly kind: PageKindName;
  readonly since: EpochMs;
  /** Pages that wait for it. */
  readonly waiting: number;
  readonly error: string;
  /** It counts as failed; otherwise it is tried for a short time. */
  readonly isFailed: boolean;
}

const LISTED = 100;

/**
 * Targets that fail now, the longest first: those whose attempts fail, and those that refused the
 * last page, within a day.
 */
export async function failingWays(pages: PageSender, db: ReadDb, clock: Pick<Clock, "now">): Promise<FailingWay[]> {
  const now = clock.now();
  const found = new Map(
    pages.troubles.map(({ sinceMs, ...trouble }) => [trouble.target, { ...trouble, since: now - sinceMs }]),
  );
  const stored = await db
    .selectFrom("failed_ways")
    .select(["target", "provider", "kind", "error", "since", "failedAt"])
    .orderBy("since")
    .limit(LISTED * 2)
    .execute();
  for (const { failedAt, ...way } of stored) {
    const waiting = pages.waitingFor(way.target);
    const { since = way.since } = found.get(way.target) ?? {};
    if (waiting > 0 || failedAt > now - DAY_MS)
      found.set(way.target, { ...way, since: Math.min(since, way.since), waiting, isFailed: true });
  }
  const ways = [...found.values()].sort((a, b) => a.since - b.since).slice(0, LISTED);
  const names = await namesOfWays(db, ways);
  return ways.map(({ target, kind, since, waiting, error, isFailed }) => {
    const { name = target } = names.get(target) ?? {};
    return { target, name, kind, since: Math.floor(since), waiting, error, isFailed };
  });
}
