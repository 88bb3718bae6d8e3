import { type Counter, type Histogram, type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import type { AttemptFacts, QueueName } from "./runner/job.ts";

interface QueueMetrics {
  readonly duration: Histogram;
  readonly lateness: Histogram;
  readonly outcomes: Map<AttemptFacts["outcome"], Counter>;
}

/** Attempts at jobs, counted as they end (contract 13). Queues are few: the program's own, and one for each module. */
export class JobMetrics {
  readonly #durations;
  readonly #lateness;
  readonly #attempts;
  /** Found by name once: to render the labels of each attempt would cost more than to count it. */
  readonly #queues = new Map<QueueName, QueueMetrics>();

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
    const of = this.#of(queue);
    of.duration.observe(durationMs / 1000);
    of.lateness.observe(latenessMs / 1000);
    let counter = of.outcomes.get(outcome);
    if (!counter) {
      counter = this.#attempts({ queue, outcome });
      of.outcomes.set(outcome, counter);
    }
    counter.add();
  }

  #of(queue: QueueName): QueueMetrics {
    let of = this.#queues.get(queue);
    if (!of) {
      of = { duration: this.#durations({ queue }), lateness: this.#lateness({ queue }), outcomes: new Map() };
      this.#queues.set(queue, of);
    }
    return of;
  }
}
