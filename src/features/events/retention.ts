import { sql } from "kysely";
import type { PermissionHolder } from "../../core/caller.ts";
import type { Uses } from "../../module/feature.ts";
import type { Database, ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type NamedSweep, Slices, sweepRows } from "../../store/retention.ts";
import { reauthorize } from "../access/index.ts";
import type { RunningJob } from "../time/jobs/index.ts";
import { removeEvents } from "./queries.ts";

/** Limits of one transaction beside its time; bytes of payload, because a large text frees many pages. */
const SLICE_ROWS = 2000;
const SLICE_BYTES = 4_194_304;

const RESOLVED_DAYS = 30;

interface OldEvent {
  readonly seq: number;
  readonly receivedAt: number;
  readonly bytes: number;
  readonly decisions: number;
  readonly isOver: 0 | 1;
}

/**
 * Removes events after the retention time of their project. Undecided events stay, and so do events
 * with an open failure, because they may still be processed.
 * @param days default for projects without a setting; 0 keeps everything.
 */
export function eventSweep(days: () => number): NamedSweep {
  return {
    name: "events",
    isLong: true,
    async sweep(db, now, isStopped) {
      let removed = 0;
      for (const project of await projectDays(db.scan, days()))
        removed += await sweepProject(db, project.id, daysBefore(now, project.days), isStopped);
      return removed;
    },
  };
}

/** Projects with a retention time, including deleted ones. */
async function projectDays(scan: ReadDb, days: number): Promise<{ id: string; days: number }[]> {
  const rows = await scan.selectFrom("projects").select(["id", "settings"]).execute();
  return rows
    .map(({ id, settings }) => ({
      id,
      days: (JSON.parse(settings) as { retentionDays?: number }).retentionDays ?? days,
    }))
    .filter((project) => project.days > 0);
}

async function sweepProject(
  db: Database,
  projectId: string,
  before: number,
  isStopped: () => boolean,
): Promise<number> {
  let removed = 0;
  const slices = new Slices();
  for (let after = 0; !isStopped(); ) {
    const { rows } = slices;
    const found = await oldest(db.scan, projectId, after, rows);
    const old = firstOld(found, before);
    const slice = firstOf(old);
    const last = slice.at(-1);
    if (!last) break;
    const seqs = slice.filter(({ isOver }) => isOver === 1).map(({ seq }) => seq);
    if (seqs.length > 0) removed += await slices.write(db, (trx) => removeOver(trx, projectId, seqs));
    after = last.seq;
    if (slice.length === found.length && found.length < rows) break;
  }
  return removed;
}

/** Events that may be removed: decided, and without an open failure. */
const IS_OVER = sql<0 | 1>`("processedAt" is not null and not exists (
  select 1 from event_failures f where f.eventSeq = events.seq and f.resolvedAt is null))`;

function oldest(scan: ReadDb, projectId: string, after: number, limit: number): Promise<OldEvent[]> {
  return scan
    .selectFrom("events")
    .select(["seq", "receivedAt", IS_OVER.as("isOver")])
    .select(sql<number>`octet_length(payload)`.as("bytes"))
    .select(sql<number>`(select count(*) from decisions d where d.eventSeq = events.seq)`.as("decisions"))
    .where("projectId", "=", projectId)
    .where("seq", ">", after)
    .orderBy("seq")
    .limit(limit)
    .execute();
}

/** Offsets are in the order of receipt: nothing after the first kept event has expired. */
function firstOld(events: readonly OldEvent[], before: number): readonly OldEvent[] {
  const kept = events.findIndex(({ receivedAt }) => receivedAt > before);
  return kept === -1 ? events : events.slice(0, kept);
}

