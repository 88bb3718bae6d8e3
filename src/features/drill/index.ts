/** The part of `drill` that other features and the wiring may use. */
export { DRILL_SWEEPS } from "./retention.ts";
export { unprovenPeople, unprovenText } from "./unproven.ts";
