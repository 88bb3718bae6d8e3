import * as v from "valibot";
import type { UserPrincipal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { decodeUtf8 } from "../../../core/text/json-text.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { doc, example, named } from "../../../http/api/shapes.ts";
import { checkShape, parseJson, parseQuery } from "../../../http/body/input.ts";
import { missingPermission, userOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { isEncryptedChannel, isPresenceChannel, isUserId } from "../../../live/protocols/pusher/pusher-channel.ts";
import { MAX_WATCHLIST } from "../../../live/protocols/pusher/pusher-message.ts";
import type { PusherRegistry } from "../../../live/protocols/pusher/pusher-registry.ts";
import { maySubscribe } from "./channel-access.ts";
import { type PusherContext, sharedSecretOf, signChannel, signUser } from "./pusher-app.ts";
import { ChannelName, SocketId } from "./schema.ts";

/** Members that Pusher's clients send; others are ignored. */
const AuthRequest = example(v.object({ socket_id: SocketId, channel_name: ChannelName }), {
  socket_id: "1234.5678",
  channel_name: "private-chat",
});
type AuthRequest = v.InferOutput<typeof AuthRequest>;

/** Members that Pusher's clients send to sign in. */
const SignInRequest = example(
  v.object({
    socket_id: SocketId,
    watchlist: v.optional(
      doc(
        v.union([v.string(), v.array(v.string())], "must be a list of user ids, or a text with commas"),
        "Ids of up to 100 users to watch for online and offline events; needs `users:read`",
      ),
    ),
  }),
  { socket_id: "1234.5678" },
);

const SignInReply = named(
  "PusherSignIn",
  "The signature for the connection",
  v.object({
    auth: doc(v.string(), "<key>:<HMAC-SHA-256 in hex>"),
    user_data: doc(v.string(), "User data that was signed"),
  }),
);

const AuthReply = named(
  "PusherAuth",
  "The signature for the channel",
  v.object({
    auth: doc(v.string(), "<key>:<HMAC-SHA-256 in hex>"),
    channel_data: v.optional(doc(v.string(), "Only for a presence channel: member data that was signed")),
    shared_secret: v.optional(doc(v.string(), "Only for an encrypted channel: key of its events, in base64")),
  }),
);

const PATH = "/api/v1/users/me/pusher-auth";
const USER_PATH = "/api/v1/users/me/pusher-user-auth";
const FORM_OR_JSON = { types: ["application/json", "application/x-www-form-urlencoded"], gzip: false } as const;

/**
 * Authorises a client of Pusher for private and presence channels (docs/pusher.md): GET
 * reads the query, POST a form or JSON.
 */
export function pusherAuthRoutes({
  projects,
  channelAuthorizers,
  pusher,
  pusherRegistry,
  config,
}: PusherContext): Route[] {
  const common = {
    path: PATH,
    summary: "Sign the subscription of a Pusher client to a private or presence channel",
    tag: "Pusher",
    access: { anyToken: true },
    response: AuthReply,
    errors: ["CHANNEL_FORBIDDEN", "VALIDATION_FAILED", "RATE_LIMITED"],
  } as const;

  const sign = (principal: UserPrincipal, { socket_id, channel_name }: AuthRequest) => {
    if (!maySubscribe(principal, channel_name, { projects, authorizers: channelAuthorizers }))
      throw new PrismError("CHANNEL_FORBIDDEN", "You may not subscribe to this channel");
    const { encryptionMasterKey: masterKey } = config.pusher;
    if (isEncryptedChannel(channel_name) && masterKey === undefined)
      throw new PrismError("CHANNEL_FORBIDDEN", "Encrypted channels need pusher.encryptionMasterKey on this server");
    bind(pusherRegistry, principal, socket_id);
    if (!isPresenceChannel(channel_name)) {
      const auth = signChannel(pusher, socket_id, channel_name);
      if (!isEncryptedChannel(channel_name) || masterKey === undefined) return { auth };
      return { auth, shared_secret: sharedSecretOf(masterKey, channel_name) };
    }
    // Only the caller's own id: one that the client names is ignored.
    const channel_data = JSON.stringify({ user_id: principal.userId, user_info: { name: principal.name } });
    return { auth: signChannel(pusher, socket_id, channel_name, channel_data), channel_data };
  };

  return [
    route({
      ...common,
      id: "getPusherAuth",
      method: "GET",
      query: AuthRequest,
      handle: (exchange, { query }) => sign(userOf(exchange), query),
    }),
    route({
      ...common,
      id: "createPusherAuth",
      method: "POST",
      aliases: ["/pusher/auth"],
      body: AuthRequest,
      raw: FORM_OR_JSON,
      handle: (exchange, { body }) =>
        sign(userOf(exchange), readBody(AuthRequest, exchange, body as unknown as Buffer)),
    }),
  ];
}

/**
 * Signs a client of Pusher in as the caller: for `sendToUser`, watchlists, and the end of
 * all of a user's connections.
 */
export function pusherUserAuthRoute({ pusher, pusherRegistry }: PusherContext): Route {
  return route({
    path: USER_PATH,
    aliases: ["/pusher/user-auth"],
    method: "POST",
    id: "createPusherUserAuth",
    summary: "Sign in a Pusher client as the caller",
    tag: "Pusher",
    access: { tokenScopes: ["notifications:own"] },
    body: SignInRequest,
    raw: FORM_OR_JSON,
    response: SignInReply,
    errors: ["CHANNEL_FORBIDDEN", "UNAUTHORIZED_ROLE", "VALIDATION_FAILED", "RATE_LIMITED"],
    handle(exchange, { body }) {
      const principal = userOf(exchange);
      const asked = readBody(SignInRequest, exchange, body as unknown as Buffer);
      const socketId = asked.socket_id;
      const watched = asked.watchlist === undefined ? {} : { watchlist: readWatchlist(principal, asked.watchlist) };
      bind(pusherRegistry, principal, socketId);
      const user_data = JSON.stringify({ id: principal.userId, user_info: { name: principal.name }, ...watched });
      return { auth: signUser(pusher, socketId, user_data), user_data };
    },
  });
}

/** Only who may list users learns who is connected. @throws UNAUTHORIZED_ROLE, VALIDATION_FAILED */
function readWatchlist(principal: UserPrincipal, given: string | readonly string[]): readonly string[] {
  if (!principal.permissions.has("users:read"))
    throw missingPermission("users:read", "without it sign in without a watchlist");
  const ids = typeof given === "string" ? given.split(",").filter((id) => id !== "") : given;
  if (ids.length > MAX_WATCHLIST || !ids.every(isUserId))
    throw new PrismError("VALIDATION_FAILED", `watchlist must be at most ${MAX_WATCHLIST} ids of users`);
  return ids;
}

/**
 * Binds the socket to the caller; it ends with their session. An id that is not of this server is
 * signed as well: it may be a socket of Pusher's own server. @throws CHANNEL_FORBIDDEN when it is
 * another user's
 */
function bind(registry: PusherRegistry, principal: UserPrincipal, socketId: string): void {
  registry.find(socketId)?.bind(principal);
}

/** @throws VALIDATION_FAILED, MALFORMED_JSON */
function readBody<T>(shape: v.GenericSchema<unknown, T>, exchange: Exchange, body: Buffer): T {
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(exchange.header("content-type"));
  return checkShape(shape, isForm ? parseQuery(decodeUtf8(body) ?? "") : parseJson(body, { exchange }), "body");
}
