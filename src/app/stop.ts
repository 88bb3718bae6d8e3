import { within } from "../core/promises.ts";
import { linksIdle } from "../features/access/index.ts";
import { lastRequests } from "../http/listener.ts";
import { stopAlerts } from "./open-alerts.ts";
import type { Parts } from "./parts.ts";

/** How long requested account links may delay a stop; users can request them again. */
const LINK_LIMIT_MS = 5000;

/** Time after `shutdownMs` for the last commits, the audit head and the move of the WAL. */
const LAST_STEPS_MS = 2000;

/**
 * Stops in order: no new connections, running requests are answered, sockets are asked to
 * reconnect, jobs end, the database closes. Idle connections stay open for a while: requests sent
 * before the client noticed the stop are answered with 503.
 */
export async function stop({ base, core, http, services, features, upkeep }: Parts): Promise<void> {
  const { bus, store } = base;
  const { kernel, listener } = http;
  const { modules } = services;
  const { accounts } = core.access;
  const { connections, presence } = core.live;
  const { shutdownMs } = base.config;
  bus.emit("system:stopping");
  upkeep.descriptors.stop();
  listener.stopListening();
  const deadline = Date.now() + shutdownMs;
  const left = (): number => Math.max(0, deadline - Date.now());
  // Steps that the next start would otherwise make up for, as on a slow disk.
  const lastLeft = (): number => Math.max(0, deadline + LAST_STEPS_MS - Date.now());
  const answered = kernel.requests.drain();
  const quiet = lastRequests(kernel.requests, listener, shutdownMs);
  // An event stream is a running request that ends with the sockets: no waiting for requests.
  await Promise.all([
    within(left(), answered),
    connections.drain(Math.min(1000, left())),
    features.offers.mailIn.stop(left()),
  ]);
  await services.preparing.stop();
  upkeep.retention.stop();
  await within(left(), upkeep.emergencyWatch.stop());
  await within(left(), upkeep.watch.stop());
  await within(left(), services.schedules.stop());
  await within(lastLeft(), core.pipeline.absences.stop());
  await features.stop(left);
  await within(left(), stopAlerts(services.alerting));
  modules.moduleWatch.stop();
  await within(lastLeft(), core.jobs.runner.stop(left()));
  await within(lastLeft(), services.pages.stop());
  await within(left(), Promise.all([modules.loaded.stop(), modules.consumers.stop()]));
  await beginWithin(left(), () => upkeep.usage.stop());
  await beginWithin(lastLeft(), () => core.access.projects.storage.stop());
  await within(left(), bus.idle());
  await within(Math.min(LINK_LIMIT_MS, left()), linksIdle(accounts));
  await accounts.passwords.close();
  await within(left(), core.pipeline.channels.close());
  core.access.issuer?.stop();
  base.storage.stop();
  presence.close();
  await base.emergency.stop(left());
  await within(lastLeft(), store.committer.settled());
  await beginWithin(lastLeft(), () => upkeep.auditHead.stop());
  await quiet;
  listener.close();
  await store.close(lastLeft());
}

/** For a step that only writes: what was begun at the last moment holds the end for as long as the disk takes. */
async function beginWithin(limitMs: number, step: () => Promise<unknown>): Promise<void> {
  if (limitMs > 0) await within(limitMs, step());
}

/** Stops one command's core after its last answer. @param auditSeq the trail's end before it */
export async function stopCommand({ base, core, http, services, upkeep }: Parts, auditSeq: number): Promise<void> {
  http.listener.stopListening();
  await services.preparing.stop();
  await base.bus.idle();
  if (!base.readsOnly) await stopAlerts(services.alerting);
  await linksIdle(core.access.accounts);
  await core.access.accounts.passwords.close();
  await core.pipeline.channels.close();
  base.storage.stop();
  core.live.presence.close();
  if (!base.readsOnly) await core.access.projects.storage.flush();
  // No job runs; it closes its file.
  await core.jobs.runner.stop(0);
  await base.store.committer.settled();
  if (!base.readsOnly) await upkeep.auditHead.noteSince(auditSeq);
  http.listener.close();
  await base.store.close();
}
