/** The part of `events` that other features may use. */

export {
  appendEvents,
  appendOwnEvents,
  EventConsumers,
  type EventDraft,
  EventService,
  notifyBus,
  type OwnEventDraft,
} from "./bus.ts";
export { cloudEventsConsent } from "./consent.ts";
export { EventTypePattern } from "./pipeline/event-envelope.ts";
export type { EventOwner } from "./pipeline/pipeline.ts";
export { reservedSource } from "./pipeline/read-events.ts";
export { firstSeqSince, IS_ERROR_ROW, IS_IN_ALERT, IS_OF_PRODUCER } from "./queries.ts";
