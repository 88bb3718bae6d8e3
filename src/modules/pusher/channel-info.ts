import { PrismError } from "../../base/errors.ts";
import { isPresenceChannel } from "../../realtime/pusher/pusher-channel.ts";
import type { PusherRegistry } from "../../realtime/pusher/pusher-registry.ts";
import type { Attribute } from "./schema.ts";

/** What is said of a channel: the attributes that were asked for. */
export type ChannelInfo = Partial<Record<Attribute, number>>;

/** Attributes of one channel; of one that is no presence channel there are no members to count. */
export function channelInfo(registry: PusherRegistry, channel: string, attributes: readonly Attribute[]): ChannelInfo {
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

/** Pusher counts members where nothing but presence channels is asked about. @param name a channel, or what its name begins with. @throws VALIDATION_FAILED */
export function requireCountable(name: string, attributes: readonly Attribute[]): void {
  if (attributes.includes("user_count")) requirePresence(name);
}

/** @throws VALIDATION_FAILED */
export function requirePresence(name: string): void {
  if (!isPresenceChannel(name))
    throw new PrismError("VALIDATION_FAILED", "Only presence channels have members: their names begin with presence-");
}
