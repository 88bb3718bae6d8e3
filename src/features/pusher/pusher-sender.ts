import type { Logger } from "../../core/log.ts";
import { unlessAborted } from "../../core/within.ts";
import type { Database } from "../../store/database.ts";
import type { Accepted, Attempt, Sender, Target } from "../delivery/index.ts";
import { notificationView, type SoundUrlOf } from "../notifications/index.ts";
import { userChannel } from "./channel-access.ts";
import { PusherBatches } from "./pusher-batches.ts";
import { PusherClient, type PusherClientParts } from "./pusher-client.ts";

export interface PusherSenderParts extends PusherClientParts {
  readonly database: Database;
  readonly sounds: { readonly urlOf: SoundUrlOf };
  readonly log: Logger;
}

/** What Pusher takes as the data of one event. */
const MAX_DATA_BYTES = 10_240;
const EVENT = "notification";

/** Notifications to an app at Pusher: the event `notification` on each recipient's private channel (contract 5.5), with `pusher.mode` remote. */
export class PusherSender implements Sender {
  readonly channel = "pusher";
  readonly isConfigured: boolean;
  readonly #parts: PusherSenderParts;
  readonly #client: PusherClient;
  readonly #batches: PusherBatches;

  constructor(parts: PusherSenderParts) {
    this.#parts = parts;
    this.isConfigured = parts.config.pusher.mode === "remote";
    this.#client = new PusherClient(parts);
    this.#batches = new PusherBatches((events) => this.#client.send(events));
  }

  /** Everybody has a channel; who listens is Pusher's to know. */
  targets(userIds: readonly string[]): Promise<readonly Target[]> {
    return Promise.resolve(userIds.map((userId) => ({ userId, target: "" })));
  }

  async send(attempt: Attempt): Promise<Accepted> {
    const { delivery, signal } = attempt;
    signal.throwIfAborted();
    const event = { channel: userChannel(delivery.userId), name: EVENT, data: this.#dataOf(attempt) };
    await unlessAborted(this.#batches.add(event), signal);
    await this.#noteSent(attempt);
    return {};
  }

  check(): Promise<void> {
    return this.#client.check();
  }

  close(): Promise<void> {
    return this.#batches.close();
  }

  /** The notification as its recipient sees it, as JSON; of one that is too large, where it can be fetched. */
  #dataOf({ delivery, notification, offset }: Attempt): string {
    const recipient = {
      userId: delivery.userId,
      seq: offset,
      delivered: 0,
      readAt: null,
      acknowledgedAt: null,
      openedAt: null,
    } as const;
    const view = notificationView(notification, recipient, null, this.#parts.sounds.urlOf);
    // A batch has no ids of its own: whoever gets an attempt twice knows it by the delivery's.
    const data = JSON.stringify({ ...view, deliveryId: delivery.id });
    if (Buffer.byteLength(data) <= MAX_DATA_BYTES) return data;
    const { id } = notification;
    return JSON.stringify({ id, truncated: true, fetch: `/api/v1/notifications/${id}` });
  }

  /** Once a notification, however many it reaches. Pusher has the event by now: a mark that cannot be written fails nothing. */
  async #noteSent({ notification }: Attempt): Promise<void> {
    if (notification.pusherEventSent === 1) return;
    const { database, log } = this.#parts;
    const { id } = notification;
    const mark = { pusherEventSent: 1 } as const;
    await database
      .write((trx) =>
        trx.updateTable("notifications").set(mark).where("id", "=", id).where("pusherEventSent", "=", 0).execute(),
      )
      .catch((error: unknown) =>
        log.warn({ err: error, notificationId: id }, "it could not be noted that Pusher has the event"),
      );
  }
}
