import { PrismError } from "../../core/errors.ts";
import type { Hub } from "../../live/hub.ts";
import { cachedEntry } from "../../live/protocols/pusher/pusher-cache.ts";
import { isCacheChannel, isPresenceChannel } from "../../live/protocols/pusher/pusher-channel.ts";
import type { PusherRegistry } from "../../live/protocols/pusher/pusher-registry.ts";
import type { StreamEntry } from "../../live/stream.ts";
import type { Attribute, ChannelAttribute } from "./schema.ts";

/** What is said of a channel: the attributes that were asked for. */
export type ChannelInfo = Partial<Record<Attribute, number>>;

/** Attributes of one channel; of one that is no presence channel there are no members to count. */
export function channelInfo(
  registry: PusherRegistry,
  channel: string,
  attributes: readonly ChannelAttribute[],
): ChannelInfo {
  const info: ChannelInfo = {};
  if (attributes.includes("user_count") && isPresenceChannel(channel))
    info.user_count = registry.members(channel).length;
  if (attributes.includes("subscription_count")) info.subscription_count = registry.subscriptionCount(channel);
  return info;
}

/** The same of several channels, by name, in an object that takes any. */
export function channelInfos(
  registry: PusherRegistry,
  channels: Iterable<string>,
  attributes: readonly Attribute[],
): Record<string, ChannelInfo> {
  return Object.fromEntries([...channels].map((channel) => [channel, channelInfo(registry, channel, attributes)]));
}

/** The last event of a cache channel, and for how many seconds more it is sent to new subscribers. */
export interface CachedInfo {
  readonly data: string;
  readonly ttl: number;
}

/** @returns null where the channel has no such event. @throws VALIDATION_FAILED for a channel that is no cache channel */
export function cachedInfo(hub: Hub, channel: string, ttlMs: number, now: number): CachedInfo | null {
  if (!isCacheChannel(channel))
    throw new PrismError("VALIDATION_FAILED", "Only cache channels have a last event: their names begin with cache-");
  const entry = cachedEntry(hub, channel, now - ttlMs);
  return entry ? { data: textOf(entry), ttl: Math.ceil((entry.at + ttlMs - now) / 1000) } : null;
}

/** The log keeps the text of an event as a JSON string; of what a module publishes it has the value itself. */
function textOf({ data }: StreamEntry): string {
  const value: unknown = JSON.parse(data);
  return typeof value === "string" ? value : data;
}

/** Pusher counts members where nothing but presence channels is asked about. @param name a channel, or what its name begins with. @throws VALIDATION_FAILED */
export function requireCountable(name: string, attributes: readonly ChannelAttribute[]): void {
  if (attributes.includes("user_count")) requirePresence(name);
}

/** @throws VALIDATION_FAILED */
export function requirePresence(name: string): void {
  if (!isPresenceChannel(name))
    throw new PrismError("VALIDATION_FAILED", "Only presence channels have members: their names begin with presence-");
}