/** As many as one transaction may remove; at least one. */
function firstOf(events: readonly OldEvent[]): readonly OldEvent[] {
  let rows = 0;
  let bytes = 0;
  const end = events.findIndex((event) => {
    rows += 1 + event.decisions;
    bytes += event.bytes;
    return rows > SLICE_ROWS || bytes > SLICE_BYTES;
  });
  return end === -1 ? events : events.slice(0, Math.max(1, end));
}

/** Checked again: an event may have been reprocessed in the meantime. */
async function removeOver(trx: Trx, projectId: string, seqs: readonly number[]): Promise<number> {
  const rows = await trx
    .selectFrom("events")
    .select("seq")
    .where("seq", "in", seqs)
    .where(IS_OVER, "=", 1)
    .orderBy("seq")
    .execute();
  await removeEvents(
    trx,
    projectId,
    rows.map(({ seq }) => seq),
  );
  return rows.length;
}

const failures = sweepRows("event_failures", (db, now) =>
  db
    .selectFrom("event_failures")
    .select(["consumer", "eventSeq"])
    .where("resolvedAt", "<=", daysBefore(now, RESOLVED_DAYS)),
);

export const EVENT_SWEEPS = [failures];

/** Up to `limit` events of a project received before an instant, oldest first. */
async function oldestEvents(db: ReadDb, projectId: string, before: number, limit: number): Promise<number[]> {
  const rows = await db
    .selectFrom("events")
    .select("seq")
    .where("projectId", "=", projectId)
    .where("receivedAt", "<", before)
    .orderBy("seq")
    .limit(limit)
    .execute();
  return rows.map(({ seq }) => seq);
}

/** A job removes more than this many. */
const MAX_AT_ONCE = 10_000;

export const DELETE_EVENTS_KIND = "project.events.delete";

type DeletionContext = Uses<"db" | "audit" | "clock" | "projects" | "principals" | "jobs">;

interface DeletePayload {
  readonly projectId: string;
  readonly before: number;
}

/** Removes events now or by a job, in short transactions. @returns their number, or the job */
export async function deleteProjectEvents(
  ctx: DeletionContext,
  principal: PermissionHolder,
  ref: string,
  before: number | undefined,
): Promise<{ deleted: number } | { jobId: string }> {
  const { db, audit, clock, projects, jobs } = ctx;
  const projectId = projects.require(principal, ref, "events:delete");
  const payload: DeletePayload = { projectId, before: before ?? clock.now() + 1 };
  const entry = {
    action: "project.update",
    resourceType: "project",
    resourceId: projectId,
    metadata: { events: "deleted", before: payload.before },
  };
  const seqs = await oldestEvents(db.scan, projectId, payload.before, MAX_AT_ONCE + 1);
  if (seqs.length > MAX_AT_ONCE) {
    return db.write(async (trx) => {
      await reauthorize(ctx, principal, projectId, "events:delete", trx);
      await audit.record(entry, { trx });
      const { jobId } = await jobs.enqueue(
        { queue: "retention", kind: DELETE_EVENTS_KIND, payload, runAt: clock.now() },
        { trx },
      );
      return { jobId };
    });
  }
  await db.write(async (trx) => {
    await reauthorize(ctx, principal, projectId, "events:delete", trx);
    await audit.record(entry, { trx });
  });
  const slices = new Slices();
  for (let at = 0; at < seqs.length; ) {
    const slice = seqs.slice(at, at + slices.rows);
    await slices.write(db, (trx) => removeEvents(trx, projectId, slice));
    at += slice.length;
  }
  return { deleted: seqs.length };
}

export async function runDeletion(
  { db }: DeletionContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<{ deleted: number }> {
  const { projectId, before } = job.payload as DeletePayload;
  const slices = new Slices();
  for (let deleted = 0; ; ) {
    signal.throwIfAborted();
    const seqs = await oldestEvents(db.scan, projectId, before, slices.rows);
    if (seqs.length === 0) return { deleted };
    await slices.write(db, (trx) => removeEvents(trx, projectId, seqs));
    deleted += seqs.length;
  }
}
