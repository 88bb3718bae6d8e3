import type { Config } from "../../../../config/load.ts";
import { ApnsClient, apnsOptionsOf } from "./apns-client.ts";
import { FcmClient, fcmOptionsOf } from "./fcm-client.ts";
import { PushSender } from "./push-sender.ts";
import type { PushTargetsParts } from "./push-targets.ts";

export interface PushSendersParts extends PushTargetsParts {
  readonly config: Config;
}

/** Push by Firebase and by Apple. Neither reads a key or opens a connection before the first message. */
export function pushSenders(parts: PushSendersParts): readonly PushSender[] {
  const { config, clock } = parts;
  const [fcm, apns] = [fcmOptionsOf(config), apnsOptionsOf(config)];
  return [
    new PushSender("fcm", fcm && new FcmClient(fcm, clock), parts),
    new PushSender("apns", apns && new ApnsClient(apns, clock), parts),
  ];
}
