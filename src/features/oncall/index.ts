/** The part of `oncall` that other features and the wiring may use. */

export { instantOf } from "./model/recurrence.ts";
export { gapsBetween, namedOnCall, type OnCallPort, type OnCallSpan, onCall, onCallBetween } from "./roster.ts";
export { DUE_EVENT, ON_CALL_CHANGED } from "./schedules.ts";
