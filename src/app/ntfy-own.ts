import type { NtfyOwn } from "../features/ntfy/index.ts";
import type { Parts } from "./parts.ts";

/** What ntfy's routes and sockets need. */
export function ntfyOwn({ base, core, http, services }: Parts): NtfyOwn {
  const { database: db, clock, log, config, settings } = base;
  const { hub, connections } = core.live;
  const { projects } = core.access;
  return { db, clock, log, config, settings, projects, hub, connections, ...http, ntfy: services.ntfy };
}
