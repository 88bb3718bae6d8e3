import { sql } from "kysely";
import * as v from "valibot";
import { redactText } from "../../../config/logger.ts";
import { type EpochMs, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { doc, named, object, type PageRequest, pageBody, pageEntries } from "../../../http/api/shapes.ts";
import type { ReadDb } from "../../../store/database.ts";
import { JOB_STATES } from "../../../store/schema.ts";
import { SKIP_REASONS, type SkippedPayload } from "./schedule-firing.ts";

const { limit, cursor } = pageEntries();
export const ListRuns = object({ limit, cursor });

export const ScheduleRun = named(
  "PastRun",
  "A run of a schedule, or skipped runs with one reason",
  v.object({
    at: doc(v.string(), "Time of the run; of a manual one when it was requested"),
    trigger: doc(v.picklist(["schedule", "manual"]), "What caused it"),
    state: v.picklist([...JOB_STATES, "skipped"]),
    jobId: doc(v.nullable(v.string()), "Its job; null for skipped runs"),
    startedAt: v.nullable(v.string()),
    finishedAt: v.nullable(v.string()),
    attempts: v.number(),
    error: doc(v.nullable(v.string()), "The last error of the job"),
    reason: doc(v.nullable(v.picklist(SKIP_REASONS)), "Why it was skipped"),
    explanation: doc(v.nullable(v.string()), "The reason in words"),
    count: doc(v.number(), "Number of skipped runs, the first one at `at`; otherwise 1"),
  }),
);
type RunView = v.InferOutput<typeof ScheduleRun>;

const EXPLANATIONS: Readonly<Record<(typeof SKIP_REASONS)[number], string>> = {
  missed: "no server ran at that time, and the schedule does not catch up",
  "catch-up": "more runs were missed than the schedule catches up",
  overlap: "the previous run was still active",
  dst: "the clock change skips this time",
  overloaded: "too many jobs waited in the queue",
};

interface RunLine {
  readonly seq: number;
  readonly view: RunView;
}

/** The runs of a schedule, newest first, as long as their jobs are kept. */
export async function listRuns(db: ReadDb, id: string, page: PageRequest) {
  const before = page.after ? Number(page.after[0]) : Number.MAX_SAFE_INTEGER;
  const wanted = page.limit + 1;
  const lines = [...(await runsOf(db, id, before, wanted)), ...(await skipsOf(db, id, before, wanted))];
  const rows = lines.sort((a, b) => b.seq - a.seq).slice(0, wanted);
  return pageBody(
    page,
    rows,
    ({ view }) => view,
    ({ seq }) => [seq],
  );
}

async function runsOf(db: ReadDb, id: string, before: number, limit: number): Promise<RunLine[]> {
  const rows = await db
    .selectFrom("jobs")
    .select(["seq", "id", "state", "dedupeKey", "attempts", "startedAt", "finishedAt", "lastError", "createdAt"])
    .where("scheduleId", "=", id)
    .where("seq", "<", before)
    .orderBy("seq", "desc")
    .limit(limit)
    .execute();
  return rows.map(({ seq, id: jobId, state, dedupeKey, attempts, startedAt, finishedAt, lastError, createdAt }) => {
    const nominalAt = nominalTime(dedupeKey, id);
    const view: RunView = {
      at: toRfc3339(nominalAt ?? createdAt),
      trigger: nominalAt === null ? "manual" : "schedule",
      state,
      jobId,
      startedAt: toRfc3339OrNull(startedAt),
      finishedAt: toRfc3339OrNull(finishedAt),
      attempts,
      error: lastError === null ? null : redactText(lastError),
      reason: null,
      explanation: null,
      count: 1,
    };
    return { seq, view };
  });
}

/** The time is part of the key; manual runs have none. */
function nominalTime(dedupeKey: string | null, id: string): EpochMs | null {
  const prefix = `schedule:${id}:`;
  return dedupeKey?.startsWith(prefix) ? Number(dedupeKey.slice(prefix.length)) : null;
}

async function skipsOf(db: ReadDb, id: string, before: number, limit: number): Promise<RunLine[]> {
  const rows = await db
    .selectFrom("jobs")
    .select(["seq", "payload"])
    // Literals and the index's own expression: SQLite would not use the index otherwise.
    .where(sql<boolean>`kind = 'schedule.skipped' and payload ->> '$.scheduleId' = ${id}`)
    .where("seq", "<", before)
    .orderBy("seq", "desc")
    .limit(limit)
    .execute();
  return rows.map(({ seq, payload }) => {
    const { nominalAt, reason, count } = JSON.parse(payload) as SkippedPayload;
    const none = { jobId: null, startedAt: null, finishedAt: null, attempts: 0, error: null };
    const view: RunView = {
      ...none,
      at: toRfc3339(nominalAt),
      trigger: "schedule",
      state: "skipped",
      reason,
      explanation: EXPLANATIONS[reason],
      count,
    };
    return { seq, view };
  });
}
