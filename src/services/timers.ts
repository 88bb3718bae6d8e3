import { currentCaller, runAs } from "../base/caller.ts";
import type { Clock } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import type { UserPrincipal } from "../base/principal.ts";
import { missingPermission } from "../http/access.ts";
import { finishOf } from "../jobs/attempt-end.ts";
import { COMPLETED, PermanentError, type RunningJob } from "../jobs/job.ts";
import type { JobRunner } from "../jobs/runner.ts";
import type { IngestService } from "../pipeline/ingest-service.ts";
import type { Database, InTransaction, Trx } from "../store/database.ts";
import type { Bus } from "./bus.ts";
import type { JobService } from "./job-service.ts";
import type { Notifier } from "./notifier.ts";
import type { Principals } from "./principals.ts";
import type { UserDirectory } from "./user-directory.ts";

/** What a timer does when its time has come (contract 8.6). */
export type TimerAction = NotifyAction | EventAction;

/** Whoever emits this on the bus reaches a user (D19). */
const NOTIFY_EVENT = "notify";

interface NotifyAction {
  readonly type: "notify";
  readonly payload: {
    /** A reference (D18) when the timer is made; stored as the id it stood for. */
    readonly userId: string;
    readonly title: string;
    readonly message: string;
    readonly data?: unknown;
  };
}

interface EventAction {
  readonly type: "event";
  readonly event: string;
  readonly payload: unknown;
  /** Also an event of the default project. */
  readonly persist: boolean;
}

/** A timer that waits: the new one, or the one that held the dedupe key. */
export interface Timer {
  readonly jobId: string;
  readonly label: string;
  readonly runAt: number;
  readonly state: string;
  readonly action: TimerAction;
}

export interface TimerOptions extends InTransaction {
  /** While a timer of this creator with this key waits, it stands for the new one. */
  readonly dedupeKey?: string | undefined;
}

export interface TimerParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly principals: Principals;
  readonly directory: UserDirectory;
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
    { trx, dedupeKey }: TimerOptions = {},
  ): Promise<Timer> {
    const { database, jobs, clock } = this.#parts;
    const { principal, correlationId } = currentCaller();
    const creator = principal && principal.kind !== "apiKey" ? principal : null;
    return database.writeIn({ trx }, async (inner) => {
      const payload: TimerPayload = { action: await this.#settled(action, creator, inner) };
      const job = await jobs.enqueue(
        {
          queue: "timers",
          kind: "timer",
          payload,
          runAt: clock.now() + delayMs,
          label,
          // Of each creator's own: nobody is told of, or kept from, a timer by the key that somebody else chose.
          dedupeKey: dedupeKey === undefined ? null : `${creator?.key ?? "system"} ${dedupeKey}`,
          createdBy: creator?.userId ?? null,
          correlationId: correlationId ?? uuidv7(),
        },
        { trx: inner },
      );
      const { jobId, runAt, state } = job;
      return {
        jobId,
        runAt,
        state,
        label: job.label ?? label,
        action: (JSON.parse(job.payload) as TimerPayload).action,
      };
    });
  }

  /** The action as it is stored, with its recipient found. @throws UNAUTHORIZED_ROLE, RECIPIENT_NOT_FOUND */
  async #settled(action: TimerAction, creator: UserPrincipal | null, trx: Trx): Promise<TimerAction> {
    if (action.type === "event") {
      if (creator) this.#requireRights(creator, action);
      return action;
    }
    const { userId: ref } = action.payload;
    // Before an unknown reference makes a user: it is somebody else in any case.
    if (creator) this.#requireRights(creator, action);
    const [userId = ref] = await this.#parts.directory.recipients([ref], trx, null);
    return { ...action, payload: { ...action.payload, userId } };
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
      this.#requireRights(creator, action);
      return creator;
    } catch (error) {
      if (error instanceof PrismError)
        throw new PermanentError("FORBIDDEN: the timer's creator may not do this any more", { cause: error });
      throw error;
    }
  }

  /** An event that makes a notification (D19) needs what the notification needs. @throws UNAUTHORIZED_ROLE */
  #requireRights(principal: UserPrincipal, action: TimerAction): void {
    const need = (permission: "timers:create" | "notifications:send" | "events:emit"): void => {
      if (!principal.permissions.has(permission)) throw missingPermission(permission);
    };
    need("timers:create");
    if (action.type === "event") need("events:emit");
    const ref = recipientOf(action);
    if (ref === undefined || ref === "me") return;
    if (ref === null || this.#parts.directory.find(ref) !== principal.userId) need("notifications:send");
  }

  /** Notification and completion are one transaction: exactly once. */
  async #notify(job: RunningJob, { payload }: NotifyAction): Promise<unknown> {
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
  async #emit(job: RunningJob, { event, payload, persist }: EventAction): Promise<unknown> {
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
    const delivered = await bus.deliver(event, payload, job.correlationId);
    return persist ? COMPLETED : delivered;
  }
}

/** Whom an action tells something; null for nobody in particular, undefined when it tells nobody. */
function recipientOf(action: TimerAction): string | null | undefined {
  if (action.type === "notify") return action.payload.userId;
  if (action.event !== NOTIFY_EVENT) return undefined;
  const { userId } = asObject(action.payload);
  return typeof userId === "string" ? userId : null;
}

function asObject(payload: unknown): Record<string, unknown> {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload)
    ? (payload as Record<string, unknown>)
    : { value: payload };
}
