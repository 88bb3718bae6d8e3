import { type Metrics, SECONDS_BUCKETS } from "../base/metrics.ts";
import type { AttemptFacts } from "../jobs/runner.ts";

/** Attempts at jobs, counted as they end (contract 13). Queues are few: the program's own, and one for each module. */
export class JobMetrics {
  readonly #durations;
  readonly #lateness;
  readonly #attempts;

  constructor(metrics: Metrics) {
    this.#durations = metrics.histogram("prism_job_duration_seconds", "Time of one attempt by queue", SECONDS_BUCKETS);
    this.#lateness = metrics.histogram(
      "prism_job_lateness_seconds",
      "How long after its time a job was claimed",
      SECONDS_BUCKETS,
    );
    this.#attempts = metrics.counter("prism_job_attempts_total", "Attempts at jobs by queue and outcome");
  }

  attempted({ queue, outcome, durationMs, latenessMs }: AttemptFacts): void {
    this.#durations({ queue }).observe(durationMs / 1000);
    this.#lateness({ queue }).observe(latenessMs / 1000);
    this.#attempts({ queue, outcome }).add();
  }
}
