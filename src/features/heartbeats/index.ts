/** The part of `heartbeats` that other features may use. */
export { Heartbeats } from "./heartbeats.ts";
export { PingIds, pingKeySealContext, pingSealContext } from "./ping-ids.ts";
export { HEARTBEAT_SWEEPS } from "./table.ts";
