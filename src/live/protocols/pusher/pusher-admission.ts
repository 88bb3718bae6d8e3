import type * as v from "valibot";
import type { UserPrincipal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import type { RealtimeAccess } from "../../connections.ts";
import {
  isChannelName,
  isOwnChannel,
  isPresenceChannel,
  isPublicChannel,
  serverToUserChannel,
  streamsOf,
  userOfChannel,
} from "./pusher-channel.ts";
import { ChannelData, parseMessage, ToSignIn, type ToSubscribe, UserData } from "./pusher-message.ts";
import type { PresenceMember, PusherRegistry, PusherSocket, PusherUser } from "./pusher-registry.ts";

export interface AdmissionParts {
  readonly registry: PusherRegistry;
  readonly access: RealtimeAccess;
  /** Whether the signature, made with the app's secret, admits this socket to this channel. */
  isSigned(signature: string, socketId: string, channel: string, channelData?: string): boolean;
  /** Whether the signature, made with the app's secret, lets this socket sign in as this user. */
  isUserSigned(signature: string, socketId: string, userData: string): boolean;
}

const MAX_CHANNELS = 64;
const MAX_MEMBERS = 100;
/** Pusher's own limits are 1 KiB for `user_info` and 128 characters for `user_id`. */
const MAX_CHANNEL_DATA_LENGTH = 2048;
const MAX_USER_DATA_LENGTH = 10_240;

/**
 * Checks signatures and rights: which channels a socket may join, and as which user it may sign in.
 */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /**
   * @returns the member that a presence channel shows. @throws VALIDATION_FAILED,
   * CHANNEL_FORBIDDEN, RATE_LIMITED
   */
  admit(
    socket: PusherSocket,
    { channel, auth, channel_data }: v.InferOutput<typeof ToSubscribe>,
  ): PresenceMember | null {
    const { registry } = this.#parts;
    if (!isChannelName(channel)) throw new PrismError("VALIDATION_FAILED", "The channel's name is not valid");
    if (!registry.isIn(channel, socket) && registry.channelsIn(socket).length >= MAX_CHANNELS)
      throw new PrismError("RATE_LIMITED", `A connection may subscribe to at most ${MAX_CHANNELS} channels`);
    if (isPublicChannel(channel)) return null;
    const userId = userOfChannel(channel);
    if (userId === undefined) this.#requireSignature(socket, channel, auth ?? "", channel_data ?? undefined);
    else if (registry.users.userOf(socket)?.id !== userId)
      throw forbidden("The channel is for connections that have signed in as this user");
    this.requireRight(socket.principal, channel);
    return isPresenceChannel(channel) ? this.#memberOf(socket, channel, channel_data ?? undefined) : null;
  }

  /** @throws VALIDATION_FAILED, CHANNEL_FORBIDDEN */
  admitUser(socket: PusherSocket, data: unknown): { readonly user: PusherUser; readonly userData: string } {
    const { auth, user_data: userData } = parseMessage(ToSignIn, data);
    if (userData.length > MAX_USER_DATA_LENGTH)
      throw new PrismError("VALIDATION_FAILED", `user_data may have at most ${MAX_USER_DATA_LENGTH} characters`);
    if (!this.#parts.isUserSigned(auth, socket.socketId, userData))
      throw forbidden("The signature is not valid for this connection and user");
    const user = readUser(userData);
    const known = socket.principal?.userId ?? this.#parts.registry.users.userOf(socket)?.id ?? user.id;
    if (known !== user.id) throw forbidden("The connection belongs to another user");
    this.requireRight(socket.principal, serverToUserChannel(user.id));
    return { user, userData };
  }

  /**
   * A user of Prism also needs the current right. A connection without one was admitted by a holder
   * of the secret: another backend with its own users. @throws CHANNEL_FORBIDDEN
   */
  requireRight(principal: UserPrincipal | null, channel: string): void {
    if (!principal) {
      if (isOwnChannel(channel)) throw forbidden("The signature for this channel must come from Prism's auth route");
      return;
    }
    for (const stream of streamsOf(channel)) {
      if (this.#parts.access.check(principal, stream) !== "allowed") throw forbidden("You may not follow this channel");
    }
  }

  #requireSignature(socket: PusherSocket, channel: string, auth: string, channelData: string | undefined): void {
    const signed = isPresenceChannel(channel) ? channelData : undefined;
    if (!this.#parts.isSigned(auth, socket.socketId, channel, signed))
      throw forbidden("The signature is not valid for this connection and channel");
  }

  /** Without `channel_data` the member is the user that the connection has signed in as. */
  #memberOf(socket: PusherSocket, channel: string, channelData: string | undefined): PresenceMember {
    const { registry } = this.#parts;
    const user = registry.users.userOf(socket);
    const member = channelData === undefined && user ? memberOfUser(user) : readMember(channelData ?? "");
    if (!registry.hasRoomFor(channel, member, MAX_MEMBERS))
      throw new PrismError("RATE_LIMITED", `A presence channel has at most ${MAX_MEMBERS} members`);
    return member;
  }
}

function memberOfUser({ id, user_info }: PusherUser): PresenceMember {
  return user_info === undefined ? { user_id: id } : { user_id: id, user_info };
}

/** @throws VALIDATION_FAILED */
function readMember(channelData: string): PresenceMember {
  if (channelData.length > MAX_CHANNEL_DATA_LENGTH)
    throw new PrismError("VALIDATION_FAILED", `channel_data may have at most ${MAX_CHANNEL_DATA_LENGTH} characters`);
  try {
    return parseMessage(ChannelData, JSON.parse(channelData));
  } catch (error) {
    throw new PrismError("VALIDATION_FAILED", "channel_data is not a JSON object with a user_id", { cause: error });
  }
}

/** @throws VALIDATION_FAILED */
function readUser(userData: string): PusherUser {
  try {
    return parseMessage(UserData, JSON.parse(userData));
  } catch (error) {
    const why = error instanceof PrismError ? `: ${error.message}` : "";
    throw new PrismError("VALIDATION_FAILED", `user_data is not a JSON object with an id${why}`, { cause: error });
  }
}

export function forbidden(message: string): PrismError {
  return new PrismError("CHANNEL_FORBIDDEN", message);
}
