import type { TestContext } from "node:test";
import { uuidv7 } from "../../../../../src/core/ids.ts";
import type { QueueName } from "../../../../../src/core/limits/queues.ts";
import { makeUser } from "../../../../helpers/people.ts";
import { type PrismOptions, type Reply, startPrism, type TestPrism } from "../../../../helpers/prism.ts";
import { rowsOf } from "../../../../helpers/tables.ts";
import { makeServiceToken } from "../../../../http/support/access/makers.ts";

export const QUEUE = "module:outside" as const;

export interface LeasedJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly leaseUntil: string;
  readonly label?: string;
  readonly correlationId: string;
  readonly runAt: string;
}

export interface JobRow {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly runAt: number;
  readonly result: string | null;
  readonly lastError: string | null;
  readonly workerId: string | null;
}

type ErrorBody = { readonly error?: { readonly code: string } };

/** A remote worker: a service token, an id, and four requests. */
export class TestWorker {
  readonly id = uuidv7();
  readonly #prism: TestPrism;
  readonly tokenId: string;
  readonly token: string;
  readonly owner: string;

  constructor(prism: TestPrism, token: { readonly id: string; readonly token: string; readonly owner: string }) {
    this.#prism = prism;
    this.tokenId = token.id;
    this.token = token.token;
    this.owner = token.owner;
  }

  /** Another worker with the same token. */
  twin(): TestWorker {
    return new TestWorker(this.#prism, { id: this.tokenId, token: this.token, owner: this.owner });
  }

  claim(options: object = {}): Promise<Reply<{ jobs: LeasedJob[] } & ErrorBody>> {
    const body = { workerId: this.id, host: "elsewhere", queues: [QUEUE], max: 10, ...options };
    return this.#prism.post("/api/v1/workers/claim", body, this);
  }

  /** The jobs of a claim that is served. */
  async claimed(options: object = {}): Promise<LeasedJob[]> {
    const reply = await this.claim(options);
    if (reply.status !== 200) throw new Error(reply.text);
    return reply.body.jobs;
  }

  /** The only job of a claim. */
  async one(options: object = {}): Promise<LeasedJob> {
    const [job, ...more] = await this.claimed(options);
    if (!job || more.length > 0) throw new Error(`${more.length} more than ${job?.id}`);
    return job;
  }

  renew(jobs?: readonly string[]): Promise<Reply<{ leaseUntil?: string } & ErrorBody>> {
    return this.#prism.post("/api/v1/workers/renew", { workerId: this.id, ...(jobs ? { jobs } : {}) }, this);
  }

  complete({ id, fence }: Pick<LeasedJob, "id" | "fence">, body: object = {}): Promise<Reply<ErrorBody>> {
    return this.#prism.post(`/api/v1/jobs/${id}/complete`, { fence, ...body }, this);
  }

  fail({ id, fence }: Pick<LeasedJob, "id" | "fence">, body: object = {}): Promise<Reply<ErrorBody>> {
    return this.#prism.post(`/api/v1/jobs/${id}/fail`, { fence, error: "it did not work", ...body }, this);
  }
}

/** `200`, or the status and code of a refusal. */
export async function outcomeOf(reply: Promise<Reply<ErrorBody>>): Promise<string> {
  const { status, body } = await reply;
  return body.error ? `${status} ${body.error.code}` : String(status);
}

/** A worker of an administrator of its own. */
export async function makeWorker(prism: TestPrism, name = "worker"): Promise<TestWorker> {
  const { id: userId, token: owner } = await makeUser(prism, name, ["Admin"]);
  const token = await makeServiceToken(prism, userId, { scopes: ["jobs:work"] });
  return new TestWorker(prism, { ...token, owner });
}

export async function startWithWorker(
  t: TestContext,
  options: PrismOptions = {},
): Promise<{ prism: TestPrism; worker: TestWorker }> {
  const settings = { "rateLimit.enabled": "false", ...options.settings };
  const prism = await startPrism(t, { ...options, settings });
  return { prism, worker: await makeWorker(prism) };
}

type NewJob = Parameters<TestPrism["parts"]["offers"]["jobs"]["enqueue"]>[0];

/** A job that is due now, of a module that the server has not loaded. @returns its id. */
export async function addJob(prism: TestPrism, payload: unknown = {}, job: Partial<NewJob> = {}): Promise<string> {
  const { jobs } = prism.parts.offers;
  const { clock } = prism.parts.base;
  const queue: QueueName = QUEUE;
  const { jobId } = await jobs.enqueue({ queue, kind: "work", payload, runAt: clock.now(), ...job });
  return jobId;
}

export function jobRow(prism: TestPrism, id: string): JobRow {
  const row = rowsOf<JobRow>(prism, "select * from jobs where id = ?", id)[0];
  if (!row) throw new Error(`there is no job ${id}`);
  return row;
}

export function attemptsOf(prism: TestPrism, id: string): { outcome: string; error: string | null; worker: string }[] {
  return rowsOf(prism, "select outcome, error, worker from job_attempts where jobId = ? order by attempt", id);
}
