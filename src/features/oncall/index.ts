/** The part of `oncall` that other features and the wiring may use. */

export { readInThread } from "./calendar-thread.ts";
export { onCallDifference } from "./difference.ts";
export { NOTICE_PRIORITY } from "./look.ts";
export { type FinalShift, type Roster, stints } from "./model/layers.ts";
export { type ScheduleRows, scheduleRowsOf } from "./queries.ts";
export { finalShiftsOf } from "./reading.ts";
export {
  gapsBetween,
  type OnCallSpan,
  onCall,
  onCallBetween,
  onCallWith,
  presentRosterIn,
} from "./roster.ts";
export { DUE_EVENT } from "./schedules.ts";
