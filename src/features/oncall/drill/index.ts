/** The part of `drill` that other features and the wiring may use. */
export { unprovenPeople, unprovenText } from "./unproven.ts";
