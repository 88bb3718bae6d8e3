import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/time/clock.ts";
import { MailClient, smtpOptionsOf } from "../channels/mail/client.ts";
import { ApnsClient, apnsOptionsOf } from "../channels/push/apns-client.ts";
import { FcmClient, fcmOptionsOf } from "../channels/push/fcm-client.ts";
import { WebhookClient } from "../channels/webhook/client.ts";
import { safeFetchOf } from "../channels/webhook/safe-fetch.ts";
import { WebPushClient } from "../channels/webpush/channel.ts";
import { type ChannelCalls, ProviderDown } from "./channel.ts";

/**
 * The calls of the channels that a remote worker can make, with the configuration of this process.
 * None reads a key or opens a connection before the first message.
 * @param current the settings in use, where they can change.
 */
export function channelCalls(config: Config, clock: Clock, current: () => Config = () => config) {
  const [fcm, apns] = [fcmOptionsOf(config), apnsOptionsOf(config)];
  const outside = safeFetchOf(config);
  return {
    email: new MailClient(() => smtpOptionsOf(current())),
    webhook: new WebhookClient(outside, clock),
    fcm: fcm ? new FcmClient(fcm, clock) : unconfigured("fcm"),
    apns: apns ? new ApnsClient(apns, clock) : unconfigured("apns"),
    webpush: new WebPushClient(outside, clock),
  };
}

function unconfigured(channel: string): ChannelCalls<never> {
  return {
    isConfigured: false,
    call: () => Promise.reject(new ProviderDown(`${channel} is not configured`)),
  };
}
