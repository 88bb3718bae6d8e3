import type { Logger } from "../base/log.ts";
import { PusherRegistry } from "../realtime/pusher/pusher-registry.ts";
import { ChannelAuthorizers } from "./pusher/channel-authorizers.ts";
import { openPusherApp, type PusherApp } from "./pusher/pusher-app.ts";
import { openSounds, type SoundParts, type SoundServices } from "./sounds/open-sounds.ts";

/** What stands between this server and services that may be somebody else's: where sounds are, and whose Pusher app it is. */
export interface ProviderServices {
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
  /** Who is in which channel of the embedded server; nobody with `pusher.mode` remote. */
  readonly pusherRegistry: PusherRegistry;
  /** Modules that say who may subscribe to channels of Pusher's. */
  readonly channelAuthorizers: ChannelAuthorizers;
}

type ProviderParts = SoundParts & Parameters<typeof openPusherApp>[0] & { readonly log: Logger };

export async function openProviders(parts: ProviderParts): Promise<ProviderServices> {
  return {
    sounds: openSounds(parts),
    pusher: await openPusherApp(parts),
    pusherRegistry: new PusherRegistry(),
    channelAuthorizers: new ChannelAuthorizers(parts.log.namespace("realtime")),
  };
}
