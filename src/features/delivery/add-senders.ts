import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";
import type { PusherApp } from "../pusher/index.ts";
import { PusherSender } from "../pusher/index.ts";
import type { SoundServices } from "../sounds/index.ts";
import { MailSender } from "./channels/mail/mail-sender.ts";
import { Mailer, smtpOptionsOf } from "./channels/mail/mailer.ts";
import { pushSenders } from "./channels/push/push-senders.ts";
import { OutsideHosts, outsideRulesOf } from "./channels/webhook/outside-hosts.ts";
import { SafeFetch } from "./channels/webhook/safe-fetch.ts";
import { WebhookSender } from "./channels/webhook/webhook-sender.ts";
import type { Senders } from "./senders.ts";

/** What senders are made of. */
export interface SenderParts {
  readonly config: Config;
  readonly database: Database;
  readonly audit: AuditService;
  readonly box: SealedBox;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
}

/** Every channel that leads out; those that are not configured say so themselves. */
export function addSenders(senders: Senders, parts: SenderParts): { readonly mail: MailSender } {
  const mail = new MailSender({ ...parts, mailer: new Mailer(smtpOptionsOf(parts.config)) });
  senders.add(mail);
  for (const sender of pushSenders(parts)) senders.add(sender);
  const hosts = new OutsideHosts(outsideRulesOf(parts.config));
  senders.add(new PusherSender({ ...parts, app: parts.pusher, hosts }));
  const fetch = new SafeFetch(hosts);
  senders.add(new WebhookSender({ ...parts, fetch }));
  return { mail };
}
