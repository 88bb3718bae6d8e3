/** The outside channels that a worker elsewhere can send by (D35). What goes to an app at Pusher goes from the server. */
export const WORKER_CHANNELS = ["email", "webhook", "fcm", "apns"] as const;
export type WorkerChannel = (typeof WORKER_CHANNELS)[number];

export function isWorkerChannel(name: string): name is WorkerChannel {
  return WORKER_CHANNELS.some((channel) => channel === name);
}
