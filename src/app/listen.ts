import { join } from "node:path";
import { type ChangedSettings, changedSettings } from "../config/changes.ts";
import type { Config, LoadedConfig } from "../config/load.ts";
import { otherPorts, tlsFilesOf } from "../config/public-url.ts";
import { CONTROL_SOCKET, ListenRefused } from "../core/listening.ts";
import { MAX_DIRECT_RECIPIENTS } from "../features/rules/index.ts";
import { noteCertificate } from "../http/tls.ts";
import { forgetRights } from "./effects.ts";
import { startAlerts } from "./open-alerts.ts";
import type { Parts } from "./parts.ts";

export interface ListenOptions {
  /** Accepts an audit trail that contradicts `audit.head`. */
  readonly acceptAudit?: boolean;
  /** Called immediately before the ports are opened; until then something else may answer on them. */
  readonly beforeListen?: () => void;
}

/**
 * Starts active parts in order: modules before requests, requests before jobs. @returns once
 * everything runs
 * @throws ListenRefused, ConfigRefused
 */
export async function listen(parts: Parts, { acceptAudit = false, beforeListen }: ListenOptions): Promise<void> {
  const { base, core, http, services, upkeep } = parts;
  const { log } = base;
  await upkeep.auditHead.start(acceptAudit);
  core.access.issuer?.start();
  const reclaimed = await core.jobs.jobs.reclaim();
  if (reclaimed > 0) log.info({ jobs: reclaimed }, "jobs of a process that is gone will run again");
  await services.modules.loaded.start();
  beforeListen?.();
  base.listening.port = await openPort(parts);
  await openMailPort(parts);
  openControl(parts);
  noteCertificate(http.listener.certificate, log);
  upkeep.descriptors.start();
}

/** Call it once the server listens. */
export async function startWork({ base, core, services, features, upkeep }: Parts): Promise<void> {
  await upkeep.watch.begin();
  upkeep.usage.start();
  core.access.projects.storage.start();
  upkeep.retention.start();
  upkeep.emergencyWatch.start();
  await base.emergency.prepare();
  core.pipeline.backlog.start();
  core.pipeline.absences.start({
    recipientsOf: (rule) => core.pipeline.rules.recipientPage(rule, "", MAX_DIRECT_RECIPIENTS + 1),
    send: (trx, notification, userIds, targets) => services.notify.store(notification, userIds, trx, { targets }),
  });
  core.jobs.runner.start();
  startAlerts(services.alerting);
  services.pages.start();
  await services.schedules.start();
  await features.start();
  services.modules.moduleWatch.start();
  await upkeep.watch.start();
  base.bus.emit("system:ready");
}

async function openPort({ base: { config, store }, http: { listener } }: Parts): Promise<number> {
  try {
    return listener.listen(config.host, config.port, otherPorts(config));
  } catch (error) {
    // Explained while our ports are still in use: one of them may be listed twice.
    const refusal = error instanceof ListenRefused ? await error.explained() : error;
    listener.close();
    void store.close();
    throw refusal;
  }
}

/** @throws ConfigRefused */
async function openMailPort({ base: { store }, http: { listener }, features }: Parts): Promise<void> {
  try {
    await features.offers.mailIn.start();
  } catch (error) {
    listener.close();
    void store.close();
    throw error;
  }
}

/** A file system without sockets does not prevent the ports from being used. */
function openControl({ base: { config, log }, http: { listener } }: Parts): void {
  const path = join(config.dataDir, CONTROL_SOCKET);
  try {
    listener.listenControl(path);
  } catch (error) {
    log.warn({ path, err: error }, "no control socket: commands reach this server by HTTP only, with a token");
  }
}

/** Applies reloadable settings and a renewed certificate. */
export function reload({ base, core, http: { listener }, services, features, upkeep }: Parts, config: Config): void {
  const tls = tlsFilesOf(config);
  if (tls && listener.isTls && listener.renewCertificate(tls)) noteCertificate(listener.certificate, base.log);
  base.settings.reload(config);
  upkeep.emergencyWatch.start();
  upkeep.watch.reload();
  features.offers.mailIn.reload();
  services.alerting.receiverPresets.reload();
  services.alerting.receivers.presetsChanged();
  core.jobs.runner.reload();
  core.pipeline.channels.reload();
  base.log.reload?.({ level: config.log.level, debug: config.debug });
  services.pages.retryNow(() => true);
  base.bus.emit("system:reloaded");
}

function mailChanged({ circuits, pages }: Parts["services"]): void {
  circuits.forget("email");
  pages.retryNow(({ provider }) => provider === "email");
}

/** @param next default: all sources, loaded again. @throws ConfigRefused */
export function reloadSources(
  parts: Parts,
  next: LoadedConfig = parts.base.configuration.loaded.reload(),
): ChangedSettings {
  const { configuration } = parts.base;
  const changes = changedSettings(configuration.loaded.config, next.config);
  reload(parts, next.config);
  if (changes.inForce.some((key) => key.startsWith("smtp."))) mailChanged(parts.services);
  if (changes.inForce.includes("projects.defaultOpen")) forgetRights(parts.core, null);
  configuration.loaded = next;
  return changes;
}
