import type { Logger } from "../../core/log.ts";
import { WORKER_CHANNELS } from "../../core/text/vocabulary.ts";
import type { NotificationRow } from "../../store/commit/write-set.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { mailChannel } from "../channels/mail/channel.ts";
import { PushChannel } from "../channels/push/channel.ts";
import { pusherChannel } from "../channels/pusher/channel.ts";
import { webhookChannel } from "../channels/webhook/channel.ts";
import { OutsideHosts, outsideRulesOf } from "../channels/webhook/safe-fetch.ts";
import { webPushChannel } from "../channels/webpush/channel.ts";
import { DELIVER_JOB } from "../rules/index.ts";
import type { JobService } from "../time/jobs/index.ts";
import { attemptDelivery, followJob } from "./attempt.ts";
import { channelCalls } from "./channel-calls.ts";
import { Circuits, DeliveryLimits } from "./circuits.ts";
import {
  ATTEMPT_JOB,
  type DeliveryContext,
  DeliveryMetrics,
  type DeliveryParts,
  MERGE_JOB,
  type ReadEventAlerts,
} from "./deliveries.ts";
import { MAIL_JOB, sendMail } from "./mails.ts";
import { mergeDeliveries } from "./merge.ts";
import {
  type PageFacts,
  type PersonWay,
  type PlannedPages,
  peoplePages,
  planPages,
  reachableUsers,
  waysOf,
} from "./pages/people.ts";
import { PageSender } from "./pages/sender.ts";
import { planDeliveries } from "./plan.ts";
import { serveWorkers } from "./remote.ts";
import { TargetQueues } from "./target-queues.ts";

/** Memory that effects keep current. */
export interface DeliveryMemory {
  readonly results: DeliveryMetrics;
  /** The attempt no longer waits for its target. */
  endTurn(target: string, jobId: string): void;
}

/** Pages the recipients of a notification of an incident, in the transaction that stores it. */
type PagePeople = (
  trx: Trx,
  notification: NotificationRow,
  userIds: readonly string[],
  facts: PageFacts,
) => Promise<PlannedPages>;

/** The users whom a notice of an incident may reach outside of the app. */
type ReachablePeople = (
  db: ReadDb | Trx,
  userIds: readonly string[],
  facts: { readonly projectId: string; readonly priority: number; readonly channels: string },
) => Promise<ReadonlySet<string>>;

/** The ways by which notices of incidents go to people, outside of the app. */
type WaysOfPeople = (
  db: ReadDb | Trx,
  userIds: readonly string[],
  facts: Parameters<typeof waysOf>[3],
) => Promise<readonly PersonWay[]>;

export interface DeliveryServices {
  readonly circuits: Circuits;
  readonly delivery: DeliveryMemory;
  readonly pages: PageSender;
  readonly pagePeople: PagePeople;
  readonly reachable: ReachablePeople;
  readonly waysOf: WaysOfPeople;
}

/**
 * Starts external delivery. The commit that creates a notification adds one job (plan.ts). That job
 * plans a delivery with its own job for each recipient and target. Each attempt is a call between
 * two transactions (attempt.ts).
 */
export function openDelivery(parts: DeliveryParts, eventAlerts: ReadEventAlerts): DeliveryServices {
  const { jobs, clock, settings, channels } = parts;
  const log = parts.log.namespace("delivery");
  const circuits = new Circuits(clock, log, parts.metrics);
  const metrics = new DeliveryMetrics(parts.metrics);
  const queues = new TargetQueues(clock, recalling(jobs, log));
  const pages = new PageSender({ db: parts.db, clock, log, channels, projects: parts.projects });
  addChannels(parts, log);
  const limits = new DeliveryLimits(clock, () => settings.delivery);
  const context: DeliveryContext = { ...parts, log, circuits, limits, metrics, queues, pages, eventAlerts };
  handleJobs(context, parts);
  pages.handle("delivery", peoplePages(context));
  return {
    ...{ circuits, pages },
    delivery: { results: metrics, endTurn: (target, jobId) => queues.forget(target, jobId) },
    pagePeople: (...given) => planPages(context, ...given),
    reachable: (...given) => reachableUsers(context, ...given),
    waysOf: (...given) => waysOf(context, ...given),
  };
}

/** Adds all channels; unconfigured ones are never planned for. */
function addChannels(parts: DeliveryParts, log: Logger): void {
  const { config, settings, clock, channels, db, sounds, pusher: app } = parts;
  const calls = channelCalls(config, clock, () => settings.current);
  channels.add(mailChannel(parts, calls.email));
  channels.add(new PushChannel("fcm", calls.fcm, parts));
  channels.add(new PushChannel("apns", calls.apns, parts));
  channels.add(webPushChannel(parts, calls.webpush));
  channels.add(webhookChannel(parts, calls.webhook));
  const hosts = new OutsideHosts(outsideRulesOf(config));
  channels.add(pusherChannel({ db, sounds, log, config, app, hosts }));
}

function handleJobs(context: DeliveryContext, { runner, jobControl, workerLeases }: DeliveryParts): void {
  const options = { notesBegin: true } as const;
  runner.handle(DELIVER_JOB, (job, signal) => planDeliveries(context, job, signal), options);
  runner.handle(ATTEMPT_JOB, (job, signal) => attemptDelivery(context, job, signal), options);
  runner.handle(MERGE_JOB, (job) => mergeDeliveries(context, job), options);
  runner.handle(MAIL_JOB, (job, signal) => sendMail(context, job, signal), options);
  jobControl.whenEnded(ATTEMPT_JOB, (trx, moved) => followJob(context, trx, moved));
  serveWorkers(context, workerLeases);
  for (const channel of WORKER_CHANNELS) {
    // Attempts that belonged to remote workers until the last restart.
    if (!context.channels.isForWorkers(channel)) runner.serve(`workers:${channel}`);
  }
}

/**
 * Makes deferred jobs ready when their targets can take them, in one transaction per turn of the
 * event loop. Jobs that cannot be recalled become ready by themselves.
 */
function recalling(jobs: JobService, log: Logger): (jobIds: readonly string[]) => void {
  let waiting: string[] = [];
  return (jobIds) => {
    if (waiting.length === 0)
      setImmediate(() => {
        const recalled = waiting;
        waiting = [];
        jobs.recall(recalled).catch((error: unknown) => log.warn({ err: error }, "cannot cancel attempts"));
      });
    waiting.push(...jobIds);
  };
}
