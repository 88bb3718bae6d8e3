import { unlessAborted } from "../../../core/promises.ts";
import type { Attempt, DeliveryChannel } from "../../delivery/channel.ts";
import type { DeliveryParts } from "../../delivery/deliveries.ts";
import { notificationView, UNTOUCHED } from "../../notifications/index.ts";
import { userChannel } from "../../protocols/pusher/index.ts";
import { PusherBatches, PusherClient, type PusherClientParts, type PusherEvent } from "./client.ts";

type PusherContext = Pick<DeliveryParts, "db" | "sounds" | "log"> & PusherClientParts;

/** Pusher's size limit for the data of one event. */
const MAX_DATA_BYTES = 10_240;
const EVENT = "notification";

/**
 * Sends notifications to an app at Pusher: the event `notification` on each recipient's private
 * channel, with `pusher.mode` remote.
 */
export function pusherChannel(context: PusherContext): DeliveryChannel<PusherEvent> {
  const client = new PusherClient(context);
  const batches = new PusherBatches((events) => client.send(events));
  return {
    name: "pusher",
    isConfigured: context.config.pusher.mode === "remote",
    // Every user has a channel; only Pusher knows its subscribers.
    targets: (userIds) => Promise.resolve(userIds.map((userId) => ({ userId, target: "" }))),
    prepare: (attempt) => Promise.resolve(eventOf(context, attempt)),
    async call(event, signal) {
      signal.throwIfAborted();
      await unlessAborted(batches.add(event), signal);
      return {};
    },
    async interpret(attempt, answer) {
      if ("accepted" in answer) await recordSent(context, attempt);
      return answer;
    },
    close: () => batches.close(),
  };
}

function eventOf(context: PusherContext, attempt: Attempt): PusherEvent {
  return { channel: userChannel(attempt.delivery.userId), name: EVENT, data: dataOf(context, attempt) };
}

/** The notification as its recipient sees it, as JSON; of a large one only its path. */
function dataOf({ sounds }: PusherContext, { delivery, notification, offset }: Attempt): string {
  const recipient = { ...UNTOUCHED, userId: delivery.userId, seq: offset };
  const view = notificationView(notification, recipient, null, sounds.urlOf);
  // A batch has no ids: clients detect a repeated attempt by the delivery id.
  const data = JSON.stringify({ ...view, deliveryId: delivery.id });
  if (Buffer.byteLength(data) <= MAX_DATA_BYTES) return data;
  const { id } = notification;
  return JSON.stringify({ id, truncated: true, fetch: `/api/v1/notifications/${id}` });
}

/** Records it once per notification. Pusher has the event, so a failed write is no error. */
async function recordSent({ db, log }: PusherContext, { notification }: Attempt): Promise<void> {
  if (notification.pusherEventSent === 1) return;
  const { id } = notification;
  const mark = { pusherEventSent: 1 } as const;
  await db
    .write((trx) =>
      trx.updateTable("notifications").set(mark).where("id", "=", id).where("pusherEventSent", "=", 0).execute(),
    )
    .catch((error: unknown) =>
      log.warn({ err: error, notificationId: id }, "cannot record that Pusher accepted the event"),
    );
}
