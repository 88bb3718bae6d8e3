import { sql } from "kysely";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb } from "../../../store/database.ts";
import { firstSeqSince, IS_OF_PRODUCER } from "../../events/index.ts";

export type EventCount = {
  readonly type: string;
  readonly level: string;
  readonly events: number;
};

export type RuleCount = {
  readonly name: string;
  readonly matched: number;
  readonly fired: number;
};

const TOP_RULES = 5;

/** A project's activity since an instant. It may read all events of that time. */
export async function activitySince(
  scan: ReadDb,
  projectId: string,
  since: EpochMs,
): Promise<{ events: EventCount[]; rules: RuleCount[] }> {
  const from = await firstSeqSince(scan, since);
  const events = await scan
    .selectFrom("events")
    .select(["type", "level", (e) => e.fn.countAll<number>().as("events")])
    .where("projectId", "=", projectId)
    .where("seq", ">=", from)
    .where(IS_OF_PRODUCER)
    .groupBy(["type", "level"])
    .orderBy("events", "desc")
    .execute();
  const rules = await scan
    .selectFrom("decisions as d")
    .innerJoin("events as e", "e.seq", "d.eventSeq")
    .innerJoin("rules as r", "r.id", "d.ruleId")
    .select(["r.name", (e) => e.fn.countAll<number>().as("matched")])
    .select(sql<number>`sum(d.outcome = 'fired')`.as("fired"))
    .where("d.eventSeq", ">=", from)
    .where("e.projectId", "=", projectId)
    .groupBy("r.id")
    .orderBy("fired", "desc")
    .orderBy("matched", "desc")
    .orderBy("r.name")
    .limit(TOP_RULES)
    .execute();
  return { events, rules };
}

/** The users with unread notifications. Digests do not count: one would cause the next. */
export async function withUnread(scan: ReadDb, userIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await scan
    .selectFrom("notification_recipients as r")
    .innerJoin("notifications as n", "n.id", "r.notificationId")
    .select("r.userId")
    .distinct()
    .where("r.userId", "in", userIds)
    .where("r.readAt", "is", null)
    .where("r.deletedAt", "is", null)
    .where("n.kind", "<>", "digest")
    .execute();
  return new Set(rows.map(({ userId }) => userId));
}

export function liveProjects(db: ReadDb) {
  return db.selectFrom("projects").select(["id", "name", "settings"]).where("deletedAt", "is", null).execute();
}
