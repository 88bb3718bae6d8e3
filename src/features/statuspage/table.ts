import type { Database as Sqlite } from "better-sqlite3";
import type { Selectable } from "kysely";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../core/time/clock.ts";
import type { AnswerOf } from "../../http/api/resource.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type NamedSweep, sweepRows } from "../../store/retention.ts";
import type { ComponentState, StatusPagesTable } from "../../store/schema.ts";
import { valuesOf } from "../../store/sqlite/list-queries.ts";
import { type NoticeRow, type NoticeState, StatusNotice } from "./notice.ts";
import type { Change } from "./state.ts";

export type StatusPageRow = Selectable<StatusPagesTable>;

/** The history that pages can show, and a day for time zones. */
const KEPT_DAYS = 92;
/** An address that is not confirmed is removed after this. */
export const PENDING_MS = 7 * DAY_MS;

/** The last state of each component, if it has a history. */
export function lastChanges(reader: Sqlite, ids: readonly string[]): ReadonlyMap<string, ComponentState> {
  const last = reader.prepare<[string], { state: ComponentState }>(
    "select state from status_changes where componentId = ? order by at desc limit 1",
  );
  return new Map(
    ids.flatMap((id) => {
      const row = last.get(id);
      return row ? [[id, row.state] as const] : [];
    }),
  );
}

export async function insertChange(
  trx: Trx,
  change: {
    readonly componentId: string;
    readonly projectId: string;
    readonly at: EpochMs;
    readonly state: ComponentState;
  },
): Promise<void> {
  await trx
    .insertInto("status_changes")
    .values(change)
    // Within one millisecond the last state counts.
    .onConflict((conflict) => conflict.columns(["componentId", "at"]).doUpdateSet({ state: change.state }))
    .execute();
}

/** The changes of each component of a project that are kept, in order. */
export async function changesOf(db: ReadDb, projectId: string): Promise<Map<string, Change[]>> {
  const rows = await db
    .selectFrom("status_changes")
    .select(["componentId", "at", "state"])
    .where("projectId", "=", projectId)
    .orderBy("at")
    .execute();
  const found = new Map<string, Change[]>();
  for (const { componentId, at, state } of rows)
    found.set(componentId, [...(found.get(componentId) ?? []), { at, state }]);
  return found;
}

export interface NoticeUpdate {
  readonly at: EpochMs;
  readonly state: NoticeState;
  readonly text: string;
}

export interface PostedNotice {
  readonly row: NoticeRow;
  readonly updates: readonly NoticeUpdate[];
}

export async function updatesOf(db: ReadDb | Trx, rows: readonly NoticeRow[]) {
  const found = new Map<string, NoticeUpdate[]>();
  const all = db.selectFrom("status_notice_updates").selectAll();
  const ids = valuesOf(rows.map(({ id }) => id));
  for (const { noticeId, at, state, text } of await all.where("noticeId", "in", ids).orderBy("n").execute())
    found.set(noticeId, [...(found.get(noticeId) ?? []), { at, state: state as NoticeState, text }]);
  return found;
}

/** Notices that are open, and the newest others, newest first. */
export async function shownNotices(db: ReadDb, projectId: string, limit: number): Promise<PostedNotice[]> {
  const of = db.selectFrom("status_notices").selectAll().where("projectId", "=", projectId);
  const open = await of.where("resolvedAt", "is", null).execute();
  const newest = await of.orderBy("id", "desc").limit(limit).execute();
  const seen = new Set(open.map(({ id }) => id));
  const rows = [...open, ...newest.filter(({ id }) => !seen.has(id))];
  const updates = await updatesOf(db, rows);
  rows.sort((a, b) => b.startsAt - a.startsAt || (a.id < b.id ? 1 : -1));
  return rows.map((row) => ({ row, updates: updates.get(row.id) ?? [] }));
}

export async function countSubscribers(db: ReadDb | Trx, projectId: string) {
  const { all, confirmed } = await db
    .selectFrom("status_subscribers")
    .select((e) => [e.fn.countAll<number>().as("all"), e.fn.count<number>("confirmedAt").as("confirmed")])
    .where("projectId", "=", projectId)
    .executeTakeFirstOrThrow();
  return { confirmed, pending: all - confirmed };
}

/** @param days of resolved notices; 0 keeps all */
export function statusSweeps(days: () => number): readonly NamedSweep[] {
  return [
    sweepRows("status_changes", (db, now) => {
      const old = daysBefore(now, KEPT_DAYS);
      // The last change before the history says with which state it starts.
      return db
        .selectFrom("status_changes as c")
        .select(["c.componentId", "c.at"])
        .where("c.at", "<", old)
        .where(({ exists, selectFrom, ref }) =>
          exists(
            selectFrom("status_changes as later")
              .select("later.at")
              .where("later.componentId", "=", ref("c.componentId"))
              .where("later.at", ">", ref("c.at"))
              .where("later.at", "<", old),
          ),
        );
    }),
    sweepRows(
      "status_notices",
      (db, now) => db.selectFrom("status_notices").select("id").where("resolvedAt", "<", daysBefore(now, days())),
      {
        async remove(trx, keys) {
          const ids = keys.map(({ id }) => id);
          await trx.deleteFrom("status_notice_updates").where("noticeId", "in", ids).execute();
          await trx.deleteFrom("status_notices").where("id", "in", ids).execute();
        },
      },
    ),
    sweepRows("status_subscribers", (db, now) =>
      db
        .selectFrom("status_subscribers")
        .select("id")
        .where("createdAt", "<", now - PENDING_MS)
        .where("confirmedAt", "is", null),
    ),
  ];
}

/** Of a maintenance, time decides until it is completed. */
export function stateOfNotice({ row, updates }: PostedNotice, now: EpochMs): NoticeState {
  const said = updates.at(-1)?.state ?? "investigating";
  if (row.kind === "incident") return said;
  if (said === "completed" || (row.endsAt !== null && now >= row.endsAt)) return "completed";
  return now >= row.startsAt ? "in_progress" : said;
}

export function noticeView(notice: PostedNotice, now: EpochMs): AnswerOf<typeof StatusNotice> {
  const { row, updates } = notice;
  return StatusNotice.view(row, {
    state: stateOfNotice(notice, now),
    updates: updates.map(({ at, state, text }) => ({ at: toRfc3339(at), state, text })),
  });
}
