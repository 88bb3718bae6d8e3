/** The part of `events` that other features may use. */

export { appendEvents, appendOwnEvents, type EventDraft, type OwnEventDraft } from "./append.ts";
export { EventService, notifyBus } from "./bus.ts";
export { cloudEventsConsent } from "./consent.ts";
export { EventConsumers } from "./consumers.ts";
export { EventTypePattern } from "./pipeline/event-envelope.ts";
export type { EventOwner } from "./pipeline/pipeline.ts";
export { reservedSource } from "./pipeline/read-events.ts";
export { firstSeqSince, IS_ERROR_ROW, IS_IN_ALERT, IS_OF_PRODUCER, isErrorEvent } from "./queries.ts";
