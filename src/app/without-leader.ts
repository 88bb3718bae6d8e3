import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ClusterNode } from "../cluster/follow/join.ts";
import { hasTables } from "../cluster/log/position.ts";
import { Spool, spooledIn } from "../cluster/spool/spool.ts";
import { nodeOf } from "../config/checks.ts";
import { type Config, type LoadedConfig, sealedBoxOf } from "../config/load.ts";
import { localUrlOf, publicUrlOf } from "../config/public-url.ts";
import { freeBytes } from "../core/data-dir.ts";
import type { Logger } from "../core/log.ts";
import { within } from "../core/promises.ts";
import { nameOwners, warnOnPages } from "../core/runtime.ts";
import { countText } from "../core/text/clean-text.ts";
import { systemClock } from "../core/time/clock.ts";
import { Emergency } from "../features/health/emergency/index.ts";
import { AliveFile, TOUCH_EVERY_MS } from "../features/health/watch/index.ts";
import { keepOnlyJobs } from "../store/commit/job-sql.ts";
import { closing, openForWriting } from "../store/sqlite/connection.ts";
import { requireRoomForSnapshot, snapshotDatabase } from "../store/sqlite/snapshot.ts";
import { endClusterOf } from "../store/store.ts";

const LOOK_MS = 500;
/** A node waits this long for those with smaller names to call the emergency contacts. */
const RANK_MS = 30_000;
const AGAIN_MS = 30_000;
const STOP_MS = 5000;
/** A copy that does not answer then is made again: two minutes, and what a slow disk needs. */
const START_MS = 120_000;
const BYTES_PER_MS = 5000;
/** What the copy and the requests for the next leader take at first. Alerts may use the last `minFreeBytes`. */
const ROOM_BYTES = 16_777_216;

interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly node: Pick<
    ClusterNode,
    "forwarder" | "isCopying" | "isLeading" | "leaderUrl" | "silentMs" | "rank" | "setDegraded"
  >;
  /** Starts the process of {@link serveCopy}, with a channel for messages. */
  spawnCopy(): ChildProcess;
  /** Between two tries to start it. */
  readonly againMs?: number;
  /** How long it may take to start, beside the time for its copy. */
  readonly startMs?: number;
  readonly free?: typeof freeBytes;
}

/** What {@link serveCopy} sends when it listens. */
interface CopyMessage {
  readonly url: string;
}

/**
 * Watches for a cluster without a leader. After `cluster.emergencyAfterMs` the emergency contacts are
 * called, and with `cluster.degraded: page` a process beside this one pages people from a copy of the
 * database. What it has accepted is sent to the next leader.
 */
export function watchForLeader(parts: Parts): { stop(): Promise<void> } {
  const { config, log, node, spawnCopy, againMs = AGAIN_MS, startMs = START_MS, free = freeBytes } = parts;
  const { emergencyAfterMs, degraded } = config.cluster;
  const { forwarder } = node;
  const spool = new Spool({ dataDir: config.dataDir, box: sealedBoxOf(config), log, forwarder });
  const emergency = new Emergency({
    ...{ dataDir: config.dataDir, clock: systemClock, log: log.namespace("emergency") },
    options: () => ({ ...config.emergency, proxy: config.proxy }),
    serverUrl: () => publicUrlOf(config, config.port),
  });
  const facts = { Node: nodeOf(config) };
  // The data is served by the leader: when this node takes over, it was not down for longer.
  const alive = new AliveFile(config.dataDir, systemClock, log);
  let notedAt = Number.NEGATIVE_INFINITY;
  let copy: ChildProcess | null = null;
  let ending: Promise<void> | null = null;
  let triedAt = Number.NEGATIVE_INFINITY;
  // A process that was killed has left it.
  void removeCopy(config.dataDir, log);

  const start = (): void => {
    triedAt = performance.now();
    const failed = (err: unknown): void => {
      log.error({ err }, "the process that pages without a leader cannot be started; trying again");
    };
    const { dataDir, databaseFile: file } = config;
    let child: ChildProcess;
    let databaseBytes: number;
    try {
      if (!hasTables(file)) return;
      databaseBytes = statSync(file).size;
      requireRoomForSnapshot({ file, folder: dataDir, keptBytes: ROOM_BYTES }, free);
      log.error({}, "no node leads the cluster: paging people from a copy of the database");
      child = spawnCopy();
    } catch (err) {
      return failed(err);
    }
    copy = child;
    const lost = (): void => {
      clearTimeout(timer);
      if (copy !== child) return;
      copy = null;
      node.setDegraded(null);
      // It may have ended because the copy has filled the disk.
      ending = removeCopy(dataDir, log).finally(() => {
        ending = null;
      });
    };
    const timer = setTimeout(
      () => {
        log.error({}, "the process that pages without a leader does not answer; ending it");
        child.kill("SIGKILL");
      },
      startMs + databaseBytes / BYTES_PER_MS,
    );
    timer.unref();
    child.once("message", ({ url }: CopyMessage) => {
      clearTimeout(timer);
      if (copy === child) node.setDegraded({ url, spool });
    });
    child.on("error", (err) => {
      failed(err);
      // Without a process there is no `exit`.
      if (child.pid === undefined) lost();
    });
    child.once("exit", (code) => {
      if (copy === child) log.error({ code }, "the process that pages without a leader has ended; starting it again");
      lost();
    });
  };
  const endCopy = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await within(STOP_MS, ended);
      child.kill("SIGKILL");
      await ended;
    }
    await removeCopy(config.dataDir, log);
  };
  const end = async (): Promise<void> => {
    if (copy) ending = endCopy(copy);
    copy = null;
    node.setDegraded(null);
    await ending;
    ending = null;
  };
  const look = (): void => {
    const leader = node.leaderUrl();
    if (leader !== null) {
      emergency.clear("no-leader");
      // The server of a leader notes it itself, and also its end.
      if (!node.isLeading() && performance.now() - notedAt >= TOUCH_EVERY_MS) {
        alive.note();
        notedAt = performance.now();
      }
      if (copy) void end().then(() => log.warn({}, "a node leads the cluster again: pages leave from it"));
      else
        spool
          .sendTo(leader, () => node.leaderUrl() !== leader)
          .catch((err: unknown) => log.error({ err }, "cannot send to the leader what was accepted without one"));
      return;
    }
    const silentMs = node.silentMs();
    // A start that leads before it has waited that long is one after a crash.
    if (silentMs >= emergencyAfterMs) alive.noteWithoutLeader();
    const since = Date.now() - silentMs;
    if (silentMs >= emergencyAfterMs + node.rank() * RANK_MS)
      emergency.raise("no-leader", { text: "no node of the cluster leads.", since, facts });
    if (degraded !== "page" || copy || ending || node.isCopying()) return;
    if (silentMs >= emergencyAfterMs && performance.now() - triedAt >= againMs) start();
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      if (node.leaderUrl() === null) alive.noteWithoutLeader();
      else alive.stop();
      await Promise.all([end(), emergency.stop(STOP_MS)]);
    },
  };
}

