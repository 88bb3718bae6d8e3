import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Database as Sqlite } from "better-sqlite3";
import { nodeOf } from "../../config/checks.ts";
import type { Config } from "../../config/load.ts";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import { secretsEqual } from "../../core/crypto/tokens.ts";
import { leastFreeBytes } from "../../core/data-dir.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Logger } from "../../core/log.ts";
import type { Metrics } from "../../core/metrics.ts";
import { limitActing, VERSION } from "../../core/runtime.ts";
import { errorBody } from "../../http/api/error-reply.ts";
import { canonicalAddress, isFromThisMachine, proxySignInHeaders } from "../../http/server/headers.ts";
import { openForWriting, reading } from "../../store/sqlite/connection.ts";
import { notesOf } from "../../store/write-health.ts";
import type { DegradedServer } from "../lead/degraded.ts";
import { ClusterLead, type LeadParts, SharedName } from "../lead/lead.ts";
import { LEASE_MS, Lease, MOST_SILENT_MS, noteTurn } from "../lead/lease.ts";
import { prepareAsLeader } from "../lead/prepare-leader.ts";
import { LogGone } from "../log/log.ts";
import { connectNats, LOST_LOG, NatsLog } from "../log/nats-log.ts";
import { hasTables, readPosition, START } from "../log/position.ts";
import { RecordReader, recordBox } from "../log/record.ts";
import type { Replication } from "../log/writer-thread.ts";
import { ClusterMember, type Leadership } from "../member.ts";
import { isFinal, MemberStopped } from "../member-errors.ts";
import { type NodeBeat, natsSignals } from "../signals.ts";
import { SYSTEM_TIME } from "../time.ts";
import { answerDigests, compareNodes } from "../tools/compare.ts";
import { followerMetrics } from "../tools/metrics.ts";
import { Applier } from "./applier.ts";
import { Forwarder } from "./forward.ts";
import { NatsFiles } from "./shared-files.ts";
import { fetchSnapshot, finishCopy, type Snapshots, serveSnapshots } from "./snapshot.ts";
import { StandbyPort } from "./standby.ts";

