export { default as SchedulePage } from "./schedule.tsx";
export { default as Schedules } from "./schedules.tsx";
export { default as Timers } from "./timers.tsx";
