import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../core/log.ts";
import { deferred, within } from "../../core/promises.ts";
import { StoppedCall } from "../../features/delivery/channel.ts";
import {
  awayMs,
  CLAIM_WAIT_MS,
  type Claimed,
  type ClaimOf,
  endOf,
  type LeasedJob,
  ServerOnly,
  verdictOf,
  type WorkerCalls,
  type WorkerLink,
} from "./link.ts";

const RENEW_EVERY_MS = 20_000;
/**
 * Waits for an answer in flight when the worker stops: its jobs can be released at once instead of
 * being lost for a minute.
 */
const LAST_CLAIM_MS = 250;
/** Part of the stop's time reserved for releasing jobs. */
const HAND_BACK_MS = 3000;

export interface WorkerLoopParts {
  readonly link: WorkerLink;
  readonly log: Logger;
  readonly claim: ClaimOf;
  readonly concurrency: number;
  readonly shutdownMs: number;
  workOf(job: LeasedJob): WorkerCalls;
  /** The server has answered a claim. */
  onClaimed(claimed: Claimed): void;
}

/** A held job: running, or its end being reported. */
interface Hand {
  readonly job: LeasedJob;
  readonly controller: AbortController;
}

/** Why a running job was abandoned. */
type AbortReason = "stopping" | "lost";

/**
 * Claims jobs, runs them, reports the results, and renews the lease of all held jobs. `running` →
 * `stopping` (no claims, running jobs continue) → `handing back` → ended. While the server is
 * unreachable, held jobs continue and their results are reported later.
 */
export class WorkerLoop {
  readonly #parts: WorkerLoopParts;
  readonly #hands = new Map<string, Hand>();
  readonly #stop = new AbortController();
  /** The server refuses the worker permanently. */
  readonly #failed = deferred<never>();
  #queues: readonly string[];
  #freed = deferred<void>();
  #isRegistered = false;

