/** The part of `channels` that other features may use. */
export { openServiceChannels, type ServiceChannels } from "./open.ts";
export { CHANNEL_SWEEPS, channelSealContext, refSealContext } from "./store.ts";
