import type { QueueName } from "../../../core/limits/queues.ts";
import type { Json } from "../../../core/text/json-text.ts";
import type { Context } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { findProject } from "../../access/index.ts";
import { COMPLETED, type RunningJob } from "../../time/jobs/index.ts";

/* What digests of projects share: a schedule that follows a setting of the project, and one notification each time. */

export type DigestContext = Context<"runner" | "jobs" | "schedules" | "projects" | "users" | "notify">;

export const DIGEST_QUEUE: QueueName = "digest";

/** A digest that projects get by their settings. */
export interface ProjectDigest {
  /** Of the names of its schedules, before the id of the project. */
  readonly prefix: string;
  /** Of its jobs; their payload has the `projectId`. */
  readonly kind: string;
  /** When it is due. @param settings of a project, as JSON. @returns null: the project wants none */
  readonly due: (settings: string) => { readonly cron: string; readonly timezone: string } | null;
}

/** Keeps the schedules of these projects, and of each that changes, as their settings say. */
export async function followProjects(
  context: DigestContext,
  digest: ProjectDigest,
  projectIds: readonly string[],
): Promise<void> {
  const follow = (projectId: string) => followProject(context, digest, projectId);
  context.events.on("project:changed", (payload) => follow((payload as { readonly id: string }).id));
  for (const id of projectIds) await follow(id);
}

/** Creates, changes or removes the schedule of a project by its setting. */
export async function followProject(
  { db, schedules }: DigestContext,
  { prefix, kind, due }: ProjectDigest,
  projectId: string,
): Promise<void> {
  const name = prefix + projectId;
  const seen = due((await findProject(db.read, projectId))?.settings ?? "{}");
  const schedule = await schedules.findByName(name);
  // Nothing changes for most projects, at each start for all of them.
  if (schedule?.cron === seen?.cron && schedule?.timezone === seen?.timezone) return;
  await db.write(async (trx) => {
    const wanted = due((await findProject(trx, projectId))?.settings ?? "{}");
    if (wanted === null) await schedules.remove(name, { trx });
    else await schedules.put({ name, ...wanted, queue: DIGEST_QUEUE, kind, payload: { projectId } }, { trx });
  });
}

/** What is sent, and under which key not again. */
interface Digest {
  readonly title: string;
  readonly message: string;
  readonly recipients: readonly string[];
  readonly projectId: string;
  readonly channels: readonly ("in_app" | "email" | "service")[];
  readonly data: Json;
  readonly dedupeKey: string;
}

/** Sends a digest, unless it was: the notification and the end of its job share a transaction. */
export async function sendDigestOnce(
  { db, jobs, notify }: DigestContext,
  job: RunningJob,
  digest: Digest,
): Promise<typeof COMPLETED> {
  const { recipients, dedupeKey } = digest;
  await db.write(async (trx) => {
    // An operator may have run it a second time.
    const isDue = recipients.length > 0 && !(await isSent(trx, dedupeKey));
    if (isDue) await notify.send({ ...digest, kind: "digest", correlationId: job.correlationId }, { trx });
    await jobs.complete(job, trx, { told: isDue ? recipients.length : 0 });
  });
  return COMPLETED;
}

async function isSent(trx: Trx, dedupeKey: string): Promise<boolean> {
  const row = await trx
    .selectFrom("notifications")
    .select("id")
    .where("ruleId", "is", null)
    .where("dedupeKey", "=", `system ${dedupeKey}`)
    .executeTakeFirst();
  return row !== undefined;
}