  constructor(parts: WorkerLoopParts) {
    this.#parts = parts;
    this.#queues = parts.claim.queues;
    this.#failed.promise.catch(() => undefined);
    setMaxListeners(0, this.#stop.signal);
  }

  /** Runs until {@link stop}. @throws the server's error when it refuses the worker */
  async run(): Promise<void> {
    const renewal = setInterval(() => void this.#renew(), RENEW_EVERY_MS);
    try {
      await Promise.race([this.#claimOn(), this.#failed.promise]);
      await Promise.race([this.#end(), this.#failed.promise]);
    } catch (error) {
      for (const { controller } of this.#hands.values()) controller.abort("lost" satisfies AbortReason);
      throw endOf(error);
    } finally {
      clearInterval(renewal);
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  get #isStopping(): boolean {
    return this.#stop.signal.aborted;
  }

  async #claimOn(): Promise<void> {
    for (let failures = 0; !this.#isStopping; ) {
      const free = this.#parts.concurrency - this.#hands.size;
      if (free <= 0) {
        await this.#untilFreed();
        continue;
      }
      try {
        // The first claim, also after an interruption, registers the worker and does not wait.
        const claimed = await this.#claim(free, this.#isRegistered && failures === 0 ? CLAIM_WAIT_MS : 0);
        this.#took(claimed);
        if (failures > 0) this.#parts.log.info({ failures }, "server answers again");
        failures = 0;
      } catch (error) {
        if (this.#isStopping) return;
        if (verdictOf(error) === "end") throw error;
        await this.#pause(awayMs(++failures, error), failures, error);
      }
    }
  }

  async #claim(free: number, waitMs: number): Promise<Claimed> {
    const { link, claim } = this.#parts;
    const giveUp = new AbortController();
    const onStop = (): void => void setTimeout(() => giveUp.abort(), LAST_CLAIM_MS);
    this.#stop.signal.addEventListener("abort", onStop, { once: true });
    try {
      return await link.claim({ ...claim, queues: this.#queues }, free, waitMs, giveUp.signal);
    } finally {
      this.#stop.signal.removeEventListener("abort", onStop);
    }
  }

  #took(claimed: Claimed): void {
    this.#isRegistered = true;
    this.#parts.onClaimed(claimed);
    for (const job of claimed.jobs) void this.#work(job);
  }

  async #pause(delayMs: number, failures: number, error: unknown): Promise<void> {
    const { log } = this.#parts;
    const facts = { failures, delayMs, reason: error instanceof Error ? error.message : String(error) };
    // A restarting server is away for a second or two, which is not worth a warning.
    if (failures === 1 || failures % 10 === 0) log.warn(facts, "claiming jobs failed; retrying");
    else log.debug(facts, "claiming jobs failed; retrying");
    await sleep(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  async #untilFreed(): Promise<void> {
    const stopped = deferred<void>();
    const onStop = (): void => stopped.resolve();
    this.#stop.signal.addEventListener("abort", onStop, { once: true });
    await Promise.race([this.#freed.promise, stopped.promise]);
    this.#stop.signal.removeEventListener("abort", onStop);
  }

  async #work(job: LeasedJob): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    setMaxListeners(0, signal);
    this.#hands.set(job.id, { job, controller });
    const startedAt = performance.now();
    const end = this.#isStopping ? this.#releasing(job) : await this.#attempt(job, signal, startedAt);
    await this.#report(job, end);
    this.#hands.delete(job.id);
    this.#freed.resolve();
    this.#freed = deferred<void>();
  }

  /** @returns the function that reports its end; null if the worker no longer holds it */
  async #attempt(job: LeasedJob, signal: AbortSignal, startedAt: number): Promise<(() => Promise<void>) | null> {
    const { link, log, workOf } = this.#parts;
    const facts = { jobId: job.id, queue: job.queue, kind: job.kind, attempt: job.attempt };
    try {
      const result = await workOf(job).run(job, signal, this.#stop.signal);
      log.debug({ ...facts, durationMs: Math.round(performance.now() - startedAt) }, "job completed");
      return () => link.complete(job, result);
    } catch (error) {
      if (signal.aborted) return signal.reason === ("stopping" satisfies AbortReason) ? this.#releasing(job) : null;
      if (error instanceof StoppedCall) return this.#releasing(job);
      if (error instanceof ServerOnly) this.#withdraw(job.queue, error);
      else log.warn({ ...facts, err: error }, "job failed");
      return error instanceof ServerOnly ? this.#releasing(job) : () => link.fail(job, error);
    }
  }

  #releasing(job: LeasedJob): () => Promise<void> {
    return () => this.#parts.link.handBack(job);
  }

  /** Stops claiming from this job's queue. Without any queue left the worker ends. */
  #withdraw(queue: string, error: ServerOnly): void {
    const { log } = this.#parts;
    if (!this.#queues.includes(queue)) return;
    this.#queues = this.#queues.filter((name) => name !== queue);
    log.error({ queue, reason: error.message }, "jobs of the queue cannot run in a worker; no longer claiming from it");
    if (this.#queues.length === 0) this.#failed.reject(error);
  }

  /** Repeats until the server has the report: no other process knows the result. */
  async #report(job: LeasedJob, end: (() => Promise<void>) | null): Promise<void> {
    const { log } = this.#parts;
    for (let failures = 0; end !== null; ) {
      try {
        return await end();
      } catch (error) {
        const verdict = verdictOf(error);
        const facts = { jobId: job.id, queue: job.queue, reason: error instanceof Error ? error.message : "" };
        if (verdict === "away") await sleep(awayMs(++failures, error));
        else if (verdict === "over") {
          log.warn(facts, "job ended after its lease; the server has requeued it");
          return;
        } else {
          this.#failed.reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
      }
    }
  }

  async #renew(): Promise<void> {
    if (!this.#isRegistered) return;
    const { link, log } = this.#parts;
    try {
      await link.renew([...this.#hands.keys()]);
    } catch (error) {
      const verdict = verdictOf(error);
      if (verdict === "end") this.#failed.reject(error instanceof Error ? error : new Error(String(error)));
      if (verdict !== "over" || this.#hands.size === 0) return;
      log.warn({ jobs: this.#hands.size }, "lease expired; abandoning running jobs, the server requeues them");
      for (const { controller } of this.#hands.values()) controller.abort("lost" satisfies AbortReason);
    }
  }

  /** Running jobs may finish; the rest is released. */
  async #end(): Promise<void> {
    const { shutdownMs, log } = this.#parts;
    const deadline = Date.now() + shutdownMs;
    await within(Math.max(0, shutdownMs - HAND_BACK_MS), this.#idle());
    const left = this.#hands.size;
    for (const { controller } of this.#hands.values()) controller.abort("stopping" satisfies AbortReason);
    if (left > 0) await within(Math.max(HAND_BACK_MS, deadline - Date.now()), this.#idle());
    if (left > 0) log.info({ jobs: left, unreported: this.#hands.size }, "released unfinished jobs");
  }

  async #idle(): Promise<void> {
    while (this.#hands.size > 0) await this.#freed.promise;
  }
}