export { Fenced, LogBehind } from "../log/log.ts";
export { isFinal, MemberStopped } from "../member-errors.ts";

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
  /** Before the leader's server starts: limits it to its lease; calls `onEnd` when it can lead no longer. */
  watch(replication: Replication, onEnd: () => void): void;
  /** URL of the leader; null: there is none. */
  leaderUrl(): string | null;
  /** This node leads, and its server answers. */
  isLeading(): boolean;
  /** How long no leader was heard, in ms. */
  silentMs(): number;
  /** Its database is older than the log: it copies that of the leader. */
  isCopying(): boolean;
  /** The number of live nodes that act before this one. */
  rank(): number;
  /** What answers while no node leads. */
  setDegraded(server: DegradedServer | null): void;
  /** Answers what was passed on, within `shutdownMs`, and takes no part in the cluster any more. */
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
  finishCopy(databaseFile, notesOf(config.dataDir));
  const node = nodeOf(config);
  const secrets = [cluster.secret ?? "", ...cluster.previousSecrets] as const;
  const records = recordBox(secrets);
  const startedAt = performance.now();
  let joined: Joined | null = null;
  let isStopped = false;
  /** Before this node has joined: it may copy the leader's file for minutes. */
  let early: { readonly advertise: string | null; readonly at: number } | null = null;
  let isCopying = false;
  const leaderUrl = (): string | null => {
    if (joined !== null) return joined.member.leader?.advertise ?? null;
    return early !== null && performance.now() - early.at < cluster.deadMs ? early.advertise : null;
  };
  const silentMs = () => joined?.member.silentMs ?? performance.now() - Math.max(startedAt, early?.at ?? 0);
  let degraded: DegradedServer | null = null;
  let ownUrl: string | null = null;
  let hasHeard = false;
  const notPassed = proxySignInHeaders(config);
  const forwarder = new Forwarder({ node, advertise: cluster.advertise ?? "", caFile: cluster.caFile, notPassed, log });
  const port = new StandbyPort({
    ...{ host: config.host, port: config.port, holdMs: cluster.holdMs, forwarder },
    ...{ certFile: config.tls.certFile, keyFile: config.tls.keyFile, trustedProxies: config.trustedProxies },
    leader: leaderUrl,
    silentMs,
    unreachable: (req) => unreachableText(isLocal(req) ? (joined?.member.leader ?? null) : null),
    degraded: () => degraded,
    own: (path, req) => {
      const { node: leader = null, advertise = null } = joined?.member.leader ?? {};
      const isHeld = hasHeard && joined !== null && joined.member.silentMs < joined.member.deadMs + cluster.holdMs;
      const problem = joined?.member.problem ?? null;
      const spooled = degraded?.spool.waiting ?? null;
      const isDegraded = degraded !== null;
      const state = { node, leader, leaderUrl: advertise, problem, isDegraded, spooled, isHeld };
      const readsMetrics = isLocal(req) || mayReadMetrics(req, config);
      return ownAnswer(path, { ...state, showsNames: isLocal(req), readsMetrics }, metrics);
    },
  });
  const metrics = followerMetrics(() => ({
    ...{ node, refused: port.refused, hasLeader: joined !== null && joined.member.leader !== null },
    ...(joined?.member.at ?? { term: 0, sequence: 0 }),
    lag: joined?.member.lag ?? { records: 0, ms: 0 },
  }));
  await port.listen();
  const join = async (): Promise<Joined> => {
    const own = await joinCluster({
      ...{ config, box, records, fencedAt, log },
      onBeat({ isLeader, isEnding, advertise }) {
        if (joined !== null || !isLeader) return;
        const isNew = leaderUrl() === null;
        early = { advertise: isEnding ? null : advertise, at: performance.now() };
        if (isNew && !isEnding) port.leaderChanged();
      },
      onCopy: (is) => {
        isCopying = is;
      },
    });
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
    prepare: ({ position }) => {
      const keys = [config.secrets.encryptionKey, ...config.previousEncryptionKeys] as const;
      return prepareAsLeader({ file: databaseFile, keys, own: { options: cluster, node, secrets, position } });
    },
    freePort: () => port.stopListening(),
    lead(leadership, { figures, successor }, ends) {
      if (joined === null) throw new MemberStopped();
      const { member, journal, nats } = joined;
      const files = new NatsFiles(nats, cluster.name, cluster.replicas, records);
      return new ClusterLead({
        ...{ ...ends, member, journal, files, leadership, figures, node, refused: port.refused },
        ...{ cluster: cluster.name, advertise: cluster.advertise ?? "" },
        successor: new SharedName(successor),
        compare: (others, hold) =>
          compareNodes({ nats, name: cluster.name, box: records }, { node, file: databaseFile, ...others }, hold),
        now: Date.now,
      });
    },
    async leads(lead, { isHandedOver }, url) {
      if (joined === null) throw new MemberStopped();
      const { member, nats, journal } = joined;
      ownUrl = url;
      member.lead(() => lead.sequence);
      lead.serves();
      const served = { file: databaseFile, minFreeBytes: config.minFreeBytes };
      const snapshots = serveSnapshots({ nats, name: cluster.name, box: records, log }, served);
      purgeApplied({ journal, member, lead, snapshots, log });
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
        noteTurn(accepted);
        if (lease.silentMs < MOST_SILENT_MS) return;
        clearInterval(timer);
        onEnd();
      }, LOOK_MS);
      timer.unref();
    },
    leaderUrl: () => ownUrl ?? leaderUrl(),
    isLeading: () => ownUrl !== null,
    silentMs,
    isCopying: () => isCopying,
    rank: () => joined?.member.namesBefore ?? 0,
    setDegraded(server) {
      degraded = server;
      if (server !== null) port.answersFromCopy();
    },
    async stop() {
      isStopped = true;
      joined?.member.stop();
      await port.drain(config.shutdownMs);
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
  readonly onBeat: (beat: NodeBeat) => void;
  onCopy(isCopying: boolean): void;
}

