import { DAY_MS } from "../../../core/time/clock.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { deletePages } from "../../delivery/index.ts";
import { COMPLETED, type RunningJob } from "../../time/jobs/index.ts";
import type { Actor, IncidentParts } from "../incidents/context.ts";

/*
 * Cleans up after a deleted project: its incidents end, its rooms, keyed services and webhooks get
 * the ends, and then its channels and the rows of its pages go. The deletion adds the job.
 */

const JOB = "project.ways.delete";
const AGAIN_MS = 30_000;
/** Ends that no service accepts hold the rows for a day, as pages are tried that long. */
const LONGEST_MS = DAY_MS;
const ROWS_AT_ONCE = 500;
const BY: Actor = { id: "operator", via: "project" };

interface Payload {
  readonly projectId: string;
  /** Epoch ms. */
  readonly deletedAt: number;
}

export function handleDeletedProjects(
  parts: IncidentParts,
  resolve: (id: string, by: Actor) => Promise<unknown>,
): void {
  parts.runner.handle(JOB, (job) => run(parts, resolve, job));
}

async function run(
  parts: IncidentParts,
  resolve: (id: string, by: Actor) => Promise<unknown>,
  job: RunningJob,
): Promise<typeof COMPLETED> {
  const { db, clock, jobs } = parts;
  const payload = job.payload as Payload;
  const { projectId, deletedAt } = payload;
  for (const id of await unresolved(parts, projectId)) await resolve(id, BY);
  // As the job, and the deletion that added it.
  const now = clock.toWall(clock.now());
  const isOver = now >= deletedAt + LONGEST_MS || !(await hasWaiting(parts, projectId));
  if (isOver) await removeRows(parts, projectId);
  await db.write(async (trx) => {
    await jobs.complete(job, trx);
    const runAt = now + AGAIN_MS;
    const dedupeKey = `project-ways:${projectId}:${runAt}`;
    if (!isOver) await jobs.enqueue({ queue: "alert", kind: JOB, payload, runAt, dedupeKey }, { trx });
  });
  return COMPLETED;
}

async function unresolved({ db }: IncidentParts, projectId: string): Promise<string[]> {
  const rows = await db.scan
    .selectFrom("incidents")
    .select("id")
    .where("projectId", "=", projectId)
    .where("state", "in", ["open", "acknowledged"])
    .execute();
  return rows.map(({ id }) => id);
}

/** People of a deleted project are no members: only the others are waited for. */
async function hasWaiting({ db }: IncidentParts, projectId: string): Promise<boolean> {
  const row = await openPages(db.read, projectId).where("kind", "<>", "delivery").limit(1).executeTakeFirst();
  return row !== undefined;
}

function openPages(db: IncidentParts["db"]["read"] | Trx, projectId: string) {
  return db.selectFrom("pages").select("id").where("endedAt", "is", null).where("projectId", "=", projectId);
}

async function removeRows({ db, channels }: IncidentParts, projectId: string): Promise<void> {
  await db.write(async (trx) => {
    const ended = (await openPages(trx, projectId).execute()).map(({ id }) => id);
    if (ended.length > 0) addEffect(trx, { type: "pages-changed", ended });
    await channels().deleteOf(trx, projectId);
    await trx.deleteFrom("failed_ways").where("projectId", "=", projectId).execute();
    await trx.deleteFrom("way_notices").where("projectId", "=", projectId).execute();
  });
  while ((await db.write((trx) => removePages(trx, projectId))) > 0);
}

async function removePages(trx: Trx, projectId: string): Promise<number> {
  const incidents = await trx
    .selectFrom("incidents as i")
    .innerJoin("pages as p", "p.incidentId", "i.id")
    .select("i.id")
    .distinct()
    .where("i.projectId", "=", projectId)
    .limit(ROWS_AT_ONCE)
    .execute();
  const ids = incidents.map(({ id }) => id);
  return deletePages(trx, ids, ROWS_AT_ONCE);
}
