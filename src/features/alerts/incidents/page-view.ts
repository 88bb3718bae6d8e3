import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { doc, named } from "../../../http/api/shapes.ts";
import { type ReadDb, rowsOf, type Trx } from "../../../store/database.ts";
import type { PageRow } from "../../delivery/index.ts";

/* Outcomes of an incident's notices as others see them. */

const OUTCOMES = ["queued", "trying", "held", "delivered", "failed", "overtaken", "skipped"] as const;

export const NoticeOutcome = named(
  "NoticeOutcome",
  "A notice of an incident to one target, and what came of it",
  v.object({
    id: doc(v.string(), "The message id of every attempt; of a person's notice the id of its delivery"),
    kind: doc(v.picklist(["person", "channel", "webhook"]), "To a person, a channel of the project, or a webhook"),
    userId: v.nullable(v.string()),
    channel: doc(v.nullable(v.string()), "Of a person: `email`, `webpush` and others; of a channel: its id"),
    step: doc(v.nullable(v.number()), "Index of the step of the policy"),
    reason: doc(
      v.string(),
      "`step`, `severity-raised`, `new-alerts`, `repeat`, `some-resolved`, `resolved`, `moved` or `state`",
    ),
    urgency: v.picklist(["high", "low"]),
    outcome: doc(
      v.picklist(OUTCOMES),
      "`trying`: attempts fail, others follow. `failed`: it counts as failed, and attempts go on until `endedAt`",
    ),
    attempts: v.number(),
    lastError: v.nullable(v.string()),
    answer: doc(v.nullable(v.string()), "What the other side said when it accepted"),
    note: doc(v.nullable(v.string()), "Why it is held, skipped or overtaken"),
    heldUntil: v.nullable(v.string()),
    createdAt: v.string(),
    deliveredAt: v.nullable(v.string()),
    failedAt: v.nullable(v.string()),
    endedAt: doc(v.nullable(v.string()), "From then on nothing more is sent"),
  }),
);
export type NoticeOutcome = v.InferOutput<typeof NoticeOutcome>;

export function noticeOutcome(page: PageRow): NoticeOutcome {
  const { id, userId, channel, step, reason, urgency, outcome, attempts, lastError, answer, note } = page;
  return {
    ...{ id, kind: page.kind === "delivery" ? "person" : page.kind, userId, channel, step, reason, urgency, outcome },
    ...{ attempts, lastError, answer, note },
    heldUntil: toRfc3339OrNull(page.heldUntil),
    createdAt: toRfc3339(page.createdAt),
    deliveredAt: toRfc3339OrNull(page.deliveredAt),
    failedAt: toRfc3339OrNull(page.failedAt),
    endedAt: toRfc3339OrNull(page.endedAt),
  };
}

const SHOWN_NOTICES = 500;

/** The last notices of an incident, oldest first. */
export async function lastPages(db: ReadDb, incidentId: string): Promise<PageRow[]> {
  const rows = await db
    .selectFrom("pages")
    .selectAll()
    .where("incidentId", "=", incidentId)
    .orderBy("createdAt", "desc")
    .orderBy("id", "desc")
    .limit(SHOWN_NOTICES)
    .execute();
  return rows.reverse();
}

/** How many notices of an incident were delivered, count as failed, and wait. */
export interface NoticeCounts {
  readonly delivered: number;
  readonly failed: number;
  readonly trying: number;
}

const COUNTED: Readonly<Partial<Record<PageRow["outcome"], keyof NoticeCounts>>> = {
  delivered: "delivered",
  failed: "failed",
  queued: "trying",
  trying: "trying",
  held: "trying",
};

/** Without the overtaken and skipped ones, by the indexes of the others. */
const COUNTS = `select outcome, count(*) as n from pages
  where incidentId = ? and outcome in ('delivered', 'failed') group by outcome
  union all select outcome, count(*) from pages
  where incidentId = ? and endedAt is null and outcome in ('queued', 'trying', 'held') group by outcome`;

export async function noticeCounts(db: ReadDb | Trx, incidentId: string): Promise<NoticeCounts> {
  const rows = await rowsOf<Pick<PageRow, "outcome"> & { n: number }>(db, COUNTS, [incidentId, incidentId]);
  const counts = { delivered: 0, failed: 0, trying: 0 };
  for (const { outcome, n } of rows) {
    const name = COUNTED[outcome];
    if (name) counts[name] += n;
  }
  return counts;
}

/** The data of a row of the timeline, with the outcomes of the notices that it names. */
export function withOutcomes(
  data: Readonly<Record<string, unknown>>,
  pages: readonly PageRow[],
): Record<string, unknown> {
  const { pageId, notificationIds } = data as { pageId?: unknown; notificationIds?: unknown };
  if (typeof pageId === "string") {
    const page = pages.find(({ id }) => id === pageId);
    return page ? { ...data, outcome: noticeOutcome(page) } : data;
  }
  if (!Array.isArray(notificationIds) || notificationIds.length === 0) return data;
  const own = pages.filter((page) => notificationIds.includes(page.notificationId));
  return own.length === 0 ? data : { ...data, outcomes: own.map(noticeOutcome) };
}
