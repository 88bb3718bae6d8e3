import { sql } from "kysely";
import type { ReadDb } from "../../store/database.ts";
import type { DecisionOutcome, EventsTable } from "../../store/schema.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";

/** Limit of rules, recipients and events shown in one explanation; the rest is counted. */
export const LISTED = 100;
/** Limit of counted matches of a window. */
const COUNTED = 100_000;

export function findEvent(db: ReadDb, id: string): Promise<EventsTable | undefined> {
  return db.selectFrom("events").selectAll().where("id", "=", id).executeTakeFirst();
}

export function openFailure(db: ReadDb, eventSeq: number) {
  return db
    .selectFrom("event_failures")
    .select(["attempts", "lastError", "jobId"])
    .where("eventSeq", "=", eventSeq)
    .where("resolvedAt", "is", null)
    .executeTakeFirst();
}

export function findNotification(db: ReadDb, id: string) {
  return db.selectFrom("notifications").selectAll().where("id", "=", id).executeTakeFirst();
}

export type Notification = NonNullable<Awaited<ReturnType<typeof findNotification>>>;

export function findNotifications(db: ReadDb, ids: readonly string[]): Promise<Notification[]> {
  return db.selectFrom("notifications").selectAll().where("id", "in", ids).orderBy("id").execute();
}

/** The decisions on an event, with each rule's version then. @param ruleId null: of all rules */
export function decisionsOf(db: ReadDb, eventSeq: number, ruleId: string | null) {
  let query = db
    .selectFrom("decisions as d")
    .leftJoin("rules as r", "r.id", "d.ruleId")
    .leftJoin("rule_versions as v", (on) =>
      on.onRef("v.ruleId", "=", "d.ruleId").onRef("v.version", "=", "d.ruleVersion"),
    )
    .leftJoin("receivers as c", "c.id", "d.ruleId")
    .select([
      "c.name as receiverName",
      "d.ruleId",
      "d.ruleVersion as version",
      "d.outcome",
      "d.notificationId",
      "d.at",
      "d.key",
      "r.name",
      "v.definition",
      "v.createdAt as since",
    ])
    .where("d.eventSeq", "=", eventSeq);
  if (ruleId !== null) query = query.where("d.ruleId", "=", ruleId);
  return query.orderBy("r.priority", "desc").orderBy("d.ruleId").limit(LISTED).execute();
}

export type DecidedRule = Awaited<ReturnType<typeof decisionsOf>>[number];

export async function outcomesOf(db: ReadDb, eventSeq: number): Promise<Partial<Record<DecisionOutcome, number>>> {
  const rows = await db
    .selectFrom("decisions")
    .select(["outcome", (e) => e.fn.countAll<number>().as("n")])
    .where("eventSeq", "=", eventSeq)
    .groupBy("outcome")
    .execute();
  return Object.fromEntries(rows.map(({ outcome, n }) => [outcome, n]));
}

/**
 * Rules that could have matched an event and left no decision: of its project or for every project,
 * not deleted before it.
 */
function silent(db: ReadDb, { seq, projectId }: Pick<EventsTable, "seq" | "projectId">, at: number) {
  return db
    .selectFrom("rules")
    .where((e) => e.or([e("rules.projectId", "=", projectId), e("rules.projectId", "is", null)]))
    .where((e) => e.or([e("rules.deletedAt", "is", null), e("rules.deletedAt", ">", at)]))
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom("decisions as d")
            .select("d.ruleId")
            .where("d.eventSeq", "=", seq)
            .whereRef("d.ruleId", "=", "rules.id"),
        ),
      ),
    );
}

/** {@link silent} rules as of a time, in rule order; rules created later have no version. */
export function silentRules(db: ReadDb, event: Pick<EventsTable, "seq" | "projectId">, at: number, limit: number) {
  return silent(db, event, at)
    .leftJoin("rule_versions as v", (on) =>
      on
        .onRef("v.ruleId", "=", "rules.id")
        .on(
          "v.version",
          "=",
          sql<number>`(select max(w.version) from rule_versions w where w.ruleId = rules.id and w.createdAt <= ${at})`,
        ),
    )
    .select([
      "rules.id as ruleId",
      "rules.name",
      "rules.createdAt",
      "v.version",
      "v.definition",
      "v.createdAt as since",
    ])
    .orderBy("rules.priority", "desc")
    .orderBy("rules.createdAt")
    .orderBy("rules.id")
    .limit(limit)
    .execute();
}

export type SilentRule = Awaited<ReturnType<typeof silentRules>>[number];

