import type { JobDetail as JobBody, Queue as QueueBody } from "../../../../../src/client/api-types.gen.ts";
import type { QueueName } from "../../../../../src/core/limits/queues.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";

export const DAY_MS = 86_400_000;

export type { JobDetail as JobBody, JobPage, Queue as QueueBody } from "../../../../../src/client/api-types.gen.ts";

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
  const { jobId } = await parts.offers.jobs.enqueue({
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
