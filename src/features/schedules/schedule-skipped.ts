import { type Clock, type EpochMs, toRfc3339 } from "../../core/clock.ts";
import type { IngestService } from "../events/index.ts";
import type { JobRunner } from "../jobs/index.ts";
import { COMPLETED, finishOf, type QueueName } from "../jobs/index.ts";
import type { SkipReason } from "./schedule-plan.ts";

export const SKIPPED_KIND = "schedule.skipped";
export const SKIPPED_QUEUE: QueueName = "event-processing";

/** Runs of a schedule that did not happen, for one reason. */
export interface SkippedPayload {
  readonly scheduleId: string;
  readonly name: string;
  /** Of the first of them. */
  readonly nominalAt: EpochMs;
  readonly reason: SkipReason;
  readonly count: number;
}

export interface SkippedParts {
  readonly runner: JobRunner;
  readonly ingest: IngestService;
  readonly clock: Clock;
  readonly defaultProjectId: string;
}

/**
 * Makes an event of the default project of each note that a firing left behind, so that a rule can tell somebody. The event has the id of the
 * note's job and is one commit with its end: it is stored once.
 */
export function tellOfSkippedRuns({ runner, ingest, clock, defaultProjectId }: SkippedParts): void {
  runner.handle(SKIPPED_KIND, async (job) => {
    const { nominalAt, ...payload } = job.payload as SkippedPayload;
    const succeeded = { outcome: "succeeded" as const, result: null };
    await ingest.ingest(
      {
        id: job.id,
        type: SKIPPED_KIND,
        payload: { ...payload, nominalAt: toRfc3339(nominalAt) },
        source: "schedules",
        level: "warn",
        projectId: defaultProjectId,
        correlationId: job.correlationId,
      },
      finishOf(job.claimed, runner.workerId, clock.now(), succeeded),
    );
    return COMPLETED;
  });
}