export function countSilent(db: ReadDb, event: Pick<EventsTable, "seq" | "projectId">, at: number): Promise<number> {
  return countOf(silent(db, event, at));
}

/** The last decision before an event that opened or resolved an alert of the rule and key. */
export function lastAlertChange(db: ReadDb, ruleId: string, key: string | null, before: number) {
  return db
    .selectFrom("decisions")
    .select(["outcome", "at"])
    .where("ruleId", "=", ruleId)
    .where("key", "=", key)
    .where("eventSeq", "<", before)
    .where("outcome", "in", ["alert-opened", "alert-resolved"])
    .orderBy("eventSeq", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** Counted matches of the rule and key in the window that ends with an event, and the event itself. */
export async function countedBefore(
  db: ReadDb,
  ruleId: string,
  key: string | null,
  { seq, receivedAt }: Pick<EventsTable, "seq" | "receivedAt">,
  windowMs: number,
): Promise<number> {
  const rows = await db
    .selectFrom("decisions as d")
    .innerJoin("events as e", "e.seq", "d.eventSeq")
    .select(["d.outcome", "e.receivedAt"])
    .where("d.ruleId", "=", ruleId)
    .where("d.key", "=", key)
    .where("d.eventSeq", "<=", seq)
    .orderBy("d.eventSeq", "desc")
    .limit(MAX_COUNTED)
    .execute();
  const passed = rows.findIndex(({ outcome }) => outcome !== "counted");
  const counted = passed === -1 ? rows : rows.slice(0, passed);
  return counted.filter((row) => Math.abs(receivedAt - row.receivedAt) < windowMs).length;
}

/** The largest threshold. */
const MAX_COUNTED = 1000;

/** The storm that held an event back or includes it. */
export function stormAround(db: ReadDb, ruleId: string, key: string, seq: number) {
  return storms(db)
    .where("ruleId", "=", ruleId)
    .where("key", "=", key)
    .where("firstSeq", "<=", seq)
    .where("lastSeq", ">=", seq)
    .executeTakeFirst();
}

/** The storm of a rolling notice. */
export function stormOfNotice(db: ReadDb, noticeId: string) {
  return storms(db).where("noticeId", "=", noticeId).executeTakeFirst();
}

/** The storm that started with an event; a summary names it. */
export function stormFrom(db: ReadDb, ruleId: string, firstSeq: number) {
  return storms(db).where("ruleId", "=", ruleId).where("firstSeq", "=", firstSeq).executeTakeFirst();
}

function storms(db: ReadDb) {
  return db
    .selectFrom("suppressed_batches")
    .select(["id", "ruleId", "key", "count", "firstSeq", "lastSeq", "startedAt", "lastAt", "closedAt", "noticeId"]);
}

export type Storm = NonNullable<Awaited<ReturnType<typeof stormAround>>>;

/** Matches of a rule before an event, including it; for rules whose window has no key. */
export function matchesBefore(
  db: ReadDb,
  ruleId: string,
  event: Pick<EventsTable, "seq" | "receivedAt">,
  windowMs: number,
): Promise<number> {
  const matches = db
    .selectFrom("decisions as d")
    .innerJoin("events as e", "e.seq", "d.eventSeq")
    .select("d.eventSeq")
    .where("d.ruleId", "=", ruleId)
    .where("d.eventSeq", "<=", event.seq)
    .where("d.outcome", "!=", "no recipients")
    .where("e.receivedAt", ">", event.receivedAt - windowMs)
    .limit(COUNTED);
  return countOf(db.selectFrom(matches.as("m")));
}

/** The last firing of the rule, or of its dedupe key. */
export function lastFiring(db: ReadDb, ruleId: string, dedupeKey: string | null, before: number) {
  let query = db
    .selectFrom("notifications")
    .select(["id", "createdAt", "title", "aggregateCount"])
    .where("ruleId", "=", ruleId)
    .where("kind", "=", "rule")
    .where("createdAt", "<=", before);
  if (dedupeKey !== null) query = query.where("dedupeKey", "=", dedupeKey);
  return query.orderBy("createdAt", "desc").limit(1).executeTakeFirst();
}

export async function recipientCounts(db: ReadDb, notificationId: string) {
  const row = await db
    .selectFrom("notification_recipients")
    .select((e) => [
      e.fn.countAll<number>().as("recipients"),
      sql<number>`coalesce(sum(delivered), 0)`.as("delivered"),
      e.fn.count<number>("readAt").as("read"),
      e.fn.count<number>("acknowledgedAt").as("acknowledged"),
    ])
    .where("notificationId", "=", notificationId)
    .executeTakeFirst();
  return row ?? { recipients: 0, delivered: 0, read: 0, acknowledged: 0 };
}

/** The first recipients of a notification, by offset. @param userId one user; null: all */
export function recipientsOf(db: ReadDb, notificationId: string, userId: string | null, limit: number) {
  let query = db
    .selectFrom("notification_recipients as r")
    .leftJoin("users as u", "u.id", "r.userId")
    .selectAll("r")
    .select(["u.name", "u.username", "u.email"])
    .where("r.notificationId", "=", notificationId);
  if (userId !== null) query = query.where("r.userId", "=", userId);
  return query.orderBy("r.seq").limit(limit).execute();
}

export type Recipient = Awaited<ReturnType<typeof recipientsOf>>[number];

/** Number of a notification's deliveries by state and reason. */
export function channelCounts(db: ReadDb, notificationId: string, userId: string | null) {
  let query = db
    .selectFrom("deliveries")
    .select(["channel", "state", "reason", (e) => e.fn.countAll<number>().as("count")])
    .where("notificationId", "=", notificationId);
  if (userId !== null) query = query.where("userId", "=", userId);
  return query.groupBy(["channel", "state", "reason"]).orderBy("channel").orderBy("state").execute();
}

export function deliveriesTo(db: ReadDb, notificationId: string, userIds: readonly string[]) {
  return db
    .selectFrom("deliveries")
    .selectAll()
    .where("notificationId", "=", notificationId)
    .where("userId", "in", userIds)
    .orderBy("createdAt")
    .orderBy("id")
    .limit(LISTED * 5)
    .execute();
}

export type Delivery = Awaited<ReturnType<typeof deliveriesTo>>[number];

/** Failed attempts of jobs; a successful one leaves no row. */
export function attemptsOfJobs(db: ReadDb, jobIds: readonly string[]) {
  return db
    .selectFrom("job_attempts")
    .selectAll()
    .where("jobId", "in", jobIds)
    .orderBy("jobId")
    .orderBy("attempt")
    .limit(LISTED * 10)
    .execute();
}

export type LoggedAttempt = Awaited<ReturnType<typeof attemptsOfJobs>>[number];

/** Whether the job that writes a notification's recipients is unfinished. */
export async function isAddressing(db: ReadDb, notificationId: string): Promise<boolean> {
  const row = await db
    .selectFrom("jobs")
    .select("id")
    .where("queue", "=", "notification-delivery")
    .where("dedupeKey", "=", `recipients:${notificationId}`)
    .where("finishedAt", "is", null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export function findPerson(db: ReadDb, userId: string) {
  return db
    .selectFrom("users")
    .select(["id", "name", "username", "email", "status", "deletedAt", "updatedAt"])
    .where("id", "=", userId)
    .executeTakeFirst();
}

export type Person = NonNullable<Awaited<ReturnType<typeof findPerson>>>;

export function rolesOf(db: ReadDb, userId: string) {
  return db
    .selectFrom("user_roles as h")
    .innerJoin("roles as r", "r.id", "h.roleId")
    .select(["r.id", "r.name", "h.createdAt as since"])
    .where("h.userId", "=", userId)
    .execute();
}

export function membershipOf(db: ReadDb, userId: string, projectId: string) {
  return db
    .selectFrom("project_members")
    .select("createdAt as since")
    .where("userId", "=", userId)
    .where("projectId", "=", projectId)
    .executeTakeFirst();
}

export function devicesOf(db: ReadDb, userId: string) {
  return db
    .selectFrom("push_devices")
    .select(["kind", "disabledAt", "createdAt"])
    .where("userId", "=", userId)
    .limit(LISTED)
    .execute();
}

/** Whether users have an address, an active device or webhook, or a login, for channels. */
export function reachOf(db: ReadDb, userIds: readonly string[]) {
  return db
    .selectFrom("users as u")
    .select((e) => [
      "u.id",
      "u.email",
      "u.lastLoginAt",
      e
        .exists(
          e
            .selectFrom("push_devices as d")
            .select("d.id")
            .whereRef("d.userId", "=", "u.id")
            .where("d.disabledAt", "is", null),
        )
        .as("hasDevice"),
      e
        .exists(
          e.selectFrom("webhooks as w").select("w.id").whereRef("w.userId", "=", "u.id").where("w.active", "=", 1),
        )
        .as("hasWebhook"),
      e
        .exists(
          e.selectFrom("channels as c").select("c.id").whereRef("c.userId", "=", "u.id").where("c.active", "=", 1),
        )
        .as("hasChannel"),
    ])
    .where("u.id", "in", userIds)
    .execute();
}
