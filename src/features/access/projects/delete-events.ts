import type { UserPrincipal } from "../../../core/principal.ts";
import { removeEvents } from "../../events/index.ts";
import type { RunningJob } from "../../jobs/index.ts";
import { reauthorize } from "../authorize.ts";
import { oldestEvents } from "./event-queries.ts";
import type { ProjectsContext } from "./service.ts";

/** Rows of one transaction: ingest waits for none of them longer than a commit. */
const SLICE = 500;
/** More than this many are removed by a job (D40). */
const MAX_AT_ONCE = 10_000;

interface DeletePayload {
  readonly projectId: string;
  readonly before: number;
}

/** Removing events, at once or by a job, in short transactions. */
export class EventDeletion {
  readonly #context: ProjectsContext;

  constructor(context: ProjectsContext) {
    this.#context = context;
    context.runner.handle("project.events.delete", (job, signal) => this.#run(job, signal));
  }

  /** @returns how many were removed, or the job that removes them. */
  async delete(
    principal: UserPrincipal,
    ref: string,
    before: number | undefined,
  ): Promise<{ deleted: number } | { jobId: string }> {
    const { db, audit, clock, projects, jobs } = this.#context;
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
        await reauthorize(this.#context, principal, projectId, "events:delete", trx);
        await audit.record(entry, { trx });
        const { jobId } = await jobs.enqueue(
          { queue: "retention", kind: "project.events.delete", payload, runAt: clock.now() },
          { trx },
        );
        return { jobId };
      });
    }
    await db.write(async (trx) => {
      await reauthorize(this.#context, principal, projectId, "events:delete", trx);
      await audit.record(entry, { trx });
    });
    for (let at = 0; at < seqs.length; at += SLICE)
      await db.write((trx) => removeEvents(trx, projectId, seqs.slice(at, at + SLICE)));
    return { deleted: seqs.length };
  }

  async #run(job: RunningJob, signal: AbortSignal): Promise<{ deleted: number }> {
    const { projectId, before } = job.payload as DeletePayload;
    for (let deleted = 0; ; ) {
      signal.throwIfAborted();
      const seqs = await oldestEvents(this.#context.db.scan, projectId, before, SLICE);
      if (seqs.length === 0) return { deleted };
      await this.#context.db.write((trx) => removeEvents(trx, projectId, seqs));
      deleted += seqs.length;
    }
  }
}
