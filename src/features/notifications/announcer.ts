import type { Hub } from "../../live/hub.ts";
import type { Told } from "../../store/effect.ts";
import type { IncomingEvent, PipelineMetrics } from "../rules/index.ts";
import type { SoundUrlOf } from "../sounds/index.ts";
import { eventJson, notificationView } from "./views.ts";

/** Notified of what has been committed. It must not throw, nor take long. */
export interface Observer {
  events(events: readonly IncomingEvent[]): void;
  notifications(told: readonly Told[]): void;
}

/**
 * Step 7 of the pipeline: committed rows become live entries. To be called in the order of commits, which is the order of offsets. Text is
 * made only for streams with listeners.
 */
export class Announcer {
  readonly #hub: Hub;
  readonly #metrics: PipelineMetrics;
  readonly #soundUrlOf: SoundUrlOf;
  readonly #observers: Observer[] = [];

  constructor(hub: Hub, metrics: PipelineMetrics, soundUrlOf: SoundUrlOf) {
    this.#hub = hub;
    this.#metrics = metrics;
    this.#soundUrlOf = soundUrlOf;
  }

  /** Notified of everything that is committed, in order; once a set, so that the hot path pays nothing without observers. */
  observe(observer: Observer): void {
    this.#observers.push(observer);
  }

  events(events: readonly IncomingEvent[]): void {
    const last = events.at(-1);
    if (!last) return;
    // The hot path: most streams have no listener.
    if (!this.#hub.hasNoListeners) for (const event of events) this.#event(event);
    this.#hub.advance("events", last.seq);
    for (const observer of this.#observers) observer.events(events);
  }

  notifications(told: readonly Told[]): void {
    this.#metrics.notified(told.length);
    for (const each of told) this.#notification(each);
    const last = told.at(-1);
    if (last) this.#hub.advance("log", last.recipient.seq);
    if (told.length > 0) for (const observer of this.#observers) observer.notifications(told);
  }

  #event(event: IncomingEvent): void {
    const stream = { kind: "project", projectId: event.projectId } as const;
    if (!this.#hub.hasListeners(stream)) return;
    this.#hub.publish(stream, {
      offset: event.seq,
      type: event.type,
      data: eventJson({ ...event, payload: event.payloadText, correlationId: event.givenCorrelationId }),
      at: event.receivedAt,
      correlationId: event.correlationId,
    });
  }

  #notification({ notification, recipient }: Told): void {
    const stream = { kind: "user", userId: recipient.userId } as const;
    if (!this.#hub.hasListeners(stream)) return;
    const view = notificationView(
      { ...notification, aggregateCount: 1, delivered: 0, pusherEventSent: 0, deliveredAt: null },
      { ...recipient, delivered: 0, readAt: null, acknowledgedAt: null, openedAt: null },
      null,
      this.#soundUrlOf,
    );
    this.#hub.publish(stream, {
      offset: recipient.seq,
      type: "notification",
      data: JSON.stringify(view),
      at: notification.createdAt,
      correlationId: notification.correlationId,
    });
  }
}
