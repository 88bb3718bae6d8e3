/** The part of `channels` that other features may use. */
export type { IncidentChannels } from "./for-incidents.ts";
export { channelsOfImport } from "./import.ts";
export { openServiceChannels, type ServiceChannels } from "./open.ts";
export type { ManageContext } from "./service.ts";
export { CHANNEL_SWEEPS } from "./store.ts";
