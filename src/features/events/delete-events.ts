import type { Clock } from "../../core/clock.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import type { Database, ReadDb } from "../../store/database.ts";
import { type Principals, type Projects, reauthorize } from "../access/index.ts";
import type { AuditTrail } from "../audit/index.ts";
import type { JobService, RunningJob } from "../jobs/index.ts";
import { removeEvents } from "./queries.ts";

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

/** Rows of one transaction: ingest waits for none of them longer than a commit. */
const SLICE = 500;
/** More than this many are removed by a job (D40). */
const MAX_AT_ONCE = 10_000;

export const DELETE_EVENTS_KIND = "project.events.delete";

interface DeletionContext {
  readonly db: Database;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly projects: Projects;
  readonly principals: Principals;
  readonly jobs: JobService;
}

interface DeletePayload {
  readonly projectId: string;
  readonly before: number;
}

/** Removes events at once or by a job, in short transactions. @returns how many were removed, or the job that removes them. */
export async function deleteProjectEvents(
  ctx: DeletionContext,
  principal: UserPrincipal,
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
  for (let at = 0; at < seqs.length; at += SLICE)
    await db.write((trx) => removeEvents(trx, projectId, seqs.slice(at, at + SLICE)));
  return { deleted: seqs.length };
}

/** The job that removes them. */
export async function runDeletion(
  { db }: DeletionContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<{ deleted: number }> {
  const { projectId, before } = job.payload as DeletePayload;
  for (let deleted = 0; ; ) {
    signal.throwIfAborted();
    const seqs = await oldestEvents(db.scan, projectId, before, SLICE);
    if (seqs.length === 0) return { deleted };
    await db.write((trx) => removeEvents(trx, projectId, seqs));
    deleted += seqs.length;
  }
}
