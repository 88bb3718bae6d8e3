import { currentCaller, runAs } from "../base/caller.ts";
import type { Clock } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import type { UserPrincipal } from "../base/principal.ts";
import { missingPermission } from "../http/access.ts";
import { COMPLETED, PermanentError, type RunningJob } from "../jobs/job.ts";
import type { JobRunner } from "../jobs/runner.ts";
import { finishOf } from "../jobs/runner.ts";
import type { IngestService } from "../pipeline/ingest-service.ts";
import type { Database, InTransaction } from "../store/database.ts";
import type { Bus } from "./bus.ts";
import type { JobService } from "./job-service.ts";
import type { Notifier } from "./notifier.ts";
import type { Principals } from "./principals.ts";

/** What a timer does when its time has come (contract 8.6). */
export type TimerAction =
  | {
      readonly type: "notify";
      readonly payload: {
        readonly userId: string;
        readonly title: string;
        readonly message: string;
        readonly data?: unknown;
        readonly sound?: string | null;
      };
    }
  | { readonly type: "event"; readonly event: string; readonly payload: unknown; readonly persist: boolean };

export interface TimerParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly principals: Principals;
  readonly notifier: Notifier;
  readonly ingest: IngestService;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly defaultProjectId: string;
}

interface TimerPayload {
  readonly action: TimerAction;
}

/** One-shot jobs whose work is an action. Rights are checked when a timer is made and again when it fires. */
export class TimerService {
  readonly #parts: TimerParts;

  constructor(parts: TimerParts) {
    this.#parts = parts;
    parts.runner.handle("timer", (job) => this.#fire(job));
  }

  /** Runs `action` after a delay, which is elapsed time: no clock change moves it. @throws UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND */
  async after(
    label: string,
    delayMs: number,
    action: TimerAction,
    { trx, dedupeKey }: InTransaction & { dedupeKey?: string | undefined } = {},
  ): Promise<{ jobId: string; runAt: number; state: string }> {
    const { principal, correlationId } = currentCaller();
    const creator = principal && principal.kind !== "apiKey" ? principal : null;
    if (creator) requireRights(creator, action);
    return this.#parts.database.writeIn({ trx }, async (inner) => {
      const job = {
        queue: "timers" as const,
        kind: "timer",
        payload: { action } satisfies TimerPayload,
        runAt: this.#parts.clock.now() + delayMs,
        label,
        dedupeKey: dedupeKey ?? null,
        createdBy: creator?.userId ?? null,
        correlationId: correlationId ?? uuidv7(),
      };
      return this.#parts.jobs.enqueue(job, { trx: inner });
    });
  }

  async #fire(job: RunningJob): Promise<unknown> {
    const { action } = job.payload as TimerPayload;
    const creator = job.createdBy === null ? null : this.#creator(job.createdBy, action);
    const caller = {
      principal: creator,
      process: "job" as const,
      ip: null,
      requestId: null,
      correlationId: job.correlationId,
    };
    return runAs(caller, () => (action.type === "notify" ? this.#notify(job, action) : this.#emit(job, action)));
  }

  /** Whoever made the timer must still be somebody who may. @throws PermanentError FORBIDDEN */
  #creator(userId: string, action: TimerAction): UserPrincipal {
    try {
      const creator = this.#parts.principals.ofUser(userId);
      requireRights(creator, action);
      return creator;
    } catch (error) {
      if (error instanceof PrismError)
        throw new PermanentError("FORBIDDEN: the timer's creator may not do this any more", { cause: error });
      throw error;
    }
  }

  /** Notification and completion are one transaction: exactly once. */
  async #notify(job: RunningJob, { payload }: Extract<TimerAction, { type: "notify" }>): Promise<unknown> {
    const { database, notifier, jobs } = this.#parts;
    await database.write(async (trx) => {
      const input = {
        ...payload,
        recipients: [payload.userId],
        kind: "timer" as const,
        correlationId: job.correlationId,
      };
      const { id } = await notifier.send(input, { trx });
      await jobs.complete(job, trx, { notificationId: id });
    });
    return COMPLETED;
  }

  /** The bus hears of it at most once per run; with `persist` the event and the completion are one commit. */
  async #emit(job: RunningJob, { event, payload, persist }: Extract<TimerAction, { type: "event" }>): Promise<unknown> {
    const { ingest, bus, runner, clock, defaultProjectId } = this.#parts;
    if (persist) {
      const finish = finishOf(job.claimed, runner.workerId, clock.now(), {
        outcome: "succeeded" as const,
        result: null,
      });
      // The id is the job's, so a second run after a crash between commit and answer finds the event there.
      await ingest.ingest(
        {
          id: job.id,
          type: event,
          payload: asObject(payload),
          source: "timer",
          projectId: defaultProjectId,
          correlationId: job.correlationId,
        },
        finish,
      );
    }
    const { called, failed } = await bus.deliver(event, payload, job.correlationId);
    return persist ? COMPLETED : { called, failed };
  }
}

/** @throws UNAUTHORIZED_ROLE */
function requireRights(principal: UserPrincipal, action: TimerAction): void {
  const need = (permission: "timers:create" | "notifications:send" | "events:emit"): void => {
    if (!principal.permissions.has(permission)) throw missingPermission(permission);
  };
  need("timers:create");
  if (action.type === "event") need("events:emit");
  else if (action.payload.userId !== "me" && action.payload.userId !== principal.userId) need("notifications:send");
}

function asObject(payload: unknown): Record<string, unknown> {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload)
    ? (payload as Record<string, unknown>)
    : { value: payload };
}
