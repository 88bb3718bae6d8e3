import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Retention } from "../../store/retention.ts";
import type { JobRunner } from "../jobs/index.ts";
import type { Schedules } from "../schedules/index.ts";
import type { ClockTrust } from "./clock-trust.ts";

const KIND = "retention.sweep";
const SCHEDULE = "prism:retention";
/** After the start, so that a start has the machine to itself. */
const FIRST_SWEEP_MS = 300_000;
const SWEEP_EVERY_MS = 3_600_000;

export interface RetentionJobParts {
  readonly retention: Retention;
  readonly clockTrust: ClockTrust;
  readonly runner: JobRunner;
  readonly schedules: Schedules;
  readonly log: Logger;
}

/** Runs {@link Retention} as jobs of the queue `retention`: a paused queue stops it, and its schedule can be run at any time. */
export class RetentionJob {
  readonly #parts: RetentionJobParts;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: RetentionJobParts) {
    this.#parts = parts;
    parts.runner.handle(KIND, async (_job, signal) => {
      if (await parts.clockTrust.check()) return parts.retention.sweep(signal);
      return { waits: parts.clockTrust.warning };
    });
  }

  start(): void {
    const { log } = this.#parts;
    const failed = (error: unknown): void => log.error({ err: error }, "retention could not be scheduled");
    this.#timer = setTimeout(() => void this.begin().catch(failed), FIRST_SWEEP_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Makes the schedule, and a job now: runs that were missed while the server was down are not made up for at its start. */
  async begin(): Promise<void> {
    const { schedules } = this.#parts;
    const { id, active } = await schedules.put({
      name: SCHEDULE,
      everyMs: SWEEP_EVERY_MS,
      missed: "skip",
      queue: "retention",
      kind: KIND,
    });
    if (!active) return;
    await schedules.run(id).catch((error: unknown) => {
      // A job of the schedule waits or runs already.
      if (!(error instanceof PrismError && error.code === "INVALID_STATE")) throw error;
    });
  }
}
