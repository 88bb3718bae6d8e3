import { statSync } from "node:fs";
import { toRfc3339 } from "../../core/clock.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import { queueViews } from "../jobs/index.ts";
import type { OperationsContext } from "./context.ts";

/** What an operator looks at first (contract 4.12). */
export async function systemStatus(context: OperationsContext) {
  const {
    store,
    version,
    startedAt,
    storage,
    circuits,
    loaded,
    connections,
    backlog,
    consumers,
    rules,
    pipeline,
    warnings,
    clockTrust,
    auditHead,
    clock,
    config,
  } = context;
  const { databaseBytes, walBytes } = store.sizes();
  return {
    version,
    uptimeMs: Math.max(0, clock.now() - startedAt),
    database: {
      engine: "sqlite",
      sizeBytes: databaseBytes,
      walBytes,
      lastCheckpointAt: lastCheckpoint(config.databaseFile),
      freeDiskBytes: finiteOrNull(storage.freeBytes),
    },
    mysql: { mode: "embedded" },
    redis: { mode: "embedded" },
    pusher: pusherStatus(context),
    smtp: channelStatus(context, "email"),
    fcm: channelStatus(context, "fcm"),
    apns: channelStatus(context, "apns"),
    paused: circuits.paused().map(({ channel, state }) => ({ channel, state })),
    modules: loaded.list().map(({ name, version, state, error }) => ({ name, version, state, error })),
    queues: await queueViews(context),
    realtime: { connections: connections.counts },
    consumers: [{ name: "rule-engine", lag: backlog.lag() }, ...consumers.lags()],
    rules: { active: rules.size },
    ingest: { pendingBytes: pipeline.pendingBytes },
    warnings: [...warnings, ...store.warnings, clockTrust.warning, auditHead.warning].filter((text) => text !== null),
  };
}

/** The embedded server is this process: what answers the question serves it too. */
function pusherStatus(context: OperationsContext) {
  const { pusher, config } = context;
  const { mode } = config.pusher;
  const { key } = pusher;
  return { mode, key, connected: mode === "embedded" || channelStatus(context, "pusher").connected };
}

/** Whether a channel can be used, and whether its provider answered when it was called last; null: nothing was sent since the start. */
function channelStatus({ senders, circuits }: OperationsContext, channel: OutsideChannel) {
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
