import type { Known } from "./known.ts";
import { anyUser, holds } from "./refusals.ts";
import type { Refusal, Row, Rule, Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/users/me/pusher-auth";
const NO_CHANNEL: Refusal = [403, "CHANNEL_FORBIDDEN"];

type ChannelOf = (world: AccessWorld, who: Known) => string;

const CHANNELS: readonly { readonly refusal: Rule; readonly channel: ChannelOf }[] = [
  { refusal: anyUser, channel: (_world, who) => `private-user-${who.kind === "user" ? who.id : ""}` },
  // Somebody else's, and be it that an Admin asks.
  { refusal: (who) => anyUser(who) ?? NO_CHANNEL, channel: ({ keeper }) => `private-user-${keeper}` },
  {
    refusal: (who) => {
      const isIn = who.kind === "user" && (who.member !== null || holds(who, "projects:all"));
      const may = isIn && who.kind === "user" && (who.scopes === null || who.scopes.includes("events:read"));
      return anyUser(who) ?? (may ? null : NO_CHANNEL);
    },
    channel: ({ shop }) => `private-project-${shop}`,
  },
  {
    refusal: (who) => anyUser(who) ?? (holds(who, "realtime:publish") ? null : NO_CHANNEL),
    channel: () => "presence-lobby",
  },
];

function rows(request: (channel: string) => { readonly path: string; readonly body?: unknown }): Row[] {
  return CHANNELS.map(({ refusal, channel }) => ({ refusal, request: (world, who) => request(channel(world, who)) }));
}

/** Contract 4.5, 5.5. */
export const PUSHER: Table = {
  [`GET ${PATH}`]: rows((channel) => ({ path: `${PATH}?socket_id=1.2&channel_name=${channel}` })),
  [`POST ${PATH}`]: rows((channel) => ({ path: PATH, body: { socket_id: "1.2", channel_name: channel } })),
};
