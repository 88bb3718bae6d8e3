import type { Hub } from "../realtime/hub.ts";
import type { NotificationRow, RecipientRow } from "../store/write-set.ts";
import type { IncomingEvent } from "./incoming-event.ts";
import { eventJson, notificationView } from "./views.ts";

/** One user who hears of one notification. */
export interface Told {
  readonly notification: NotificationRow;
  readonly recipient: RecipientRow;
}

/** Step 7 of the pipeline: committed rows become live entries. Text is made only for streams that somebody follows. */
export class Announcer {
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  events(events: readonly IncomingEvent[]): void {
    for (const event of events) {
      const stream = `project:${event.projectId}`;
      if (!this.#hub.hasListeners(stream)) continue;
      this.#hub.publish(stream, {
        offset: event.seq,
        type: event.type,
        data: eventJson({ ...event, payload: event.payloadText, correlationId: event.givenCorrelationId }),
        at: event.receivedAt,
        correlationId: event.correlationId,
      });
    }
    const last = events.at(-1);
    if (last) this.#hub.advance({ events: last.seq });
  }

  notifications(told: readonly Told[]): void {
    for (const { notification, recipient } of told) {
      const stream = `user:${recipient.userId}`;
      if (!this.#hub.hasListeners(stream)) continue;
      this.#hub.publish(stream, {
        offset: recipient.seq,
        type: "notification",
        data: JSON.stringify(
          notificationView(
            { ...notification, aggregateCount: 1, delivered: 0, pusherEventSent: 0, deliveredAt: null },
            { ...recipient, delivered: 0, readAt: null, acknowledgedAt: null, openedAt: null },
            null,
          ),
        ),
        at: notification.createdAt,
        correlationId: notification.correlationId,
      });
    }
    const last = told.at(-1);
    if (last) this.#hub.advance({ streams: last.recipient.seq });
  }
}
