import type { QueueName } from "../../../../src/core/queues.ts";
import type { TestPrism } from "../../../helpers/prism.ts";

export const DAY_MS = 86_400_000;

export interface JobBody {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: string;
  readonly label: string | null;
  readonly payload: unknown;
  readonly payloadBytes: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly progress: unknown;
  readonly result: unknown;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly history: readonly {
    readonly attempt: number;
    readonly outcome: string;
    readonly error: string | null;
    readonly endedAt: string | null;
    readonly worker: string;
  }[];
}

export interface JobPage {
  readonly data: readonly JobBody[];
  readonly page: number | null;
  readonly total?: number;
  readonly nextCursor: string | null;
}

export interface QueueBody {
  readonly name: string;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly retrying: number;
  readonly dead: number;
  readonly paused: boolean;
  readonly oldestReadyAgeMs: number | null;
  readonly concurrency: number;
  readonly maxAttempts: number;
}

export interface Job {
  readonly queue: QueueName;
  readonly kind: string;
  readonly payload: unknown;
  readonly label: string;
  readonly delayMs: number;
  readonly dedupeKey: string;
}

/**
 * A job as a feature makes it; by default tomorrow's, of kind `test` in `digest`. @returns its id.
 */
export async function makeJob({ parts }: TestPrism, job: Partial<Job> = {}): Promise<string> {
  const { delayMs = DAY_MS, ...more } = job;
  const { jobId } = await parts.core.jobs.jobs.enqueue({
    queue: "digest",
    kind: "test",
    payload: {},
    runAt: parts.base.clock.now() + delayMs,
    ...more,
  });
  return jobId;
}

export async function jobOf(prism: TestPrism, id: string): Promise<JobBody> {
  return (await prism.get<JobBody>(`/api/v1/jobs/${id}`)).body;
}

export async function queueOf(prism: TestPrism, name: string): Promise<QueueBody> {
  return (await prism.get<QueueBody>(`/api/v1/queues/${name}`)).body;
}
