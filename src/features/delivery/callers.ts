import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { WorkerChannel } from "../../core/worker-channels.ts";
import { MailCaller } from "./channels/mail/mail-caller.ts";
import { Mailer, smtpOptionsOf } from "./channels/mail/mailer.ts";
import { ApnsClient, apnsOptionsOf } from "./channels/push/apns-client.ts";
import { FcmClient, fcmOptionsOf } from "./channels/push/fcm-client.ts";
import { PushCaller } from "./channels/push/push-caller.ts";
import { OutsideHosts, outsideRulesOf } from "./channels/webhook/outside-hosts.ts";
import { SafeFetch } from "./channels/webhook/safe-fetch.ts";
import { WebhookCaller } from "./channels/webhook/webhook-caller.ts";
import type { Caller } from "./sender.ts";

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
