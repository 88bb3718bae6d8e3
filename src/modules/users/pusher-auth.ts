import * as v from "valibot";
import { PrismError } from "../../base/errors.ts";
import { decodeUtf8 } from "../../base/json-text.ts";
import type { UserPrincipal } from "../../base/principal.ts";
import type { Exchange } from "../../http/exchange.ts";
import { checkShape, parseJson, parseQuery } from "../../http/input.ts";
import { type Route, route } from "../../http/route.ts";
import { pattern } from "../../http/shapes.ts";
import { isPresenceChannel } from "../../realtime/pusher/pusher-channel.ts";
import { userOf } from "../../services/access/caller-of.ts";
import type { CoreServices } from "../../services/module.ts";
import { maySubscribe, PUSHER_CHANNEL } from "../../services/pusher/channel-access.ts";
import { signChannel } from "../../services/pusher/pusher-app.ts";

/** What Pusher's clients send; whatever they send besides is theirs. */
const AuthRequest = v.object({
  socket_id: pattern(/^\d{1,20}\.\d{1,20}$/, "must be a socket id such as 1234.5678"),
  channel_name: pattern(PUSHER_CHANNEL, "must be 1 to 164 letters, digits or any of _ - = @ , . ;"),
});
type AuthRequest = v.InferOutput<typeof AuthRequest>;

const AuthReply = v.object({
  auth: v.pipe(v.string(), v.description("<key>:<HMAC-SHA-256 in hex>")),
  channel_data: v.optional(
    v.pipe(v.string(), v.description("Of a presence channel: who the member is, as it was signed")),
  ),
});

const PATH = "/api/v1/users/me/pusher-auth";

/** What lets a client of Pusher into private and presence channels (contract 4.5, 5.5, D4): GET reads the query, POST a form or JSON. */
export function pusherAuthRoutes({ projects, system }: CoreServices): Route[] {
  const common = {
    path: PATH,
    summary: "The signature with which a Pusher client subscribes to a private or presence channel",
    tag: "Users",
    access: { anyToken: true },
    response: AuthReply,
    errors: ["CHANNEL_FORBIDDEN", "VALIDATION_FAILED", "RATE_LIMITED"],
  } as const;

  /**
   * The socket is the caller's from now on, and ends with their session. One that is not here is signed for all the same: it may be one of Pusher's own
   * server, and here nothing comes of it, for nobody can guess the id that a socket will have. @throws CHANNEL_FORBIDDEN when it is somebody else's
   */
  const bind = (principal: UserPrincipal, socketId: string): void =>
    system.pusherRegistry.find(socketId)?.bind(principal);

  const sign = (principal: UserPrincipal, { socket_id, channel_name }: AuthRequest) => {
    if (!maySubscribe(principal, channel_name, { projects, authorizers: system.channelAuthorizers }))
      throw new PrismError("CHANNEL_FORBIDDEN", "You may not subscribe to this channel");
    bind(principal, socket_id);
    if (!isPresenceChannel(channel_name)) return { auth: signChannel(system.pusher, socket_id, channel_name) };
    // Ours alone: a client that names somebody else is not listened to.
    const channel_data = JSON.stringify({ user_id: principal.userId, user_info: { name: principal.name } });
    return { auth: signChannel(system.pusher, socket_id, channel_name, channel_data), channel_data };
  };

  return [
    route({
      ...common,
      method: "GET",
      query: AuthRequest,
      handle: (exchange, { query }) => sign(userOf(exchange), query),
    }),
    route({
      ...common,
      method: "POST",
      aliases: ["/pusher/auth"],
      body: AuthRequest,
      raw: { types: ["application/json", "application/x-www-form-urlencoded"], gzip: false },
      handle: (exchange, { body }) => sign(userOf(exchange), readBody(exchange, body as unknown as Buffer)),
    }),
  ];
}

/** @throws VALIDATION_FAILED, MALFORMED_JSON */
function readBody(exchange: Exchange, body: Buffer): AuthRequest {
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(exchange.header("content-type"));
  return checkShape(AuthRequest, isForm ? parseQuery(decodeUtf8(body) ?? "") : parseJson(body), "body");
}
