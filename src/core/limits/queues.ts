import { isWorkerChannel, type WorkerChannel } from "../text/vocabulary.ts";

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

export type ModuleQueue = `module:${string}`;

/** Attempts of a channel in `delivery.workers`: this process never claims from this queue. */
export type WorkerQueue = `workers:${WorkerChannel}`;

export type QueueName = (typeof QUEUES)[number] | ModuleQueue | WorkerQueue;

export function isModuleQueue(name: string): name is ModuleQueue {
  return name.startsWith("module:");
}

export function isWorkerQueue(name: string): name is WorkerQueue {
  return name.startsWith("workers:") && isWorkerChannel(name.slice("workers:".length));
}

/** Queue of a channel's attempts when the server makes them. Remote workers claim by it too. */
export function deliveryQueue(channel: string): "notification-delivery" | "push-notification" {
  const isPush = channel === "fcm" || channel === "apns" || channel === "webpush";
  return isPush ? "push-notification" : "notification-delivery";
}

/** The queue whose settings and pause also apply to a worker queue. */
export function parentQueue(name: WorkerQueue): ReturnType<typeof deliveryQueue> {
  return deliveryQueue(name.slice("workers:".length));
}

/** {@link parentQueue}; undefined for a queue without a parent. */
export function parentOf(name: QueueName): QueueName | undefined {
  return isWorkerQueue(name) ? parentQueue(name) : undefined;
}

/** Parses a queue name, with or without `-queue`. @returns undefined for an invalid name */
export function parseQueueName(text: string): QueueName | undefined {
  if (/^module:[a-z][a-z0-9-]{1,63}$/.test(text)) return text as ModuleQueue;
  if (isWorkerQueue(text)) return text;
  const name = text.endsWith("-queue") ? text.slice(0, -"-queue".length) : text;
  return QUEUES.find((queue) => queue === name);
}

/** Settings of a queue. Read at each use: a reload may change them. */
export interface QueueSettings {
  /** Jobs that run at once; 0 stops claiming. */
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}
