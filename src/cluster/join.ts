import { createHmac } from "node:crypto";
import { rmSync, statSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Database as Sqlite } from "better-sqlite3";
import { nodeOf } from "../config/checks.ts";
import type { Config } from "../config/load.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import { limitActing, VERSION } from "../core/runtime.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import { endSequenceBlocks } from "../store/commit/sequences.ts";
import { keyStoredFingerprints, loadAuditKey, noteServerKeys } from "../store/sealed-settings.ts";
import { closing, openForWriting, reading } from "../store/sqlite/connection.ts";
import { migrateUp } from "../store/sqlite/migrate.ts";
import { beatFileOf } from "../store/write-health.ts";
import { Applier } from "./applier.ts";
import type { DegradedServer } from "./degraded.ts";
import { Forwarder } from "./forward.ts";
import { ClusterLead, type LeadParts, newAppendFigures, SharedName } from "./lead.ts";
import { LEASE_MS, Lease, MOST_SILENT_MS, newAccepted, noteAccepted } from "./lease.ts";
import { LogGone, RESEED } from "./log.ts";
import { ClusterMember, isFinal, type Leadership, MemberStopped } from "./member.ts";
import { followerMetrics } from "./metrics.ts";
import { connectNats, NatsLog } from "./nats-log.ts";
import { type Position, readPosition, START } from "./position.ts";
import { RecordReader, recordBox } from "./record.ts";
import { type NextRecord, ReplicatedCommits } from "./replicated-commits.ts";
import { natsSignals } from "./signals.ts";
import { fetchSnapshot, serveSnapshots } from "./snapshot.ts";
import { StandbyPort } from "./standby.ts";
import { SyncLog } from "./sync-log.ts";
import { SYSTEM_TIME } from "./time.ts";
import type { Replication } from "./writer-thread.ts";

export { Fenced, LogBehind } from "./log.ts";
export { isFinal, MemberStopped } from "./member.ts";

const LOOK_MS = 500;
/** Enough for a beat to reach the other nodes, and for requests on their way. */
const ENDING_MS = 100;

/** A node that follows, until it leads. */
export interface ClusterNode {
  /** The way to the leader. */
  readonly forwarder: Forwarder;
  /** Follows the log. @throws Diverged, LogBehind, LogGone, NatsServerRefused, UnreadableRecord, MemberStopped */
  untilLeader(): Promise<Leadership>;
  /** Migrates the file as the leader. @returns how commits are replicated from now on */
  prepare(leadership: Leadership): Promise<Replication>;
  /** Frees the port for the server of the leader. */
  freePort(): void;
  /** What the leader's server shows of the cluster. */
  lead(leadership: Leadership, replication: Replication, ends: Pick<LeadParts, "onStepDown" | "onLost">): ClusterLead;
  /** The server listens; resolves when work may begin. */
  leads(lead: ClusterLead, leadership: Leadership, url: string): Promise<void>;
  /** Before the leader ends in order: resolves when other nodes send no more requests. */
  end(): Promise<void>;
  /** Limits what the leader does to its lease; calls `onEnd` when the log has accepted nothing for too long. */
  watch(replication: Replication, onEnd: () => void): void;
  /** URL of the leader; null: there is none. */
  leaderUrl(): string | null;
  /** How long no leader was heard, in ms. */
  silentMs(): number;
  /** The number of live nodes that act before this one. */
  rank(): number;
  /** What answers while no node leads. */
  setDegraded(server: DegradedServer | null): void;
  stop(): Promise<void>;
}

/** What a node has once it has reached the nats-servers. */
interface Joined {
  readonly nats: NatsConnection;
  readonly journal: NatsLog;
  readonly member: ClusterMember;
  readonly connection: Sqlite;
}

/**
 * Opens the port of a node of a cluster. @param fencedAt when it led, was replaced, and lived, in epoch ms.
 * @throws errors of the port
 */
