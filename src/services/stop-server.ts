import { within } from "../base/within.ts";
import type { DescriptorWatch } from "../http/descriptor-watch.ts";
import type { HttpKernel } from "../http/kernel.ts";
import { lastRequests } from "../http/last-requests.ts";
import type { HttpListener } from "../http/listener.ts";
import type { JobRunner } from "../jobs/runner.ts";
import type { Connections } from "../realtime/connections.ts";
import type { Presence } from "../realtime/presence.ts";
import type { Store } from "../store/store.ts";
import type { TrustedIssuer } from "./access/trusted-issuer.ts";
import type { UsageMarks } from "./access/usage-marks.ts";
import type { AccountServices } from "./accounts/open-accounts.ts";
import type { AuditHeadKeeper } from "./audit/audit-head-keeper.ts";
import type { AuditRetention } from "./audit/audit-retention.ts";
import type { Senders } from "./delivery/senders.ts";
import type { EventBus } from "./events/event-bus.ts";
import type { ForeignWrites } from "./foreign-writes.ts";
import type { ModulesServices } from "./modules/open-modules.ts";
import type { RetentionJob } from "./retention/retention-job.ts";
import type { Schedules } from "./schedules/schedules.ts";
import type { StorageGuard } from "./storage-guard.ts";

/** How long a mail server may delay a stop; the links that mails carry can be asked for again. */
const MAIL_LIMIT_MS = 5000;

/** How long after `shutdownMs` the last commits, the audit head and the move of the WAL may take. */
const LAST_STEPS_MS = 2000;

export interface RunningServer {
  readonly shutdownMs: number;
  readonly bus: EventBus;
  readonly foreign: Pick<ForeignWrites, "stop">;
  readonly descriptors: DescriptorWatch;
  readonly listener: HttpListener;
  readonly kernel: HttpKernel;
  readonly connections: Connections;
  readonly retention: Pick<RetentionJob, "stop">;
  readonly schedules: Schedules;
  readonly runner: JobRunner;
  readonly modules: Pick<ModulesServices, "moduleWatch" | "loaded" | "consumers">;
  readonly usage: UsageMarks;
  readonly auditRetention: AuditRetention;
  readonly auditHead: AuditHeadKeeper;
  readonly accounts: Pick<AccountServices, "accountLinks" | "accountMail" | "passwords" | "mailer">;
  readonly issuer: Pick<TrustedIssuer, "stop"> | undefined;
  readonly senders: Senders;
  readonly storage: StorageGuard;
  readonly presence: Presence;
  readonly store: Store;
}

/**
 * Stops in order: no new connections, requests under way are answered, sockets are told to reconnect, jobs end, the database is closed. Kept
 * connections stay open until nothing more comes on them: what a client has sent before it could know of the stop is answered 503.
 */
export async function stopServer(server: RunningServer): Promise<void> {
  const { bus, kernel, listener, connections, modules, accounts, store, shutdownMs } = server;
  bus.emit("system:stopping");
  server.foreign.stop();
  server.descriptors.stop();
  listener.stopListening();
  const deadline = Date.now() + shutdownMs;
  const left = (): number => Math.max(0, deadline - Date.now());
  // For what the next start would have to make up for; on a slow disk it does.
  const lastLeft = (): number => Math.max(0, deadline + LAST_STEPS_MS - Date.now());
  const answered = kernel.requests.drain();
  const quiet = lastRequests(kernel.requests, listener, shutdownMs);
  // An event stream is a request under way: it ends with the sockets, so the requests cannot be waited for first.
  await Promise.all([within(left(), answered), connections.drain(Math.min(1000, left()))]);
  server.retention.stop();
  await within(left(), server.schedules.stop());
  modules.moduleWatch.stop();
  await within(lastLeft(), server.runner.stop(left()));
  await within(left(), Promise.all([modules.loaded.stop(), modules.consumers.stop()]));
  await within(left(), Promise.all([server.usage.stop(), server.auditRetention.stop()]));
  await within(left(), bus.idle());
  await within(Math.min(MAIL_LIMIT_MS, left()), accounts.accountLinks.idle());
  await within(Math.min(MAIL_LIMIT_MS, left()), accounts.accountMail.idle());
  await accounts.passwords.close();
  await within(left(), server.senders.close());
  accounts.mailer.close();
  server.issuer?.stop();
  server.storage.stop();
  server.presence.close();
  await within(lastLeft(), store.committer.settled());
  await within(lastLeft(), server.auditHead.stop());
  await quiet;
  listener.close();
  await store.close(lastLeft());
}
