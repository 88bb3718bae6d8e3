/** The part of `drill` that other features and the wiring may use. */

export { startDrills } from "./requests.ts";
export { UserRefs as DrillUsers } from "./schema.ts";
export { unprovenPeople } from "./unproven.ts";
