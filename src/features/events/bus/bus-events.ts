import type { Told } from "../../../store/effect.ts";
import type { Announcer, Observer } from "../../notifications/index.ts";
import { eventJson } from "../../notifications/index.ts";
import type { IncomingEvent } from "../../rules/index.ts";
import type { Bus } from "./bus.ts";
import type { EventConsumers } from "./event-consumers.ts";

/**
 * What has been committed, as events of the bus: `event:<type>` and `notification:created` (contract 9); and consumers of the event log wake. Each is
 * made only while somebody listens.
 */
export function tellBus(announcer: Announcer, bus: Bus, consumers: EventConsumers): void {
  announcer.observe(new BusTeller(bus, consumers));
}

class BusTeller implements Observer {
  readonly #bus: Bus;
  readonly #consumers: EventConsumers;

  constructor(bus: Bus, consumers: EventConsumers) {
    this.#bus = bus;
    this.#consumers = consumers;
  }

  events(events: readonly IncomingEvent[]): void {
    this.#consumers.wake();
    if (!this.#bus.hasSubscribers("event:")) return;
    for (const event of events) {
      const name = `event:${event.type}`;
      if (!this.#bus.isHeard(name)) continue;
      const view: unknown = JSON.parse(
        eventJson({ ...event, payload: event.payloadText, correlationId: event.givenCorrelationId }),
      );
      this.#bus.emit(name, view, event.correlationId);
    }
  }

  /** Once per notification; of one that reaches many, once per page of its recipients. */
  notifications(told: readonly Told[]): void {
    if (!this.#bus.isHeard("notification:created")) return;
    const pages = new Map<string, Told[]>();
    for (const each of told) {
      const page = pages.get(each.notification.id);
      if (page) page.push(each);
      else pages.set(each.notification.id, [each]);
    }
    for (const [id, page] of pages) {
      const [first] = page;
      if (!first) continue;
      const { kind, ruleId, eventId, projectId, title, message, priority, correlationId } = first.notification;
      const recipients = page.map(({ recipient }) => recipient.userId);
      const payload = { id, kind, ruleId, eventId, projectId, title, message, priority, recipients };
      this.#bus.emit("notification:created", payload, correlationId);
    }
  }
}
