import type { Hub } from "../../hub.ts";
import type { StreamEntry, StreamRef } from "../../stream.ts";

/** Channel names, as Pusher allows them. */
export const PUSHER_CHANNEL = /^[A-Za-z0-9_\-=@,.;]{1,164}$/;

const USER = "private-user-";
const PROJECT = "private-project-";
const PRESENCE = "presence-";
const SERVER_TO_USER = "#server-to-user-";
const CACHE = /^(private-encrypted-|private-|presence-)?cache-/;
const MAX_USER_ID_LENGTH = 128;
/** Lone surrogates and control characters, which the log does not store unchanged. */
const UNSTORABLE = /\p{Cs}|\p{Cc}/u;

/** The private channel of a user. */
export function userChannel(userId: string): string {
  return `${USER}${userId}`;
}

/** Whether the app's key is enough to follow the channel. */
export function isPublicChannel(channel: string): boolean {
  return !channel.startsWith("private-") && !isPresenceChannel(channel) && userOfChannel(channel) === undefined;
}

export function isPresenceChannel(channel: string): boolean {
  return channel.startsWith(PRESENCE);
}

export function isEncryptedChannel(channel: string): boolean {
  return channel.startsWith("private-encrypted-");
}

/** Whether each new subscriber receives the last event of the channel. */
export function isCacheChannel(channel: string): boolean {
  return CACHE.test(channel);
}

/** Whether a user may sign in with this id: 1 to 128 characters without control characters. */
export function isUserId(id: string): boolean {
  return id !== "" && id.length <= MAX_USER_ID_LENGTH && !UNSTORABLE.test(id);
}

/** The channel that carries `sendToUser` events of a signed-in user. */
export function serverToUserChannel(userId: string): string {
  return `${SERVER_TO_USER}${userId}`;
}

/** The user of a {@link serverToUserChannel}; undefined for any other channel. */
export function userOfChannel(channel: string): string | undefined {
  return channel.startsWith(SERVER_TO_USER) ? channel.slice(SERVER_TO_USER.length) : undefined;
}

/** Whether clients may subscribe to, and backends trigger on, a channel of this name. */
export function isChannelName(channel: string): boolean {
  const userId = userOfChannel(channel);
  return userId === undefined ? PUSHER_CHANNEL.test(channel) : isUserId(userId);
}

/** Whether the channel carries data of Prism, for which a signature alone is not enough. */
export function isOwnChannel(channel: string): boolean {
  return channel.startsWith(USER) || channel.startsWith(PROJECT);
}

/** The project whose events a channel carries; undefined for other channels. */
export function projectOfChannel(channel: string): string | undefined {
  return channel.startsWith(PROJECT) ? channel.slice(PROJECT.length) : undefined;
}

/**
 * The streams that a channel carries: the Prism stream it maps to, if any, and events triggered on
 * it.
 */
export function streamsOf(channel: string): StreamRef[] {
  const triggered = { kind: "pusher", channel } as const;
  if (channel.startsWith(USER)) return [{ kind: "user", userId: channel.slice(USER.length) }, triggered];
  const projectId = projectOfChannel(channel);
  return projectId === undefined ? [triggered] : [{ kind: "project", projectId }, triggered];
}

/** The inverse of {@link streamsOf}, by the stream's name. */
export function channelOf(stream: string): string {
  const colon = stream.indexOf(":");
  const rest = stream.slice(colon + 1);
  switch (stream.slice(0, colon)) {
    case "user":
      return userChannel(rest);
    case "project":
      return `${PROJECT}${rest}`;
    default:
      return rest;
  }
}

/**
 * The event that a cache channel sends to a new subscriber: the last one announced. It is read from
 * the log, so it needs no memory and survives a restart. @param since epoch ms; older events have
 * expired. @returns undefined for a cache miss
 */
export function cachedEntry(hub: Hub, channel: string, since: number): StreamEntry | undefined {
  const stream = { kind: "pusher", channel } as const;
  const entry = hub.history.last(stream, hub.head(stream));
  return entry && entry.at > since ? entry : undefined;
}
