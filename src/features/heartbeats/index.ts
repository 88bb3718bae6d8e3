/** The part of `heartbeats` that other features may use. */
export { Heartbeats } from "./heartbeats.ts";
export { HEARTBEAT_SWEEPS } from "./table.ts";
