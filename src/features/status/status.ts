import { statSync } from "node:fs";
import type { CoreServices, SystemServices } from "../../app/module.ts";
import { toRfc3339 } from "../../core/clock.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { queueViews } from "../jobs/index.ts";

/** What an operator looks at first (contract 4.12). */
export async function systemStatus(services: CoreServices) {
  const { system, clock, config } = services;
  const { databaseBytes, walBytes } = system.store.sizes();
  return {
    version: system.version,
    uptimeMs: Math.max(0, clock.now() - system.startedAt),
    database: {
      engine: "sqlite",
      sizeBytes: databaseBytes,
      walBytes,
      lastCheckpointAt: lastCheckpoint(config.databaseFile),
      freeDiskBytes: finiteOrNull(system.storage.freeBytes),
    },
    mysql: { mode: "embedded" },
    redis: { mode: "embedded" },
    pusher: pusherStatus(services),
    smtp: channelStatus(system, "email"),
    fcm: channelStatus(system, "fcm"),
    apns: channelStatus(system, "apns"),
    paused: system.circuits.paused().map(({ channel, state }) => ({ channel, state })),
    modules: system.loaded.list().map(({ name, version, state, error }) => ({ name, version, state, error })),
    queues: await queueViews(services),
    realtime: { connections: system.connections.counts },
    consumers: [{ name: "rule-engine", lag: system.backlog.lag() }, ...system.consumers.lags()],
    rules: { active: system.rules.size },
    ingest: { pendingBytes: system.pipeline.pendingBytes },
    warnings: [
      ...system.warnings,
      ...system.store.warnings,
      system.clockTrust.warning,
      system.auditHead.warning,
    ].filter((text) => text !== null),
  };
}

/** The embedded server is this process: what answers the question serves it too. */
function pusherStatus({ system, config }: CoreServices) {
  const { mode } = config.pusher;
  const { key } = system.pusher;
  return { mode, key, connected: mode === "embedded" || channelStatus(system, "pusher").connected };
}

/** Whether a channel can be used, and whether its provider answered when it was called last; null: nothing was sent since the start. */
function channelStatus({ senders, circuits }: SystemServices, channel: OutsideChannel) {
  const isOn = senders.get(channel) !== undefined;
  return { mode: isOn ? "on" : "off", connected: isOn ? circuits.isReached(channel) : false };
}

/** In WAL mode nothing but a checkpoint writes the database file itself (sqlite.org/wal.html), so its last change was one. */
function lastCheckpoint(databaseFile: string): string | null {
  const stat = statSync(databaseFile, { throwIfNoEntry: false });
  return stat ? toRfc3339(Math.floor(stat.mtimeMs)) : null;
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
