import { openPusherApp, type PusherApp } from "./pusher/pusher-app.ts";
import { openSounds, type SoundParts, type SoundServices } from "./sounds/open-sounds.ts";

/** What stands between this server and services that may be somebody else's: where sounds are, and whose Pusher app it is. */
export interface ProviderServices {
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
}

type ProviderParts = SoundParts & Parameters<typeof openPusherApp>[0];

export async function openProviders(parts: ProviderParts): Promise<ProviderServices> {
  return { sounds: openSounds(parts), pusher: await openPusherApp(parts) };
}
