import { isWorkerChannel, type WorkerChannel } from "./vocabulary.ts";

/** The queues of this program (contract 8.3). */
export const QUEUES = [
  "event-processing",
  "notification-delivery",
  "push-notification",
  "bucket-monitoring",
  "alert-suppression",
  "messages",
  "messages-retry",
  "messages-dead-letter",
  "alert",
  "digest",
  "retention",
  "timers",
] as const;

/** A module has a queue of its own. */
export type ModuleQueue = `module:${string}`;

/**
 * Attempts by a channel that is left to workers elsewhere (`delivery.workers`) stand in a queue of
 * their own, in front of which nobody here stands.
 */
export type WorkerQueue = `workers:${WorkerChannel}`;

export type QueueName = (typeof QUEUES)[number] | ModuleQueue | WorkerQueue;

export function isModuleQueue(name: string): name is ModuleQueue {
  return name.startsWith("module:");
}

export function isWorkerQueue(name: string): name is WorkerQueue {
  return name.startsWith("workers:") && isWorkerChannel(name.slice("workers:".length));
}

/**
 * Where attempts by the channel stand while the server makes them; the queue that a worker names to
 * be given them.
 */
export function deliveryQueue(channel: string): "notification-delivery" | "push-notification" {
  return channel === "fcm" || channel === "apns" ? "push-notification" : "notification-delivery";
}

/** The queue whose settings and pause hold for a worker queue, too. */
export function parentQueue(name: WorkerQueue): ReturnType<typeof deliveryQueue> {
  return deliveryQueue(name.slice("workers:".length));
}

/** {@link parentQueue}; undefined for a queue that is no part of another. */
export function parentOf(name: QueueName): QueueName | undefined {
  return isWorkerQueue(name) ? parentQueue(name) : undefined;
}

/**
 * Names by which S2 knows a queue stand for it (D32). @returns undefined for a name that no queue
 * can have.
 */
export function parseQueueName(text: string): QueueName | undefined {
  if (/^module:[a-z][a-z0-9-]{1,63}$/.test(text)) return text as ModuleQueue;
  if (isWorkerQueue(text)) return text;
  const name = text.endsWith("-queue") ? text.slice(0, -"-queue".length) : text;
  return QUEUES.find((queue) => queue === name);
}

/** What a queue is given; read anew at each use, for a reload may change it. */
export interface QueueSettings {
  /** Jobs that run at a time; 0 parks what is there. */
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}
