import { safeFetchOf } from "../features/delivery/index.ts";
import { eventJson, notificationView } from "../features/notifications/index.ts";
import { ChannelAuthorizers, openPusherApp, type PusherApp } from "../features/pusher/index.ts";
import { openSounds, type SoundServices } from "../features/sounds/index.ts";
import { realtimeAccess, TableHistory } from "../features/streams/index.ts";
import type { WorkBudget } from "../http/work-budget.ts";
import { Connections, type RealtimeAccess } from "../live/connections.ts";
import { Hub } from "../live/hub.ts";
import { Presence } from "../live/presence.ts";
import { PusherRegistry } from "../live/protocols/pusher/pusher-registry.ts";
import type { Access } from "./open-access.ts";
import type { Base } from "./open-store.ts";

/** Live connections and their streams. */
export interface Live {
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
  /** Members of the channels of the embedded Pusher server; empty with `pusher.mode` remote. */
  readonly pusherRegistry: PusherRegistry;
  /** Decisions of modules about subscriptions to Pusher channels. */
  readonly channelAuthorizers: ChannelAuthorizers;
  readonly presence: Presence;
  readonly realtimeAccess: RealtimeAccess;
  readonly connections: Connections;
  readonly hub: Hub;
}

/** Of a core that cannot read the secret. */
const NO_APP: PusherApp = { appId: "", key: "", secret: "" };

export async function openLive(base: Base, { principals, projects }: Access, work: WorkBudget): Promise<Live> {
  const { config, database, reader, box, clock, committer, publicUrl } = base;
  const log = base.log.namespace("realtime");
  const bucketFetch = (maxBodyBytes: number) => safeFetchOf(config, { maxBodyBytes });
  const sounds = openSounds({ config, reader, clock, publicUrl, bucketFetch });
  const channelAuthorizers = new ChannelAuthorizers(log);
  const presence = new Presence();
  const access = realtimeAccess(principals, { projects, authorizers: channelAuthorizers });
  const history = new TableHistory(reader, box, {
    event: eventJson,
    notification: (row) =>
      JSON.stringify(notificationView(row, { ...row, delivered: row.recipientDelivered }, null, sounds.urlOf)),
  });
  return {
    sounds,
    pusher: base.readsOnly ? NO_APP : await openPusherApp({ config, database, box, clock }),
    pusherRegistry: new PusherRegistry(),
    channelAuthorizers,
    presence,
    realtimeAccess: access,
    connections: new Connections({ limits: config.realtime, presence, access, clock, log }),
    hub: new Hub(
      history,
      { events: committer.sequences.events.last, log: committer.sequences.streams.last },
      work.replays,
    ),
  };
}
