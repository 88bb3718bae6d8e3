/** The part of `timers` that other features may use. */
export { loadTimes } from "./time.ts";
export type { Timer } from "./timers.ts";
