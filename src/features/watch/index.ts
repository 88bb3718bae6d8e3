/** The part of `watch` that other features may use. */
export { ServerWatch } from "./server-watch.ts";
