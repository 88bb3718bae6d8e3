import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { SealedBox } from "../../base/sealed-box.ts";
import type { Config } from "../../config/load.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/audit.ts";
import type { Bus } from "../events/bus.ts";
import type { Mailer } from "../mailer.ts";
import type { PusherApp } from "../pusher/pusher-app.ts";
import { PusherSender } from "../pusher/pusher-sender.ts";
import type { ReadCaches } from "../reads/read-caches.ts";
import type { SoundServices } from "../sounds/open-sounds.ts";
import { MailSender } from "./mail-sender.ts";
import { OutsideHosts, outsideRulesOf } from "./outside-hosts.ts";
import { pushSenders } from "./push-senders.ts";
import { SafeFetch } from "./safe-fetch.ts";
import type { Senders } from "./senders.ts";
import { WebhookSender } from "./webhook-sender.ts";

/** What senders are made of. */
export interface SenderParts {
  readonly config: Config;
  readonly database: Database;
  readonly audit: AuditService;
  readonly box: SealedBox;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly mailer: Mailer;
  readonly bus: Bus;
  readonly reads: ReadCaches;
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
}

/** Every channel that leads out; those that are not configured say so themselves. */
export function addSenders(senders: Senders, parts: SenderParts): void {
  senders.add(new MailSender(parts));
  for (const sender of pushSenders(parts)) senders.add(sender);
  const hosts = new OutsideHosts(outsideRulesOf(parts.config));
  senders.add(new PusherSender({ ...parts, app: parts.pusher, hosts }));
  const fetch = new SafeFetch(hosts);
  senders.add(new WebhookSender({ ...parts, fetch }));
}
