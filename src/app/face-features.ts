import type { Config } from "../config/load.ts";
import { passwordOwner } from "../features/access/index.ts";
import { gotifyFeature } from "../features/gotify/index.ts";
import { DeliveryMarks } from "../features/notifications/index.ts";
import type { NtfyOwn } from "../features/ntfy/index.ts";
import type { Feature } from "../module/feature.ts";
import type { Parts } from "./parts.ts";

/** What ntfy's routes and sockets need. */
export function ntfyOwn({ base, core, http, services }: Parts): NtfyOwn {
  const { database: db, clock, log, config, settings } = base;
  const { hub, connections } = core.live;
  const { projects, principals, users } = core.access;
  return {
    db,
    clock,
    log,
    config,
    settings,
    projects,
    principals,
    users,
    hub,
    connections,
    ...http,
    ntfy: services.ntfy,
  };
}

/** @param allowsOwn whether a page of this origin may open live connections. */
export function gotify(parts: Parts, allowsOwn: (origin: string) => boolean): Feature {
  const { database: db, reader, clock, config, settings, box, storage, metrics, committer } = parts.base;
  const { principals, accounts } = parts.core.access;
  const { kernel, router, listener } = parts.http;
  const marks = new DeliveryMarks(db, committer, clock);
  return gotifyFeature({
    ...{ db, reader, clock, config, settings, box, storage, metrics, kernel, router, principals },
    connections: parts.core.live.connections,
    announcer: parts.core.pipeline.announcer,
    notify: parts.services.notify,
    consoleUrl: () => consoleUrlOf(settings.current),
    passwordOwner: (login, password, ip) => passwordOwner(accounts, login, password, ip),
    allowsOrigin: (origin) => allowsOwn(origin) || isFaceOrigin(settings.current, origin),
    markDelivered: (userId, offset) => marks.one(userId, offset),
    mount: (put) => listener.mount(put),
  });
}

/** Known only with a `publicUrl`: a link to localhost is useless on a phone. */
function consoleUrlOf({ publicUrl }: Pick<Config, "publicUrl">): string | undefined {
  return publicUrl && `${publicUrl.replace(/\/+$/, "")}/dashboard`;
}

function isFaceOrigin({ gotify: { hosts } }: Pick<Config, "gotify">, origin: string): boolean {
  return URL.canParse(origin) && hosts.includes(new URL(origin).hostname);
}
