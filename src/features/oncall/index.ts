/** The part of `oncall` that other features and the wiring may use. */

export { MAX_CALENDAR_BYTES } from "./calendars.ts";
export { type OnCallPort, onCall } from "./roster.ts";
export { ON_CALL_CHANGED } from "./schedules.ts";