/** Waits for the nats-servers, and copies the leader's file if this node needs it. @throws NatsServerRefused, LogGone */
async function joinCluster(parts: JoinParts): Promise<Joined> {
  const { config, box: storedBox, records: box, fencedAt, log } = parts;
  const { cluster, databaseFile } = config;
  const node = nodeOf(config);
  const nats = await untilItWorks(() => connectNats(cluster, node), log);
  const signals = natsSignals(nats, cluster.name, box);
  signals.onBeat(parts.onBeat);
  const journal = await NatsLog.open(nats, cluster);
  const needsCopy = () => requireOwnLog(journal, databaseFile, cluster.replicas, box);
  if (await untilItWorks(needsCopy, log)) {
    parts.onCopy(true);
    await fetchSnapshot({ nats, name: cluster.name, box, log }, databaseFile, { notes: notesOf(config.dataDir) });
    parts.onCopy(false);
  }
  const connection = openForWriting({ file: databaseFile, busyTimeoutMs: 5000 });
  answerDigests({ nats, name: cluster.name, box }, node, databaseFile);
  const member = new ClusterMember({
    ...{ node, journal, log, box, advertise: cluster.advertise ?? "", deadMs: cluster.deadMs },
    isStandby: cluster.role === "standby",
    hasRoom: watchRoom(config, log),
    fencedAt,
    keys: {
      encryption: storedBox.keyId.toString("hex"),
      tokens: createHmac("sha256", config.secrets.access).update("prism cluster").digest("hex").slice(0, 8),
    },
    readableKeys: storedBox.keyIds,
    signals,
    applier: new Applier(connection, box),
    time: SYSTEM_TIME,
  });
  return { nats, journal, member, connection };
}

const ROOM_BYTES = 524_288_000;
const ROOM_EVERY_MS = 10_000;

/** Reads now and then how much room the disk has. @returns whether it is enough to lead */
function watchRoom({ databaseFile, dataDir, minFreeBytes }: Config, log: Logger): () => boolean {
  const leastBytes = Math.max(ROOM_BYTES, 2 * minFreeBytes);
  let hasRoom = true;
  const look = async (): Promise<void> => {
    const had = hasRoom;
    const freeBytes = await leastFreeBytes([dirname(databaseFile), dataDir]);
    hasRoom = freeBytes >= leastBytes;
    if (had && !hasRoom) log.warn({ freeBytes, leastBytes }, "too little free disk space: this node takes over last");
  };
  const check = (): void => void look().catch((err: unknown) => log.warn({ err }, "cannot read the free disk space"));
  check();
  setInterval(check, ROOM_EVERY_MS).unref();
  return () => hasRoom;
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
  const hasRows = hasTables(file);
  const position = hasRows ? reading(file, readPosition) : null;
  const exists = await journal.exists();
  if (hasRows && position === null)
    throw new LogGone(
      exists && (await journal.last()) > 0
        ? "the database is in no cluster, and the cluster has a log already: follow it with prism cluster join, or " +
            "replace it by this database with prism cluster reseed; to go on alone remove cluster.servers"
        : "the database is in no cluster: make a cluster from it with prism cluster init, or remove cluster.servers",
    );
  if (!exists) {
    if (position !== null && position.sequence > 0) throw new LogGone(LOST_LOG);
    await journal.create(replicas);
  }
  const { first, last } = await journal.range();
  if (position !== null) return position.sequence + 1 < first;
  if (last === 0) return false;
  if (first > 1 || last > MOST_READ) {
    // A node with another secret would wait for a copy that it cannot open.
    new RecordReader(box).read((await journal.at(last)).bytes);
    return true;
  }
  // The log of a cluster that was made from a database does not hold what that had.
  const record = new RecordReader(box).read((await journal.at(1)).bytes);
  return record !== null && record.previous !== START.id;
}

