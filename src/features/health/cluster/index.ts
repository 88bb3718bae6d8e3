/** The part of `cluster` that other features may use. */
export { drillView, readTakeOverDrill } from "./drill.ts";
