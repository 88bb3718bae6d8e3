import { statSync } from "node:fs";
import type { Config } from "../../config/load.ts";
import { toRfc3339 } from "../../core/clock.ts";
import { VERSION } from "../../core/runtime.ts";
import type { Connections } from "../../live/connections.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { Channels, Circuits } from "../delivery/index.ts";
import type { EventConsumers, EventPipeline } from "../events/index.ts";
import { type QueueParts, queueViews } from "../jobs/index.ts";
import type { LoadedModules } from "../plugins/index.ts";
import type { PusherApp } from "../pusher/index.ts";
import type { RuleBook } from "../rules/index.ts";
import type { HealthParts } from "./health.ts";

/** What an operator looks at, besides the health of the server. */
export interface StatusParts {
  readonly config: Config;
  readonly queues: QueueParts;
  readonly channels: Channels;
  readonly circuits: Circuits;
  readonly pusher: PusherApp;
  readonly loaded: LoadedModules;
  readonly connections: Connections;
  readonly consumers: EventConsumers;
  readonly rules: RuleBook;
  readonly pipeline: EventPipeline;
  /** What is wrong, in words for an operator. */
  warnings(): readonly string[];
}

/** What an operator looks at first (contract 4.12). */
export async function systemStatus({ clock, startedAt, store, storage, backlog }: HealthParts, parts: StatusParts) {
  const { config, circuits, loaded, connections, consumers, rules, pipeline } = parts;
  const { databaseBytes, walBytes } = store.sizes();
  return {
    version: VERSION,
    uptimeMs: Math.max(0, clock.now() - startedAt),
    database: {
      engine: "sqlite",
      sizeBytes: databaseBytes,
      walBytes,
      lastCheckpointAt: lastCheckpoint(config.databaseFile),
      freeDiskBytes: Number.isFinite(storage.freeBytes) ? storage.freeBytes : null,
    },
    mysql: { mode: "embedded" },
    redis: { mode: "embedded" },
    pusher: pusherStatus(parts),
    smtp: channelStatus(parts, "email"),
    fcm: channelStatus(parts, "fcm"),
    apns: channelStatus(parts, "apns"),
    paused: circuits.paused().map(({ channel, state }) => ({ channel, state })),
    modules: loaded.list().map(({ name, version, state, error }) => ({ name, version, state, error })),
    queues: await queueViews(parts.queues),
    realtime: { connections: connections.counts },
    consumers: [{ name: "rule-engine", lag: backlog.lag() }, ...consumers.lags()],
    rules: { active: rules.size },
    ingest: { pendingBytes: pipeline.pendingBytes },
    warnings: parts.warnings(),
  };
}

/** The embedded server is this process: what answers the question serves it too. */
function pusherStatus(parts: StatusParts) {
  const { pusher, config } = parts;
  const { mode } = config.pusher;
  const { key } = pusher;
  return { mode, key, connected: mode === "embedded" || channelStatus(parts, "pusher").connected };
}

/** Whether a channel can be used, and whether its provider answered when it was called last; null: nothing was sent since the start. */
function channelStatus({ channels, circuits }: StatusParts, channel: OutsideChannel) {
  const isOn = channels.get(channel) !== undefined;
  return { mode: isOn ? "on" : "off", connected: isOn ? circuits.isReached(channel) : false };
}

/** In WAL mode nothing but a checkpoint writes the database file itself (sqlite.org/wal.html), so its last change was one. */
function lastCheckpoint(databaseFile: string): string | null {
  const stat = statSync(databaseFile, { throwIfNoEntry: false });
  return stat ? toRfc3339(Math.floor(stat.mtimeMs)) : null;
}
