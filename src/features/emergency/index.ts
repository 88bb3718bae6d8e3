/** The last resort, for the app. Features are given an `EmergencyPort` of the core. */

export { callUrl } from "./call-url.ts";
export { Emergency } from "./emergency.ts";
export { EmergencyWatch } from "./watch.ts";
