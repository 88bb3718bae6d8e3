import type { Database as Sqlite } from "better-sqlite3";
import type { Updateable } from "kysely";
import { SharedReads } from "../../../core/shared-reads.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import {
  addEffect,
  type BoundStatement,
  insertLater,
  type ReadDb,
  rowsOf,
  type Trx,
  updateLater,
} from "../../../store/database.ts";
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

const OPEN_PAGES = `select ${FACTS.join(", ")} from pages where endedAt is null order by createdAt`;

/** All pages that may still be sent. For the start. */
export function readOpenPages(reader: Sqlite): OpenPageFacts[] {
  return reader.prepare<[], OpenPageFacts>(OPEN_PAGES).all();
}

export async function findPage(db: ReadDb | Trx, id: string): Promise<PageRow | undefined> {
  const [row] = await rowsOf<PageRow>(db, "select * from pages where id = ?", [id]);
  return row;
}

export function findPages(db: ReadDb | Trx, ids: readonly string[]): Promise<PageRow[]> {
  return rowsOf(db, "select * from pages where id in (select value from json_each(?))", [JSON.stringify(ids)]);
}

/** Reads pages by id: those asked for in one turn of the event loop are one read. */
export function pageReads(db: ReadDb): SharedReads<string, PageRow | undefined> {
  const read = async (ids: readonly string[]): Promise<(PageRow | undefined)[]> => {
    const rows = new Map((await findPages(db, ids)).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id));
  };
  return new SharedReads(read, () => new Promise(setImmediate));
}

/** The pages of the same way before this one that were not accepted, the newest first; a few at most. */
export async function notAccepted(db: ReadDb, { incidentId, way, createdAt, id }: PageRow): Promise<PageRow[]> {
  const earlier = await rowsOf<PageRow>(db, EARLIER, [incidentId, way, createdAt, id]);
  const last = earlier.findIndex(({ outcome }) => outcome === "delivered");
  return last === -1 ? earlier : earlier.slice(0, last);
}

const PRECEDED = `select g.value ->> 0 as id from json_each(?) g where exists (select 1 from pages p
  where p.incidentId = g.value ->> 1 and p.way = g.value ->> 2 and p.createdAt <= g.value ->> 3 and p.id <> g.value ->> 0)`;

/** Finds which of these pages have earlier ones of their way, for {@link notAccepted}: rows of their id. */
export function preceded(pages: readonly PageRow[]): BoundStatement {
  const keys = pages.map(({ id, incidentId, way, createdAt }) => [id, incidentId, way, createdAt]);
  return { sql: PRECEDED, parameters: [JSON.stringify(keys)] };
}

/** From its first attempt to its acceptance, by the wall clock. */
export interface AcceptedSpan {
  readonly from: number;
  readonly until: number;
}

/** When the same way accepted pages of the incident. */
export function acceptedSpans(db: ReadDb, { incidentId, way }: PageRow): Promise<AcceptedSpan[]> {
  return rowsOf<AcceptedSpan>(db, ACCEPTED, [incidentId, way]);
}

const ACCEPTED = `select coalesce(firstAttemptAt, deliveredAt) as "from", deliveredAt as until from pages
  where incidentId = ? and outcome = 'delivered' and way = ?`;

const LOOKED_BACK = 50;
const EARLIER = `select * from pages where incidentId = +? and way = +? and createdAt <= ? and id <> ?
  order by createdAt desc limit ${LOOKED_BACK}`;

function factsOf(row: PageRow): OpenPageFacts {
  return Object.fromEntries(FACTS.map((name) => [name, row[name]])) as unknown as OpenPageFacts;
}

export interface AddOptions {
  /** The incident has no earlier pages, and these are of different ways: none is searched for. */
  readonly isFirst?: boolean | undefined;
}

/**
 * Adds pages of one incident. A waiting page of the same way is overtaken: the new one has the later
 * content, and continues its time without acceptance, and its count of lost answers.
 * @returns the overtaken rows
 */
export async function addPages(
  trx: Trx,
  pages: readonly NewPage[],
  now: EpochMs,
  { isFirst = false }: AddOptions = {},
): Promise<PageRow[]> {
  const [first] = pages;
  if (!first) return [];
  const waiting = isFirst ? [] : await waitingOf(trx, first.incidentId);
  const open: OpenPageFacts[] = [];
  const overtaken: PageRow[] = [];
  for (const page of pages) {
    const replaced = waiting.filter((before) => before.way === page.way && replaces(page, before, now));
    overtaken.push(...replaced);
    const row = rowOf(page, replaced[0], now);
    insertLater(trx, "pages", row);
    if (row.endedAt === null) open.push(factsOf(row));
  }
  if (open.length > 0) addEffect(trx, { type: "pages-changed", open });
  return overtakePages(trx, overtaken, "a later notice replaces it", now);
}

/** The pages of an incident that may still be sent. */
export function waitingOf(trx: Trx, incidentId: string): Promise<PageRow[]> {
  return rowsOf(trx, "select * from pages where incidentId = ? and endedAt is null", [incidentId]);
}

/** A page of low urgency that is not sent now leaves a waiting one of high urgency to be sent. */
function replaces({ urgency, skipped, heldUntil }: NewPage, before: PageRow, now: EpochMs): boolean {
  const isSent = skipped == null && (heldUntil ?? 0) <= now;
  return isSent || urgency === "high" || before.urgency === "low";
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

/** Ends waiting pages that are no longer sent. @param note why, for the timeline */
export function overtakePages(trx: Trx, rows: readonly PageRow[], note: string, now: EpochMs): PageRow[] {
  const ended = rows.map((row) => ({ ...row, outcome: "overtaken" as const, note, updatedAt: now, endedAt: now }));
  for (const { id, outcome } of ended) updatePage(trx, id, { outcome, note, updatedAt: now, endedAt: now });
  if (ended.length > 0) addEffect(trx, { type: "pages-changed", ended: ended.map(({ id }) => id) });
  return ended;
}

export function updatePage(trx: Trx, id: string, values: Updateable<PagesTable>): void {
  updateLater(trx, "pages", id, values);
}

/** Deletes pages of incidents or drills, up to a number of them. @returns how many */
export async function deletePages(trx: Trx, incidentIds: readonly string[], most: number): Promise<number> {
  if (incidentIds.length === 0) return 0;
  const some = trx
    .selectFrom("pages")
    .select("id")
    .where("incidentId", "in", incidentIds)
    .orderBy("incidentId")
    .orderBy("createdAt")
    .limit(most);
  const { numDeletedRows } = await trx.deleteFrom("pages").where("id", "in", some).executeTakeFirst();
  return Number(numDeletedRows);
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
