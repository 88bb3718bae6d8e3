import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import { WORKER_CHANNELS } from "../../core/worker-channels.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Presence } from "../../live/presence.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";
import type { JobControl, JobRunner, JobService, WorkerLeases } from "../jobs/index.ts";
import type { Notifier } from "../notifications/index.ts";
import { DELIVER_JOB } from "../rules/index.ts";
import { AttemptEnds } from "./attempt-ends.ts";
import { Attempts } from "./attempts.ts";
import type { MailSender } from "./channels/mail/mail-sender.ts";
import type { Circuits } from "./circuits.ts";
import { ATTEMPT_JOB, MERGE_JOB } from "./delivery-jobs.ts";
import { DeliveryLimits } from "./delivery-limits.ts";
import { DeliveryMetrics } from "./delivery-metrics.ts";
import { handleMails } from "./mails.ts";
import { Merging } from "./merging.ts";
import { Planner } from "./planner.ts";
import { RemoteAttempts } from "./remote-attempts.ts";
import type { Senders } from "./senders.ts";
import { Settling } from "./settling.ts";
import { TargetQueues } from "./target-queues.ts";

export interface DeliveryParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly workerLeases: WorkerLeases;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly presence: Presence;
  readonly senders: Senders;
  readonly circuits: Circuits;
  readonly settings: LiveSettings;
  readonly notify: Notifier;
  readonly box: SealedBox;
  readonly mail: MailSender;
}

/** What effects keep current. */
export interface DeliveryMemory {
  readonly results: DeliveryMetrics;
  /** The attempt waits no more for its turn: those after it need not wait for it. */
  endTurn(target: string, jobId: string): void;
}

/**
 * What of a notification leaves the program (contract 7, steps 8 and 9). The commit that makes a notification leaves one job; that one plans a
 * delivery for each recipient and place, with a job of its own; each attempt at it is a call between two transactions.
 */
export class Delivery {
  readonly #parts: DeliveryParts;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  begin(): DeliveryMemory {
    const { runner, jobControl, clock, settings, metrics, senders } = this.#parts;
    const targets = new TargetQueues(clock, recalling(this.#parts));
    const results = new DeliveryMetrics(metrics);
    const shared = {
      ...this.#parts,
      limits: new DeliveryLimits(clock, () => settings.delivery),
      settling: new Settling(this.#parts),
      targets,
    };
    const planner = new Planner(shared);
    const ends = new AttemptEnds(shared);
    const attempts = new Attempts({ ...shared, ends });
    new RemoteAttempts({ ...shared, ends }).serve();
    const merging = new Merging(shared);
    handleMails({ ...shared, results });
    runner.handle(DELIVER_JOB, (job, signal) => planner.plan(job, signal), { notesBegin: true });
    runner.handle(ATTEMPT_JOB, (job, signal) => attempts.attempt(job, signal), { notesBegin: true });
    runner.handle(MERGE_JOB, (job) => merging.merge(job), { notesBegin: true });
    for (const channel of WORKER_CHANNELS) {
      // What was left to workers until the last start.
      if (!senders.isForWorkers(channel)) runner.serve(`workers:${channel}`);
    }
    jobControl.whenEnded(ATTEMPT_JOB, (trx, moved) => attempts.follow(trx, moved));
    return { results, endTurn: (target, jobId) => targets.forget(target, jobId) };
  }
}

/** Makes deferred jobs ready that their targets can take, those of one turn of the event loop in one transaction. What cannot be recalled comes back by itself. */
function recalling({ jobs, log }: Pick<DeliveryParts, "jobs" | "log">): (jobIds: readonly string[]) => void {
  let waiting: string[] = [];
  return (jobIds) => {
    if (waiting.length === 0)
      setImmediate(() => {
        const recalled = waiting;
        waiting = [];
        jobs.recall(recalled).catch((error: unknown) => log.warn({ err: error }, "attempts could not be recalled"));
      });
    waiting.push(...jobIds);
  };
}
