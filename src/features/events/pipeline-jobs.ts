import type { Database } from "../../store/database.ts";
import type { JobRunner } from "../jobs/index.ts";
import type { Backlog } from "./pipeline/backlog.ts";

/** A job on one event: after a failure, or because a user wants its rules evaluated again. */
export interface EventJobPayload {
  readonly eventSeq: number;
  /** Also where the event has been decided. */
  readonly again?: true;
}

export interface EventJobParts {
  readonly db: Database;
  readonly runner: JobRunner;
  readonly backlog: Backlog;
}

/** Handles the jobs that decide an event again. */
export function handleEventJobs({ db, runner, backlog }: EventJobParts): void {
  runner.handle("event.process", async (job) => {
    const { eventSeq, again } = job.payload as EventJobPayload;
    const event = await db.read
      .selectFrom("events")
      .select("processedAt")
      .where("seq", "=", eventSeq)
      .executeTakeFirst();
    // Deleted since, or decided by a run of this job that a crash cut short after its commit.
    if (!event || (event.processedAt !== null && again !== true)) return;
    await backlog.decideAgain(eventSeq);
  });
}
