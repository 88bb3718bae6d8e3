import { type Clock, DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { TroubleFacts } from "./gate.ts";
import type { PageSender } from "./sender.ts";
import { namesOfWays } from "./way-names.ts";

/** A target that accepts no pages, for operators. */
export interface FailingWay extends Omit<TroubleFacts, "provider" | "sinceMs"> {
  /** Such as "channel Pager", "webhook hooks.example.com" or "mail of ann". */
  readonly name: string;
  readonly since: EpochMs;
  /** It belongs to projects that the reader does not see, or to another user in them: no name, no error. */
  readonly isHidden: boolean;
}

/** Who reads failing ways. */
export interface WayReader {
  readonly userId: string | null;
  /** The projects that the reader sees; null: all. */
  readonly projectIds: readonly string[] | null;
}

const LISTED = 100;

/**
 * Targets that fail now, the longest first: those whose attempts fail, and those that refused the
 * last page, within a day. What the reader may not see is there to be counted.
 */
export async function failingWays(
  pages: PageSender,
  db: ReadDb,
  clock: Pick<Clock, "now">,
  reader: WayReader,
): Promise<FailingWay[]> {
  const now = clock.now();
  const found = new Map(
    pages.troubles.map(({ sinceMs, ...trouble }) => [trouble.target, { ...trouble, since: now - sinceMs }]),
  );
  const stored = await db
    .selectFrom("failed_ways")
    .select(["target", "projectId", "provider", "kind", "error", "since", "failedAt"])
    .orderBy("since")
    .limit(LISTED * 2)
    .execute();
  for (const { failedAt, projectId: _, ...way } of stored) {
    const waiting = pages.waitingFor(way.target);
    const { since = way.since } = found.get(way.target) ?? {};
    if (waiting > 0 || failedAt > now - DAY_MS)
      found.set(way.target, { ...way, since: Math.min(since, way.since), waiting, isFailed: true });
  }
  const oldest = [...found.values()].sort((a, b) => a.since - b.since).slice(0, LISTED * 2);
  const names = await namesOfWays(db, oldest);
  // Nothing is sent to a channel that is deleted: there is nothing to mend.
  const ways = oldest.filter(({ target }) => names.get(target)?.isGone !== true).slice(0, LISTED);
  const isSeen = await sightOf(db, reader, ways, stored);
  return ways.map(({ target, kind, since, waiting, error, isFailed }) => {
    const { name = target, userId = null } = names.get(target) ?? {};
    const isHidden = !isSeen(target) && (userId === null || userId !== reader.userId);
    const shown = isHidden ? { name: "way of another project", error: "not shown" } : { name, error };
    return { target, kind, since: Math.floor(since), waiting, isFailed, isHidden, ...shown };
  });
}

interface Used {
  readonly target: string;
  readonly projectId: string;
}

/** Whether a target is of a project that the reader sees: it failed there, or pages from there wait for it. */
async function sightOf(
  db: ReadDb,
  { projectIds }: WayReader,
  ways: readonly Pick<Used, "target">[],
  failed: readonly Used[],
): Promise<(target: string) => boolean> {
  if (projectIds === null) return () => true;
  if (ways.length === 0) return () => false;
  const targets = ways.map(({ target }) => target);
  const waiting = await db
    .selectFrom("pages")
    .select(["target", "projectId"])
    .distinct()
    .where("target", "in", targets)
    .where("endedAt", "is", null)
    .execute();
  const readable = new Set(projectIds);
  const seen = new Set([...failed, ...waiting].flatMap((each) => (readable.has(each.projectId) ? each.target : [])));
  return (target) => seen.has(target);
}
