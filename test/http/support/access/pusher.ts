import { signedTarget } from "../../../helpers/pusher-rest.ts";
import type { Known } from "./known.ts";
import { anyUser, holds, NO_ROLE, scoped } from "./refusals.ts";
import { open, type Refusal, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/users/me/pusher-auth";
const USER_PATH = "/api/v1/users/me/pusher-user-auth";
const SOCKET = { socket_id: "1.2" };
const NO_CHANNEL: Refusal = [403, "CHANNEL_FORBIDDEN"];

type ChannelOf = (world: AccessWorld, who: Known) => string;

const ownChannel: Rule = (who) => anyUser(who) ?? (scoped(["notifications:own"])(who) ? NO_CHANNEL : null);

const signIn: Rule = (who) => anyUser(who) ?? scoped(["notifications:own"])(who);

const CHANNELS: readonly { readonly refusal: Rule; readonly channel: ChannelOf }[] = [
  { refusal: ownChannel, channel: (_world, who) => `private-user-${who.kind === "user" ? who.id : ""}` },
  // Another user's, even if an Admin asks.
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

/**
 * The REST API: only a signature by the app's secret is accepted, with any other credential;
 * without it even an Admin is refused.
 */
function signedRows(method: string, rest: string, body?: unknown): Row[] {
  const pathIn = (appId: string): string => `/apps/${appId}${rest}`;
  const unsigned = (pathOf: (world: AccessWorld) => string, served: Refusal): Row => ({
    ...open(""),
    request: (world) => ({ path: pathOf(world), body }),
    served,
  });
  const appOf = ({ prism }: AccessWorld) => prism.parts.offers.pusher;
  const signed: Row["request"] = (world) => {
    const options = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    return { path: signedTarget(appOf(world), pathIn(appOf(world).appId), options), body };
  };
  return [
    { ...open(""), request: signed },
    unsigned((world) => pathIn(appOf(world).appId), [401, "SIGNATURE_INVALID"]),
    unsigned(() => pathIn("1"), [404, "NOT_FOUND"]),
  ];
}

const EVENT = { name: "e", data: "{}", channel: "news" };

/** Contract 4.5, 5.5. */
export const PUSHER: Table = {
  [`GET ${PATH}`]: rows((channel) => ({ path: `${PATH}?socket_id=1.2&channel_name=${channel}` })),
  [`POST ${PATH}`]: rows((channel) => ({ path: PATH, body: { socket_id: "1.2", channel_name: channel } })),
  "POST /api/v1/users/me/pusher-user-auth": [
    { refusal: signIn, request: () => ({ path: USER_PATH, body: SOCKET }) },
    {
      refusal: (who) => signIn(who) ?? (holds(who, "users:read") ? null : NO_ROLE),
      request: () => ({ path: USER_PATH, body: { ...SOCKET, watchlist: ["someone"] } }),
    },
  ],
  "POST /apps/:appId/events": signedRows("POST", "/events", EVENT),
  "POST /apps/:appId/batch_events": signedRows("POST", "/batch_events", { batch: [EVENT] }),
  "GET /apps/:appId/channels": signedRows("GET", "/channels"),
  "GET /apps/:appId/channels/:name": signedRows("GET", "/channels/news"),
  "GET /apps/:appId/channels/:name/users": signedRows("GET", "/channels/presence-lobby/users"),
  "POST /apps/:appId/users/:id/terminate_connections": signedRows("POST", "/users/1/terminate_connections", {}),
};
