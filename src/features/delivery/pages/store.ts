import type { Database as Sqlite } from "better-sqlite3";
import type { Updateable } from "kysely";
import type { EpochMs } from "../../../core/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { OpenPageFacts } from "../../../store/effect.ts";
import type { PagesTable } from "../../../store/schema/alerts.ts";
import type { NewPage, PageRow } from "./page.ts";

/* Rows of pages; the only writer of the table besides retention. */

const FACTS = [
  ...([
    "id",
    "incidentId",
    "projectId",
    "kind",
    "target",
    "provider",
    "owner",
    "channel",
    "urgency",
    "severity",
  ] as const),
  ...(["isEnd", "attempts", "firstAttemptAt", "failedAt", "heldUntil", "createdAt", "reason"] as const),
  ...(["rings", "lostAnswers", "lostAt"] as const),
];

const OPEN_PAGES = `select id, incidentId, projectId, kind, target, provider, owner, channel, urgency, severity, isEnd,
  attempts, firstAttemptAt, failedAt, heldUntil, createdAt, reason, rings, lostAnswers, lostAt from pages where endedAt is null order by createdAt`;

/** All pages of which something may still be sent. For the start. */
export function readOpenPages(reader: Sqlite): OpenPageFacts[] {
  return reader.prepare<[], OpenPageFacts>(OPEN_PAGES).all();
}

export function findPage(db: ReadDb | Trx, id: string): Promise<PageRow | undefined> {
  return db.selectFrom("pages").selectAll().where("id", "=", id).executeTakeFirst();
}

export function findPages(db: ReadDb | Trx, ids: readonly string[]): Promise<PageRow[]> {
  return db.selectFrom("pages").selectAll().where("id", "in", ids).execute();
}

/** The pages of the same way before this one that were not accepted, the newest first; a few at most. */
export async function notAccepted(db: ReadDb, { incidentId, way, createdAt, id }: PageRow): Promise<PageRow[]> {
  const earlier = await db
    .selectFrom("pages")
    .selectAll()
    .where("incidentId", "=", incidentId)
    .where("way", "=", way)
    .where("createdAt", "<=", createdAt)
    .where("id", "<>", id)
    .orderBy("createdAt", "desc")
    .limit(LOOKED_BACK)
    .execute();
  const last = earlier.findIndex(({ outcome }) => outcome === "delivered");
  return last === -1 ? earlier : earlier.slice(0, last);
}

const LOOKED_BACK = 50;

/** The pages of an incident, oldest first. */
export function pagesOf(db: ReadDb | Trx, incidentId: string): Promise<PageRow[]> {
  return db.selectFrom("pages").selectAll().where("incidentId", "=", incidentId).orderBy("createdAt").execute();
}

function factsOf(row: PageRow): OpenPageFacts {
  return Object.fromEntries(FACTS.map((name) => [name, row[name]])) as unknown as OpenPageFacts;
}

/**
 * Adds pages of one incident. A waiting page of the same way is overtaken: the new one has the later
 * content, and continues its time without acceptance, and its count of lost answers.
 * @returns the overtaken rows
 */
export async function addPages(trx: Trx, pages: readonly NewPage[], now: EpochMs): Promise<PageRow[]> {
  const [first] = pages;
  if (!first) return [];
  const waiting = await trx
    .selectFrom("pages")
    .selectAll()
    .where("incidentId", "=", first.incidentId)
    .where("endedAt", "is", null)
    .execute();
  const open: OpenPageFacts[] = [];
  const overtaken: PageRow[] = [];
  for (const page of pages) {
    const before = waiting.find(({ way }) => way === page.way);
    if (before) overtaken.push(before);
    const row = rowOf(page, before, now);
    await trx.insertInto("pages").values(row).execute();
    if (row.endedAt === null) open.push(factsOf(row));
  }
  if (open.length > 0) addEffect(trx, { type: "pages-changed", open });
  return overtakePages(trx, overtaken, "a later notice replaces it", now);
}

function rowOf(page: NewPage, before: PageRow | undefined, now: EpochMs): PageRow {
  const { skipped = null, heldUntil = null } = page;
  const isHeld = heldUntil !== null && heldUntil > now;
  return {
    id: page.id,
    incidentId: page.incidentId,
    projectId: page.projectId,
    kind: page.kind,
    way: page.way,
    target: page.target,
    provider: page.provider,
    owner: page.owner,
    userId: page.userId ?? null,
    channel: page.channel ?? null,
    step: page.step ?? null,
    notificationId: page.notificationId ?? null,
    reason: page.reason,
    urgency: page.urgency,
    severity: page.severity ?? 3,
    isEnd: page.isEnd ? 1 : 0,
    content: JSON.stringify(page.content ?? {}),
    outcome: skipped !== null ? "skipped" : isHeld ? "held" : "queued",
    note: skipped ?? (isHeld ? "quiet hours" : null),
    attempts: 0,
    firstAttemptAt: before?.firstAttemptAt ?? null,
    failedAt: before?.failedAt ?? null,
    heldUntil: isHeld ? heldUntil : null,
    lastError: before?.lastError ?? null,
    answer: null,
    deliveredAt: null,
    createdAt: now,
    updatedAt: now,
    endedAt: skipped === null ? null : now,
    rings: page.rings ? 1 : 0,
    lostAnswers: before?.lostAnswers ?? 0,
    lostAt: before?.lostAt ?? null,
  };
}

/** Ends waiting pages of which nothing is sent any more. @param note why, for the timeline */
export async function overtakePages(
  trx: Trx,
  rows: readonly PageRow[],
  note: string,
  now: EpochMs,
): Promise<PageRow[]> {
  const ended = rows.map((row) => ({ ...row, outcome: "overtaken" as const, note, updatedAt: now, endedAt: now }));
  for (const { id, outcome } of ended) await updatePage(trx, id, { outcome, note, updatedAt: now, endedAt: now });
  if (ended.length > 0) addEffect(trx, { type: "pages-changed", ended: ended.map(({ id }) => id) });
  return ended;
}

export async function updatePage(trx: Trx, id: string, values: Updateable<PagesTable>): Promise<void> {
  await trx.updateTable("pages").set(values).where("id", "=", id).execute();
}

/** An attempt of a page that rings begins. @param lost answers, should this one be lost too */
export async function pageBegun(trx: Trx, id: string, lost: number, startedAt: EpochMs): Promise<void> {
  await trx
    .updateTable("pages")
    .set((e) => ({
      attempts: e("attempts", "+", 1),
      firstAttemptAt: e.fn.coalesce("firstAttemptAt", e.val(startedAt)),
      lostAnswers: lost,
      lostAt: startedAt,
    }))
    .where("id", "=", id)
    .where("endedAt", "is", null)
    .execute();
}

/** Whether the last page to a target that ended or failed did not arrive. */
export async function hasFailed(db: ReadDb | Trx, target: string): Promise<boolean> {
  const last = await db
    .selectFrom("pages")
    .select(["outcome", "failedAt"])
    .where("target", "=", target)
    .where((e) => e.or([e("failedAt", "is not", null), e("outcome", "=", "delivered")]))
    .orderBy("createdAt", "desc")
    .limit(1)
    .executeTakeFirst();
  return last !== undefined && last.outcome !== "delivered";
}
