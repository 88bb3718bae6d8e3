/** The part of `timers` that other features may use. */
export type { Timer } from "./timers.ts";