/** It is as large as the database. */
function removeCopy(dataDir: string, log: Logger): Promise<void> {
  return rm(folderOf(dataDir), { recursive: true, force: true }).catch((err: unknown) =>
    log.warn({ err }, "cannot remove the copy of the database that paged without a leader"),
  );
}

function folderOf(dataDir: string): string {
  return join(dataDir, "without-leader");
}

/** Jobs that page people; the others wait for a leader, which must not find them done a second time. */
const PAGING_JOBS = [
  ...["alert", "delivery.attempt", "delivery.merge", "event.process", "incident.contact", "incident.ways"],
  ...["notification.deliver", "notification.recipients", "suppression.storm"],
];
const WARNING = "The cluster has no leader: this may be repeated.";

/** @param waiting number of requests */
function stateOf(waiting: number): string {
  const wait = countText(waiting, "request waits", "requests wait");
  return `No node of the cluster leads: pages leave from a copy of the database, and ${wait} for the next leader`;
}

/** A server on a copy of the database of this node, on a port of the loopback interface. */
export async function serveCopy(loaded: LoadedConfig, log: Logger): Promise<{ readonly url: string }> {
  const dataDir = folderOf(loaded.config.dataDir);
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { mode: 0o700 });
  const config = configOfCopy(loaded.config, dataDir);
  await snapshotDatabase({ file: loaded.config.databaseFile, into: config.databaseFile });
  prepareCopy(config.databaseFile);
  warnOnPages(WARNING, () => stateOf(spooledIn(loaded.config.dataDir).waiting));
  nameOwners();
  const { startApp } = await import("./start.ts");
  const app = await startApp({
    loaded: { ...loaded, config },
    // The file that names the end of the trail is that of the node.
    acceptAudit: true,
    log: log.namespace("without-leader"),
    onFatal: (error) => {
      log.error({ err: error }, "the copy of the database cannot be written");
      process.exit(1);
    },
  });
  return { url: localUrlOf(config, app.port) };
}

/** Only pages leave: no other port, no module, no report to a service outside that all is well. */
function configOfCopy(config: Config, dataDir: string): Config {
  return {
    ...config,
    ...{ dataDir, databaseFile: join(dataDir, "prism.db"), modulesDir: join(dataDir, "modules") },
    ...{ host: "127.0.0.1", port: 0, extraPorts: [], dashboardPort: undefined },
    tls: { certFile: undefined, keyFile: undefined },
    trustedProxies: [...config.trustedProxies, "127.0.0.1/32"],
    cluster: { ...config.cluster, servers: [] },
    ntfy: { ...config.ntfy, port: undefined },
    mailIn: { ...config.mailIn, port: undefined },
    watch: { ...config.watch, url: undefined },
    configuration: { ...config.configuration, dir: undefined },
    digest: { ...config.digest, enabled: false },
  };
}

/** The pages of the copy leave, and what it takes itself. */
export function prepareCopy(file: string): void {
  closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    connection.pragma("foreign_keys = off");
    endClusterOf(connection);
    keepOnlyJobs(connection, PAGING_JOBS);
    connection.prepare("delete from schedules").run();
    // The next leader passes them on.
    connection.prepare("delete from forwards").run();
  });
}
