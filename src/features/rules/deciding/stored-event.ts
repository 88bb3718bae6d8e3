import type { EventsTable } from "../../../store/schema.ts";
import { IncomingEvent } from "./incoming-event.ts";

/** An event as it was when it came in. */
export function storedEvent(row: EventsTable): IncomingEvent {
  const event = new IncomingEvent({
    ...row,
    isGivenId: false,
    payload: JSON.parse(row.payload) as Record<string, unknown>,
    payloadText: row.payload,
    givenCorrelationId: row.correlationId,
  });
  event.seq = row.seq;
  return event;
}
