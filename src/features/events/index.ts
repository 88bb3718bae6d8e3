/** What other features may use of `events`. */

export type { Bus, BusHandler } from "./bus/bus.ts";
export { tellBus } from "./bus/bus-events.ts";
export { IS_ERROR_ROW, isErrorEvent } from "./bus/error-events.ts";
export { EventBus } from "./bus/event-bus.ts";
export { EventConsumers } from "./bus/event-consumers.ts";
export { firstSeqSince } from "./bus/first-seq-since.ts";
export { removeEvents } from "./bus/remove-events.ts";
export { Backlog } from "./pipeline/backlog.ts";
export { EventTypePattern } from "./pipeline/event-envelope.ts";
export { IngestService } from "./pipeline/ingest-service.ts";
export { EventPipeline } from "./pipeline/pipeline.ts";
export { testRule, trialEvent } from "./rule-tester.ts";
