import { join } from "node:path";
import { type ChangedSettings, changedSettings } from "../config/changes.ts";
import type { Config, LoadedConfig } from "../config/load.ts";
import { otherPorts, tlsFilesOf } from "../config/public-url.ts";
import { CONTROL_SOCKET, ListenRefused } from "../core/listening.ts";
import { noteCertificate } from "../http/server/tls.ts";
import type { Parts } from "./parts.ts";

export interface ListenOptions {
  /** Accepts an audit trail that contradicts `audit.head`. */
  readonly acceptAudit?: boolean;
  /** Called immediately before the ports are opened; until then something else may answer on them. */
  readonly beforeListen?: () => void;
}

/**
 * Starts active parts in order: modules before requests, requests before jobs. @returns what watches
 * the descriptors, once everything runs
 * @throws ListenRefused, ConfigRefused
 */
export async function listen(parts: Parts, { acceptAudit = false, beforeListen }: ListenOptions): Promise<void> {
  const { base, core, offers } = parts;
  const { log } = base;
  await offers.auditHead.start(acceptAudit);
  await prepare(parts);
  beforeListen?.();
  base.listening.port = await openPort(parts);
  await openMailPort(parts);
  openControl(parts);
  noteCertificate(core.listener.certificate, log);
  core.descriptors.start();
}

/** Call it once the server listens. */
export async function startWork({ base, offers, features }: Parts): Promise<void> {
  await offers.watch.begin();
  await features.all("start");
  base.bus.emit("system:ready");
}

/** @throws ConfigRefused, with which the server does not start */
async function prepare({ base: { store }, core: { listener }, features }: Parts): Promise<void> {
  try {
    await features.all("prepare");
  } catch (error) {
    listener.close();
    void store.close();
    throw error;
  }
}

async function openPort({ base: { config, store }, core: { listener } }: Parts): Promise<number> {
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
async function openMailPort({ base: { store }, core: { listener }, offers }: Parts): Promise<void> {
  try {
    await offers.mailIn.start();
  } catch (error) {
    listener.close();
    void store.close();
    throw error;
  }
}

/** A file system without sockets does not prevent the ports from being used. */
function openControl({ base: { config, log }, core: { listener } }: Parts): void {
  const path = join(config.dataDir, CONTROL_SOCKET);
  try {
    listener.listenControl(path);
  } catch (error) {
    log.warn(
      { path, err: error },
      "cannot open the control socket; commands reach this server by HTTP only, with a token",
    );
  }
}

/** Applies reloadable settings and a renewed certificate. */
export function reload({ base, core: { listener }, features }: Parts, config: Config): void {
  const tls = tlsFilesOf(config);
  if (tls && listener.isTls && listener.renewCertificate(tls)) noteCertificate(listener.certificate, base.log);
  base.settings.reload(config);
  base.log.reload?.({ level: config.log.level, debug: config.debug });
  features.reload();
  base.bus.emit("system:reloaded");
}

function mailChanged({ circuits, pages }: Parts["offers"]): void {
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
  if (changes.inForce.some((key) => key.startsWith("smtp."))) mailChanged(parts.offers);
  if (changes.inForce.includes("projects.defaultOpen")) parts.features.apply({ type: "rights-changed", of: "all" });
  configuration.loaded = next;
  return changes;
}
