import * as v from "valibot";
import type { Config } from "../../config/load.ts";
import { CommandError, EXIT, ServerRefused } from "../../core/command-error.ts";
import { uuidv7 } from "../../core/ids.ts";
import { WORKER_CHANNELS, type WorkerChannel } from "../../core/text/vocabulary.ts";
import { systemClock } from "../../core/time/clock.ts";
import { type ChannelCalls, callWithin, ProviderDown, TargetGone } from "../../features/delivery/channel.ts";
import { channelCalls } from "../../features/delivery/channel-calls.ts";
import { ATTEMPT_JOB } from "../../features/delivery/deliveries.ts";
import { PermanentError, RetryLater } from "../../features/time/jobs/runner/job.ts";
import { jitteredDelayMs } from "../../features/time/jobs/runner/job-execution.ts";

/** A job as dispatched by a server. */
export interface LeasedJob {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Identifies the attempt. */
  readonly fence: number;
  readonly correlationId: string;
  readonly runAt: string;
}

/** The work of a worker for some queues. */
export interface WorkerCalls {
  /**
   * Runs a job, at least once. @returns its result. @throws RetryLater, PermanentError, TargetGone
   * or ProviderDown for what they say, {@link ServerOnly} for a job that this process can never
   * run, anything else to be tried again. It ends soon after the signal has aborted, with whatever
   * it likes
   * @param stopping aborts when the worker begins to stop; a job that need not be ended then may
   * throw StoppedCall, and is handed back
   */
  run(job: LeasedJob, signal: AbortSignal, stopping: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

export interface ChannelWork extends WorkerCalls {
  /** Channels configured in this process. */
  readonly channels: readonly WorkerChannel[];
}

/** The job needs the server: it is released, and its queue is no longer claimed from. */
export class ServerOnly extends Error {
  override readonly name = "ServerOnly";
}

/** A dispatched attempt. Its message is the result of the channel's `prepare`, for its `call`. */
const Handed = v.object({
  deliveryId: v.string(),
  channel: v.picklist(WORKER_CHANNELS),
  message: v.looseObject({}),
});

/** Makes the calls of attempts with the settings of this process. */
export function channelWork(config: Config): ChannelWork {
  const calls: Readonly<Record<WorkerChannel, ChannelCalls>> = channelCalls(config, systemClock);
  return {
    channels: WORKER_CHANNELS.filter((channel) => calls[channel].isConfigured),
    async run({ kind, payload }, signal, stopping) {
      const handed = v.safeParse(Handed, payload);
      const channel = handed.success ? calls[handed.output.channel] : undefined;
      if (kind !== ATTEMPT_JOB || !handed.success || !channel?.isConfigured)
        throw new ServerOnly(`the server dispatched a job that this version cannot run (${kind})`);
      const { message } = handed.output;
      // A lost lease also aborts the call.
      return callWithin((limit) => channel.call(message, limit), AbortSignal.any([signal, stopping]));
    },
    async close() {
      await Promise.all(Object.values(calls).map(async (channel) => channel.close?.()));
    },
  };
}

/** How long a claim waits for a job; each renews the lease, which lasts a minute. */
export const CLAIM_WAIT_MS = 20_000;
const CLAIM_LIMIT_MS = CLAIM_WAIT_MS + 30_000;
/** Limit of jobs per claim. */
const MAX_CLAIMED = 100;
const MAX_ERROR = 4000;
/** The server's limit of a result. */
const MAX_RESULT_BYTES = 16_384;
/** Delay between attempts to reach the server, with jitter so that workers do not align. */
const AWAY = { backoffBaseMs: 500, backoffCapMs: 15_000 };

export interface Claimed {
  readonly jobs: readonly LeasedJob[];
  /** The named channels that the server leaves to workers. */
  readonly channels: readonly string[];
}

export interface ClaimOf {
  readonly queues: readonly string[];
  readonly channels: readonly WorkerChannel[];
}

/** The server: a request that it refuses throws ServerRefused, without an answer CommandError 4. */
export interface Server {
  post<T>(path: string, body: unknown, limitMs?: number, signal?: AbortSignal): Promise<T>;
}

/** A worker's requests to the server, with one token. */
export class WorkerLink {
  /** Generated at the start and constant afterwards. */
  readonly workerId = uuidv7();
  readonly #server: Server;
  readonly #host: string;

  constructor(server: Server, host: string) {
    this.#server = server;
    this.#host = host.slice(0, 255) || "unknown";
  }

  claim({ queues, channels }: ClaimOf, max: number, waitMs: number, signal?: AbortSignal): Promise<Claimed> {
    const body = {
      workerId: this.workerId,
      host: this.#host,
      queues,
      channels,
      max: Math.min(max, MAX_CLAIMED),
      waitMs,
    };
    return this.#server.post<Claimed>("/api/v1/workers/claim", body, CLAIM_LIMIT_MS, signal);
  }

  /** @param jobs of this worker: others dispatched to it never arrived. */
  async renew(jobs: readonly string[]): Promise<void> {
    await this.#server.post("/api/v1/workers/renew", { workerId: this.workerId, jobs });
  }

  async complete({ id, fence }: LeasedJob, result: unknown): Promise<void> {
    const text = JSON.stringify(result);
    const isKept = text !== undefined && Buffer.byteLength(text) <= MAX_RESULT_BYTES;
    await this.#server.post(`/api/v1/jobs/${id}/complete`, { fence, ...(isKept ? { result } : {}) });
  }

  async fail({ id, fence }: LeasedJob, error: unknown): Promise<void> {
    await this.#server.post(`/api/v1/jobs/${id}/fail`, { fence, ...failureOf(error) });
  }

  async handBack({ id, fence }: LeasedJob): Promise<void> {
    await this.#server.post(`/api/v1/jobs/${id}/fail`, { fence, handBack: true });
  }
}

/** An error for the server: its class decides about the job. */
function failureOf(error: unknown) {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const words = { error: Array.from(text).slice(0, MAX_ERROR).join("") || "failed" };
  if (error instanceof TargetGone)
    return { ...words, fault: "target", ...(error.since === undefined ? {} : { since: error.since }) };
  if (error instanceof ProviderDown) return { ...words, fault: "provider" };
  if (error instanceof PermanentError) return { ...words, permanent: true };
  return error instanceof RetryLater ? { ...words, retryAfterMs: Math.round(error.retryAfterMs) } : words;
}

/**
 * The meaning of a failed request. `away`: the server is restarting, unreachable or busy; retry.
 * `over`: the worker no longer holds the job. `end`: no further request can succeed.
 */
export function verdictOf(error: unknown): "away" | "over" | "end" {
  if (error instanceof CommandError) return error.exitCode === EXIT.unreachable ? "away" : "end";
  if (!(error instanceof ServerRefused)) return "end";
  if (error.status >= 500 || error.status === 429 || error.status === 408) return "away";
  return error.code === "INVALID_STATE" || error.code === "JOB_NOT_FOUND" ? "over" : "end";
}

/** Delay before the next request. @param failures consecutive ones */
export function awayMs(failures: number, error: unknown): number {
  const asked = error instanceof ServerRefused ? (error.retryAfterMs ?? 0) : 0;
  return asked + jitteredDelayMs(failures, AWAY);
}

/** The error that ends the worker, with the next step if it concerns the token. */
export function endOf(error: unknown): unknown {
  if (error instanceof ServerOnly) return new CommandError(EXIT.refused, error.message, { cause: error });
  if (!(error instanceof ServerRefused)) return error;
  const { status, code, message, details } = error;
  if (status !== 401 && status !== 403) return error;
  const hint = "a worker needs a valid service token with jobs:work (prism token create --scopes jobs:work)";
  return new ServerRefused(status, code, `${message}; ${hint}`, details);
}