export async function startNode(
  config: Config,
  box: SealedBox,
  log: Logger,
  fencedAt: readonly number[],
): Promise<ClusterNode> {
  const { cluster, databaseFile } = config;
  const node = nodeOf(config);
  const secrets = [cluster.secret ?? "", ...cluster.previousSecrets] as const;
  const records = recordBox(secrets);
  const startedAt = performance.now();
  let joined: Joined | null = null;
  let isStopped = false;
  let degraded: DegradedServer | null = null;
  let ownUrl: string | null = null;
  let hasHeard = false;
  const forwarder = new Forwarder({ node, advertise: cluster.advertise ?? "", caFile: cluster.caFile, log });
  const port = new StandbyPort({
    ...{ host: config.host, port: config.port, holdMs: cluster.holdMs, forwarder },
    ...{ certFile: config.tls.certFile, keyFile: config.tls.keyFile },
    leader: () => joined?.member.leader?.advertise ?? null,
    degraded: () => degraded,
    own: (path) => {
      const leader = joined?.member.leader?.node ?? null;
      const isHeld = hasHeard && joined !== null && joined.member.silentMs < joined.member.deadMs + cluster.holdMs;
      return ownAnswer(path, { node, leader, isDegraded: degraded !== null, isHeld }, metrics);
    },
  });
  const metrics = followerMetrics(() => ({
    ...{ node, refused: port.refused, hasLeader: joined !== null && joined.member.leader !== null },
    ...(joined?.member.at ?? { term: 0, sequence: 0 }),
    lag: joined?.member.lag ?? { records: 0, ms: 0 },
  }));
  await port.listen();
  const join = async (): Promise<Joined> => {
    const own = await joinCluster({ config, box, records, fencedAt, log });
    own.member.onLeader(() => {
      hasHeard = true;
      port.leaderChanged();
    });
    log.info({ node, port: config.port, servers: cluster.servers }, "following the cluster");
    return own;
  };
  return {
    forwarder,
    async untilLeader() {
      joined = await join();
      if (isStopped) throw new MemberStopped();
      const leadership = await joined.member.untilLeader();
      joined.connection.close();
      return leadership;
    },
    prepare: (leadership) =>
      prepareAsLeader(databaseFile, box, { options: cluster, node, secrets, position: leadership.position }),
    freePort: () => port.stopListening(),
    lead(leadership, { figures, successor }, ends) {
      if (joined === null) throw new MemberStopped();
      const { member, journal } = joined;
      return new ClusterLead({
        ...{ ...ends, member, journal, leadership, figures, node, refused: port.refused },
        ...{ cluster: cluster.name, advertise: cluster.advertise ?? "" },
        successor: new SharedName(successor),
        now: Date.now,
      });
    },
    async leads(lead, { isHandedOver }, url) {
      if (joined === null) throw new MemberStopped();
      const { member, nats, journal } = joined;
      ownUrl = url;
      member.lead(() => lead.sequence);
      lead.serves();
      serveSnapshots({ nats, name: cluster.name, box: records, log }, databaseFile);
      purgeApplied({ journal, member, log, file: databaseFile });
      port.leadsAt(url);
      if (!isHandedOver) await setTimeout(LEASE_MS);
    },
    async end() {
      joined?.member.end();
      await setTimeout(ENDING_MS);
    },
    watch({ accepted }, onEnd) {
      const lease = new Lease(accepted);
      limitActing(() => lease.untilHeld());
      const timer = setInterval(() => {
        if (lease.silentMs < MOST_SILENT_MS) return;
        clearInterval(timer);
        onEnd();
      }, LOOK_MS);
      timer.unref();
    },
    leaderUrl: () => ownUrl ?? joined?.member.leader?.advertise ?? null,
    silentMs: () => joined?.member.silentMs ?? performance.now() - startedAt,
    rank: () => joined?.member.namesBefore ?? 0,
    setDegraded(server) {
      degraded = server;
    },
    async stop() {
      isStopped = true;
      joined?.member.stop();
      port.close();
      await joined?.nats.close();
      if (joined?.connection.open) joined.connection.close();
    },
  };
}

interface JoinParts {
  readonly config: Config;
  /** Of what is stored. */
  readonly box: SealedBox;
  /** Of what is between nodes. */
  readonly records: SealedBox;
  readonly fencedAt: readonly number[];
  readonly log: Logger;
}

/** Waits for the nats-servers, and copies the leader's file if this node needs it. @throws NatsServerRefused, LogGone */
async function joinCluster({ config, box: storedBox, records: box, fencedAt, log }: JoinParts): Promise<Joined> {
  const { cluster, databaseFile } = config;
  const node = nodeOf(config);
  const nats = await untilItWorks(() => connectNats(cluster, node), log);
  const journal = await NatsLog.open(nats, cluster);
  const needsCopy = () => requireOwnLog(journal, databaseFile, cluster.replicas, box);
  if (await untilItWorks(needsCopy, log)) {
    await fetchSnapshot({ nats, name: cluster.name, box, log }, databaseFile);
    // What was noted about the file before.
    rmSync(beatFileOf(config.dataDir), { force: true });
  }
  const connection = openForWriting({ file: databaseFile, busyTimeoutMs: 5000 });
  const member = new ClusterMember({
    ...{ node, journal, log, box, advertise: cluster.advertise ?? "", deadMs: cluster.deadMs },
    isStandby: cluster.role === "standby",
    fencedAt,
    keys: {
      encryption: storedBox.keyId.toString("hex"),
      tokens: createHmac("sha256", config.secrets.access).update("prism cluster").digest("hex").slice(0, 8),
    },
    readableKeys: storedBox.keyIds,
    signals: natsSignals(nats, cluster.name, box),
    applier: new Applier(connection, box),
    time: SYSTEM_TIME,
  });
  return { nats, journal, member, connection };
}

const RETRY_MS = 500;

/** The servers may be electing, or starting like this node. @throws what another try does not mend */
async function untilItWorks<T>(work: () => Promise<T>, log: Logger): Promise<T> {
  for (let reported = ""; ; ) {
    try {
      return await work();
    } catch (error) {
      if (isFinal(error)) throw error;
      const reason = String(error);
      if (reason !== reported) log.warn({ err: error }, "the log of the cluster is not ready; waiting");
      reported = reason;
      await setTimeout(RETRY_MS);
    }
  }
}

