/** The part of `oncall` that other features and the wiring may use. */

export { onCallDifference } from "./difference.ts";
export { finalShiftsOf } from "./reading.ts";
export { type OnCallSpan, onCall, onCallBetween } from "./roster.ts";
export { DUE_EVENT } from "./schedules.ts";