const PURGE_MS = 600_000;
/** The log is kept for a node that was heard, and applied something, within this time. */
const KEPT_FOR_MS = 3_600_000;
/** Messages that are kept although all nodes have them. */
const KEPT = 10_000;

interface Purging {
  readonly journal: Pick<NatsLog, "purge">;
  readonly member: Pick<ClusterMember, "nodes">;
  readonly lead: Pick<ClusterLead, "sequence">;
  readonly snapshots: Snapshots;
  readonly log: Logger;
}

/**
 * Removes what every live node has applied, so that the log stays small: a node that was away for
 * longer, or has applied nothing for so long, copies the leader's file.
 */
export function purgeApplied({ journal, member, lead, snapshots, log }: Purging): void {
  /** Where each node was when it last went on. */
  const progress = new Map<string, { readonly sequence: number; readonly at: number }>();
  const timer = setInterval(() => {
    const [now, end] = [performance.now(), lead.sequence];
    for (const { node, sequence } of member.nodes)
      if (sequence >= end || sequence !== progress.get(node)?.sequence) progress.set(node, { sequence, at: now });
    // A node that copies the file needs the log from then on, and sends no beats yet.
    if (snapshots.isInUse) return;
    // With a full disk it is heard for days, and the log would grow until no node can write to it.
    const live = member.nodes.filter(
      ({ node, heardAt }) => now - Math.min(heardAt, progress.get(node)?.at ?? now) < KEPT_FOR_MS,
    );
    const applied = [end, ...live.map(({ sequence }) => sequence)];
    const before = Math.min(...applied) - KEPT;
    if (before > 0)
      journal.purge(before).catch((err: unknown) => log.warn({ err }, "cannot shorten the log of the cluster"));
  }, PURGE_MS);
  timer.unref();
}

interface OwnState {
  readonly node: string;
  readonly leader: string | null;
  readonly leaderUrl: string | null;
  /** Why no node can lead. */
  readonly problem: string | null;
  readonly isDegraded: boolean;
  /** Requests that wait for the next leader; null: none is taken. */
  readonly spooled?: number | null;
  /** A leader was heard a short time ago: requests wait for the next one. */
  readonly isHeld: boolean;
  /** Names, URL and version are for programs on this machine, as at a single server. */
  readonly showsNames: boolean;
  /** The caller may read metrics. */
  readonly readsMetrics: boolean;
}

/** Tokens of users are known to the leader only. */
function mayReadMetrics({ headers }: IncomingMessage, { metricsToken }: Config): boolean {
  return metricsToken === undefined || secretsEqual(headers.authorization ?? "", `Bearer ${metricsToken}`);
}

function isLocal({ socket, headers }: IncomingMessage): boolean {
  // A program of this machine that asks for another of its addresses comes from that one.
  const isOwn = socket.remoteAddress !== undefined && socket.remoteAddress === socket.localAddress;
  const clientAddress = isOwn ? "127.0.0.1" : (canonicalAddress(socket.remoteAddress ?? "") ?? "");
  return isFromThisMachine({ isControl: false, clientAddress, headerNames: () => Object.keys(headers) });
}

/** @param leader null: its name and URL are not shown */
function unreachableText(leader: Pick<NodeBeat, "node" | "advertise"> | null): string {
  return leader === null
    ? "This node cannot reach the leader of the cluster; nothing was stored"
    : `The leader ${leader.node} of the cluster cannot be reached at ${leader.advertise}; nothing was stored`;
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
      ...(state.showsNames && { node: state.node, leader: state.leader, leaderUrl: state.leaderUrl }),
      ...(!hasLeader && state.problem !== null && { problem: state.problem }),
      ...(state.isDegraded && { degraded: true }),
      ...(state.showsNames && { ...(state.isDegraded && { spooled: state.spooled }), version: VERSION }),
    });
  }
  if (path === "/metrics" && !state.readsMetrics)
    return json(401, errorBody(new PrismError("UNAUTHENTICATED", "The metrics token is missing or wrong"), uuidv7()));
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
