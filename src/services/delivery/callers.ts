import type { Clock } from "../../base/clock.ts";
import type { WorkerChannel } from "../../base/worker-channels.ts";
import type { Config } from "../../config/load.ts";
import { Mailer, smtpOptionsOf } from "../mailer.ts";
import { ApnsClient, apnsOptionsOf } from "./apns-client.ts";
import { FcmClient, fcmOptionsOf } from "./fcm-client.ts";
import { MailCaller } from "./mail-caller.ts";
import { OutsideHosts, outsideRulesOf } from "./outside-hosts.ts";
import { PushCaller } from "./push-caller.ts";
import { SafeFetch } from "./safe-fetch.ts";
import type { Caller } from "./sender.ts";
import { WebhookCaller } from "./webhook-caller.ts";

/** What makes the calls of a worker elsewhere, by its own configuration; those that it has nothing for say so themselves. */
export function callersOf(config: Config, clock: Clock): ReadonlyMap<WorkerChannel, Caller> {
  const [fcm, apns] = [fcmOptionsOf(config), apnsOptionsOf(config)];
  return new Map<WorkerChannel, Caller<never>>([
    ["email", new MailCaller(new Mailer(smtpOptionsOf(config)))],
    ["webhook", new WebhookCaller(new SafeFetch(new OutsideHosts(outsideRulesOf(config))), clock)],
    ["fcm", new PushCaller("fcm", fcm && new FcmClient(fcm, clock))],
    ["apns", new PushCaller("apns", apns && new ApnsClient(apns, clock))],
  ]) as ReadonlyMap<WorkerChannel, Caller>;
}
