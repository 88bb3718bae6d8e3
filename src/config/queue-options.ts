import * as k from "./kinds.ts";
import { option } from "./option.ts";

const HOUR = 3_600_000;

/** The queues of the job table (contract 8.3). Their order is the order in which they are shown. */
export const QUEUE_OPTIONS = {
  "event-processing": queue(4, 8, "poison events and reprocessing"),
  "notification-delivery": queue(16, 8, "recipients of rules that reach many, attempts on outside channels"),
  "push-notification": queue(16, 8, "attempts on push services"),
  "bucket-monitoring": queue(1, 3, "checks of transfer buckets"),
  "alert-suppression": queue(2, 5, "what suppression has held back"),
  messages: queue(8, 1, "first deliveries of delayed messages"),
  "messages-retry": queue(4, 5, "further deliveries of delayed messages"),
  "messages-dead-letter": queue(0, 1, "delayed messages that could not be delivered; nothing runs here", 0),
  alert: queue(2, 5, "alerts of projects with many errors"),
  digest: queue(1, 3, "digests"),
  retention: queue(1, 3, "removal of what is no longer kept"),
  timers: queue(8, 5, "timer actions and scheduled notifications"),
  module: queue(2, 5, "jobs of each module"),
};

function queue(concurrency: number, maxAttempts: number, what: string, minConcurrency = 1) {
  const live = { reloadable: true };
  return {
    concurrency: option(k.integer(minConcurrency, 1000), concurrency, `jobs at a time: ${what}`, live),
    maxAttempts: option(k.integer(1, 100), maxAttempts, `attempts before a new job counts as dead: ${what}`, live),
    backoffBaseMs: option(
      k.duration(1, HOUR),
      1000,
      `longest wait before the second attempt, doubling with each: ${what}`,
      live,
    ),
    backoffCapMs: option(k.duration(1, 24 * HOUR), 900_000, `longest wait before any attempt: ${what}`, live),
  };
}
