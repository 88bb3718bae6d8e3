/** The part of `events` that other features may use. */

export { appendEvents, appendOwnEvents, type EventDraft, type OwnEventDraft } from "./append.ts";
export { EventBus, IngestService, notifyBus, trialEvent } from "./bus.ts";
export { cloudEventsConsent } from "./consent.ts";
export { EventConsumers } from "./consumers.ts";
export { Backlog, handleEventJobs } from "./pipeline/backlog.ts";
export { EventTypePattern } from "./pipeline/event-envelope.ts";
export { EventPipeline } from "./pipeline/pipeline.ts";
export { reservedSource } from "./pipeline/read-events.ts";
export { storeTestEvent } from "./pipeline/test-event.ts";
export { firstSeqSince, IS_ERROR_ROW, IS_IN_ALERT, IS_OF_PRODUCER, isErrorEvent } from "./queries.ts";
export { EVENT_SWEEPS, eventSweep } from "./retention.ts";