/** Whether a log of this length is read from its beginning rather than the leader's file copied. */
const MOST_READ = 5000;

/**
 * Makes the log, if this node may be its first. @returns whether the file must be copied from the
 * leader. @throws LogGone when the log is not the one of the file
 */
async function requireOwnLog(journal: NatsLog, file: string, replicas: number, box: SealedBox): Promise<boolean> {
  const hasRows = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0 && reading(file, hasTables);
  const position = hasRows ? reading(file, readPosition) : null;
  if (hasRows && position === null)
    throw new LogGone("the database is in no cluster: make a cluster from it with prism cluster init");
  if (!(await journal.exists())) {
    if (position !== null && position.sequence > 0)
      throw new LogGone(`the log of the cluster is gone: see which nats-servers run; ${RESEED}`);
    await journal.create(replicas);
  }
  const { first, last } = await journal.range();
  if (position !== null) return position.sequence + 1 < first;
  if (last === 0) return false;
  if (first > 1 || last > MOST_READ) return true;
  // The log of a cluster that was made from a database does not hold what that had.
  const record = new RecordReader(box).read((await journal.at(1)).bytes);
  return record !== null && record.previous !== START.id;
}

/** Whether the file has more than a node makes before it applies its first record. */
function hasTables(connection: Sqlite): boolean {
  return connection.prepare("select 1 from sqlite_schema where name <> 'local_state' limit 1").get() !== undefined;
}

/** Writes what a start writes beside the writer, as records. */
async function prepareAsLeader(
  file: string,
  box: SealedBox,
  own: Pick<Replication, "options" | "node" | "secrets" | "position">,
): Promise<Replication> {
  const log = new SyncLog(own.options, own.node);
  const accepted = newAccepted();
  try {
    const position = closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection): Position => {
      const commits = new ReplicatedCommits({
        ...{ connection, node: own.node, position: own.position, box: recordBox(own.secrets) },
        onLost: () => {
          throw new Error("a record is in the log, and its commit failed");
        },
      });
      const append = (next: NextRecord | null): void => log.appendNext(next, (sent) => noteAccepted(accepted, sent));
      // Another node may have taken over since the record of this leader was sent.
      append(commits.beat());
      const transaction = (work: () => void): void => {
        connection.prepare("begin immediate").run();
        work();
        append(commits.changes());
        connection.prepare("commit").run();
      };
      migrateUp(connection, undefined, undefined, transaction);
      transaction(() => {
        const auditKey = loadAuditKey(connection, box);
        endSequenceBlocks(connection);
        noteServerKeys(connection, box);
        keyStoredFingerprints(connection, auditKey);
      });
      return commits.position;
    });
    const figures = newAppendFigures(position.sequence);
    return { ...own, position, accepted, figures, successor: new SharedName().bytes };
  } finally {
    await log.close();
  }
}

const PURGE_MS = 600_000;
/** The log is kept for a node that was heard within this time. */
const GONE_MS = 3_600_000;
/** Messages that are kept although all nodes have them. */
const KEPT = 10_000;

interface Purging {
  readonly journal: NatsLog;
  readonly member: ClusterMember;
  readonly log: Logger;
  readonly file: string;
}

/**
 * Removes what every live node has applied, so that the log stays small: a node that was away for
 * longer copies the leader's file.
 */
function purgeApplied({ journal, member, log, file }: Purging): void {
  const timer = setInterval(() => {
    const live = member.nodes.filter(({ heardAt }) => performance.now() - heardAt < GONE_MS);
    const applied = [reading(file, readPosition)?.sequence ?? 0, ...live.map(({ sequence }) => sequence)];
    const before = Math.min(...applied) - KEPT;
    if (before > 0)
      journal.purge(before).catch((err: unknown) => log.warn({ err }, "cannot shorten the log of the cluster"));
  }, PURGE_MS);
  timer.unref();
}

interface OwnState {
  readonly node: string;
  readonly leader: string | null;
  readonly isDegraded: boolean;
  /** A leader was heard a short time ago: requests wait for the next one. */
  readonly isHeld: boolean;
}

/** What a node that does not lead answers itself. */
export function ownAnswer(path: string, state: OwnState, metrics: Metrics) {
  if (path === "/health/live") return json(200, { status: "ok" });
  if (path === "/health" || path === "/health/ready") {
    const hasLeader = state.leader !== null;
    // A proxy asks the second one: requests that wait, or are kept, must get here.
    const isReady = hasLeader || (path === "/health/ready" && (state.isDegraded || state.isHeld));
    return json(isReady ? 200 : 503, {
      status: hasLeader ? "ok" : "no leader",
      role: "standby",
      ...{ node: state.node, leader: state.leader },
      ...(state.isDegraded && { degraded: true }),
      version: VERSION,
    });
  }
  if (path === "/metrics")
    return {
      status: 200,
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      body: metrics.render(),
    };
  return null;
}

function json(status: number, body: unknown) {
  return { status, body: JSON.stringify(body), contentType: "application/json" };
}
