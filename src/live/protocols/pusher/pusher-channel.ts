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
/** Lone surrogates and control characters: the log does not keep them as they came. */
const UNKEPT = /\p{Cs}|\p{Cc}/u;

/** The private channel that is a user's own. */
export function userChannel(userId: string): string {
  return `${USER}${userId}`;
}

/** Whether anybody who knows the app's key may follow the channel. */
export function isPublicChannel(channel: string): boolean {
  return !channel.startsWith("private-") && !isPresenceChannel(channel) && userOfChannel(channel) === undefined;
}

export function isPresenceChannel(channel: string): boolean {
  return channel.startsWith(PRESENCE);
}

export function isEncryptedChannel(channel: string): boolean {
  return channel.startsWith("private-encrypted-");
}

/** Whether the last event of the channel is sent to each new subscriber. */
export function isCacheChannel(channel: string): boolean {
  return CACHE.test(channel);
}

/**
 * Whether a user may sign in with this id: 1 to 128 characters, none of them a control character.
 */
export function isUserId(id: string): boolean {
  return id !== "" && id.length <= MAX_USER_ID_LENGTH && !UNKEPT.test(id);
}

/** The channel that carries what `sendToUser` triggers for a signed-in user. */
export function serverToUserChannel(userId: string): string {
  return `${SERVER_TO_USER}${userId}`;
}

/** The user of a {@link serverToUserChannel}; undefined for any other channel. */
export function userOfChannel(channel: string): string | undefined {
  return channel.startsWith(SERVER_TO_USER) ? channel.slice(SERVER_TO_USER.length) : undefined;
}

/** Whether a client may ask for a channel of this name, or a backend trigger on it. */
export function isChannelName(channel: string): boolean {
  const userId = userOfChannel(channel);
  return userId === undefined ? PUSHER_CHANNEL.test(channel) : isUserId(userId);
}

/**
 * Whether the channel carries what is Prism's own, so that no signature stands in for a user of
 * ours.
 */
export function isOwnChannel(channel: string): boolean {
  return channel.startsWith(USER) || channel.startsWith(PROJECT);
}

/** The project whose events a channel carries; undefined for any other channel. */
export function projectOfChannel(channel: string): string | undefined {
  return channel.startsWith(PROJECT) ? channel.slice(PROJECT.length) : undefined;
}

/**
 * The streams that a channel carries: what is triggered on it, behind what it stands for in Prism.
 */
export function streamsOf(channel: string): StreamRef[] {
  const triggered = { kind: "pusher", channel } as const;
  if (channel.startsWith(USER)) return [{ kind: "user", userId: channel.slice(USER.length) }, triggered];
  const projectId = projectOfChannel(channel);
  return projectId === undefined ? [triggered] : [{ kind: "project", projectId }, triggered];
}

/** The channel that carries a stream of {@link streamsOf}, by the stream's name. */
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
 * The event that a cache channel sends to a new subscriber: the last one that was triggered and
 * announced, from the log, so it needs no memory and survives a restart. @param since epoch ms; an
 * older event has expired. @returns undefined for a cache miss
 */
export function cachedEntry(hub: Hub, channel: string, since: number): StreamEntry | undefined {
  const stream = { kind: "pusher", channel } as const;
  const entry = hub.history.last(stream, hub.head(stream));
  return entry && entry.at > since ? entry : undefined;
}
