import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { nodeOf } from "../../config/checks.ts";
import type { Config } from "../../config/load.ts";
import { type Finding, fail, pass, warn } from "../../core/finding.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import {
  appliedHere,
  type Heard,
  type HeardNode,
  heardBeats,
  OTHER_SECRET,
  requireClusterFiles,
  type Tried,
  tryServers,
  type Unreachable,
  unreachableOf,
} from "../follow/look.ts";
import { type LogRoom, type LogServer, RESEED } from "../log/log.ts";
import { addressOf, isOldServer, moreRoom, NatsLog, OLDEST_SERVER, SEALED_LOG, streamOf } from "../log/nats-log.ts";
import { spooledIn } from "../spool/spool.ts";
import { MOST_SKEW_MS } from "../time.ts";

type Cluster = Config["cluster"];
/** A nats-server of the configuration that answers. */
type Reached = Exclude<Tried, { readonly connection: null }>;

/** Records are sent in parts of half of it. */
const LEAST_PAYLOAD = 1_048_576;

/** The nats-servers, the log and the nodes of a cluster. */
export async function checkNodes(config: Config): Promise<Finding[]> {
  if (config.cluster.servers.length === 0) return ownSpoolChecks(config.dataDir);
  return [...(await checkServers(config)), ...spoolChecks(config.dataDir)];
}

/** What a single server took as a node without a leader. */
function ownSpoolChecks(dataDir: string): Finding[] {
  const { waiting, refused } = spooledIn(dataDir);
  const text = `requests that this server took as a node of a cluster, and that are in no database: ${waiting}`;
  const left = waiting > 0 ? [warn("cluster spool", text, "prism serve sends them to itself: see its log")] : [];
  return refused === 0 ? left : [...left, refusedCheck(refused)];
}

function refusedCheck(refused: number): Finding {
  const text = `requests that the leader did not take, in spool/refused: ${refused}`;
  return warn("cluster spool", text, "the log of this node has the reasons; move a file to spool to send it again");
}

/** A leader takes requests within seconds. */
const MOST_WAITING_MS = 600_000;

/** What this node took without a leader, and no leader has. */
function spoolChecks(dataDir: string): Finding[] {
  const { oldestAt, refused } = spooledIn(dataDir);
  const name = "cluster spool";
  const isLate = oldestAt !== null && Date.now() - oldestAt > MOST_WAITING_MS;
  const late = isLate
    ? [warn(name, `requests wait for a leader since ${toRfc3339(oldestAt)}`, "see the log of this node")]
    : [];
  return refused === 0 ? late : [...late, refusedCheck(refused)];
}

async function checkServers(config: Config): Promise<Finding[]> {
  const { cluster, databaseFile } = config;
  requireClusterFiles(cluster);
  const tried = await tryServers(cluster, `${nodeOf(config)} doctor`);
  const reached = tried.filter((each) => each.connection !== null);
  const servers = tried.map((each) => serverCheck(each, reached.length === 0, cluster));
  const [first] = reached;
  if (!first) return servers;
  try {
    const journal = await NatsLog.open(first.connection, { ...cluster, allowOldServer: true });
    if (!(await journal.exists()))
      return [
        ...servers,
        missingLog(appliedHere(databaseFile)),
        ...(await placeChecks({ servers: cluster.servers.map(addressOf), nodes: [] })),
      ];
    const [keepers, room] = [await journal.servers(), await journal.room()];
    const beats = cluster.secret === undefined ? null : await heardBeats(first.connection, cluster, cluster.secret);
    return [
      ...servers,
      logCheck(keepers, cluster, room, namesOf(reached)),
      ...(beats === null ? [NO_SECRET] : nodeChecks(beats)),
      ...(await unreachableOf(beats?.nodes ?? [], config)).map(reachCheck),
      ...(await placeChecks({
        servers: cluster.servers.map(addressOf),
        nodes: beats?.nodes ?? [],
        logLeader: logLeader(keepers, reached),
      })),
    ];
  } finally {
    await Promise.all(reached.map(({ connection }) => connection.close()));
  }
}

/** As the configuration names the server that leads the log. */
function logLeader(keepers: readonly LogServer[], reached: readonly Reached[]): string | undefined {
  const leader = keepers.find(({ isLeader }) => isLeader);
  return leader && reached.find(({ connection }) => connection.info?.server_name === leader.name)?.address;
}

function namesOf(reached: readonly Reached[]): ReadonlySet<string> {
  return new Set(reached.flatMap(({ connection }) => connection.info?.server_name ?? []));
}

const NO_SECRET = warn(
  "cluster nodes",
  "not checked: cluster.secret is not given here",
  "give this command the variable PRISM_CLUSTER_SECRET",
);

/** @param applied number of records that this node's database has */
function missingLog(applied: number): Finding {
  const name = "cluster log";
  if (applied === 0) return warn(name, "there is none yet", "start prism serve on a node");
  return fail(name, `it is gone, and this node has applied ${applied} records of it`, RESEED);
}

/** @param isNone no server of the configuration answers */
function serverCheck(tried: Tried, isNone: boolean, { allowOldServer }: Cluster): Finding {
  const name = "nats-server";
  const { address } = tried;
  if (tried.connection === null) {
    const remedy = tried.isRefusal
      ? "compare cluster.user and cluster.password, or cluster.credentialsFile, with its configuration"
      : "the log needs most of its servers: docs/cluster.md";
    return (isNone ? fail : warn)(name, `${address} does not answer: ${tried.reason}`, remedy);
  }
  const { info } = tried.connection;
  if (!info) return warn(name, `${address} does not answer: it is disconnected`);
  const { version, max_payload: maxPayload } = info;
  if (isOldServer(version)) {
    const text = `${address} has the version ${version}, which may lose what it acknowledged`;
    return (allowOldServer ? warn : fail)(name, text, `upgrade it to ${OLDEST_SERVER.join(".")} or newer`);
  }
  if (maxPayload < LEAST_PAYLOAD)
    return fail(
      name,
      `${address} takes messages of ${maxPayload} bytes at most`,
      "set max_payload: 1MB in its configuration",
    );
  return pass(name, `${address} has the version ${version}`);
}

/** Servers do not show `sync_interval` to clients. */
const SYNC =
  "where all their machines may lose power at once, set sync_interval: always in the jetstream block of each server";

/** A stream that has this part of what it may hold is reported while there is time to raise that. */
const MOST_FILLED = 0.8;
/** A stream with less room refuses records that are not small. */
const LEAST_ROOM = 1_048_576;

/** @param running names of servers that answer */
function logCheck(
  keepers: readonly LogServer[],
  { replicas, name: cluster }: Cluster,
  room: LogRoom,
  running: ReadonlySet<string>,
): Finding {
  const name = "cluster log";
  if (room.isSealed) return fail(name, SEALED_LOG, RESEED);
  const { bytes, most } = room;
  if (most !== null && bytes > Math.min(most * MOST_FILLED, most - LEAST_ROOM)) {
    const isFull = most - bytes < LEAST_ROOM;
    const text = `its stream has ${bytes} of at most ${most} bytes${isFull ? ": no node can write" : ""}`;
    return (isFull ? fail : warn)(name, text, moreRoom(streamOf(cluster)));
  }
  const behind = keepers.filter(({ isCurrent, isReachable }) => !isCurrent || !isReachable);
  // Without a majority no server knows what the others have.
  const down = behind.filter((each) => !running.has(each.name));
  if (down.length > 0 && down.length >= keepers.length / 2) {
    const names = down.map((each) => each.name).join(", ");
    const text = `${down.length} of ${keepers.length} nats-servers that keep it do not answer: ${names}`;
    return fail(name, `${text}; without a majority no node can write`, "start them");
  }
  if (behind.length > 0) {
    const names = behind.map((each) => each.name).join(", ");
    return warn(
      name,
      `these nats-servers do not have all of it: ${names}`,
      "start them, and wait until they have read it",
    );
  }
  const copies = Math.max(1, keepers.length);
  if (copies < replicas)
    return warn(name, `${copies} of ${replicas} nats-servers keep it`, "cluster.replicas counts when the log is made");
  return pass(name, `${copies} of ${replicas} nats-servers keep it; ${SYNC}`);
}

const SAME_SECRET = "set the same cluster.secret on all nodes";

function nodeChecks({ nodes: heard, unreadable }: Heard): Finding[] {
  const name = "cluster nodes";
  if (heard.length === 0 && unreadable > 0) return [fail(name, OTHER_SECRET, SAME_SECRET)];
  const leader = heard.find(({ isLeader }) => isLeader);
  const names = heard.map(({ node }) => node);
  if (!leader) return [fail(name, `no node leads; heard: ${names.join(", ") || "none"}`, "see the log of each node")];
  const alone = heard.length < 2;
  const followed = alone
    ? warn(name, `${leader.node} leads, and no other node was heard: nothing would take over`, "start the other node")
    : pass(name, `${leader.node} leads; heard: ${names.join(", ")}`);
  const others = unreadable > 0 ? [warn(name, OTHER_SECRET, SAME_SECRET)] : [];
  return [followed, ...others, ...lagChecks(leader, heard), ...clockChecks(heard), ...versionChecks(heard)];
}

/** What clients send to this node would not arrive there. */
function reachCheck({ node, isLeader, advertise, reason }: Unreachable): Finding {
  const text = `the ${isLeader ? "leader" : "node"} ${node} cannot be reached at ${advertise}: ${reason}`;
  const remedy = `set cluster.advertise of ${node} to a URL that works from here: https:// where it serves TLS, with`;
  return fail("cluster reach", text, `${remedy} its authority in cluster.caFile of this machine`);
}

/** The leader writes at least every two seconds. */
const MOST_LAG_MS = 10_000;

function lagChecks(leader: HeardNode, heard: readonly HeardNode[]): Finding[] {
  return heard
    .filter(({ sequence, recordAt }) => sequence < leader.sequence && leader.at - recordAt > MOST_LAG_MS)
    .map(({ node, sequence, recordAt }) => {
      const last = recordAt === 0 ? "" : `, and has applied it up to ${toRfc3339(recordAt)}`;
      const text = `${node} is ${leader.sequence - sequence} records behind the log${last}`;
      return warn("cluster lag", text, "see its log: its disk may be full");
    });
}

function clockChecks(heard: readonly HeardNode[]): Finding[] {
  return heard
    .filter(({ skewMs }) => Math.abs(skewMs) > MOST_SKEW_MS)
    .map(({ node, skewMs }) => {
      const way = skewMs < 0 ? "behind" : "ahead of";
      return warn(
        "cluster clocks",
        `the clock of ${node} is ${Math.abs(skewMs)} ms ${way} this machine's`,
        "set both by NTP",
      );
    });
}

function versionChecks(heard: readonly HeardNode[]): Finding[] {
  const versions = [...new Set(heard.map(({ version }) => version))].sort();
  return versions.length < 2
    ? []
    : [warn("cluster versions", `the nodes have different versions: ${versions.join(", ")}`, "upgrade the older ones")];
}

/** Parts of a cluster that should not fail together. */
export interface ClusterParts {
  /** `host:port` of each nats-server. */
  readonly servers: readonly string[];
  readonly nodes: readonly { readonly node: string; readonly advertise: string; readonly isLeader: boolean }[];
  /** The one of `servers` that leads the log, if it is known. */
  readonly logLeader?: string | undefined;
}

type FindAddresses = (host: string) => Promise<readonly { readonly address: string }[]>;

interface Placed {
  readonly name: string;
  /** Of its machine. */
  readonly addresses: ReadonlySet<string>;
}

/** Names with an equal address, as this machine resolves them, are one machine. */
export async function placeChecks(
  { servers, nodes, logLeader }: ClusterParts,
  find: FindAddresses = (host) => lookup(host, { all: true }),
): Promise<Finding[]> {
  const place = async (name: string, url: string): Promise<Placed> => {
    return { name, addresses: await addressesOf(new URL(url).hostname, find) };
  };
  const [serverPlaces, nodePlaces] = await Promise.all([
    Promise.all(servers.map((address) => place(address, `nats://${address}`))),
    Promise.all(nodes.map(({ node, advertise }) => place(node, advertise))),
  ]);
  const leader = nodePlaces[nodes.findIndex(({ isLeader }) => isLeader)];
  const keeper = serverPlaces.find(({ name }) => name === logLeader);
  const sharedNodes = together(nodePlaces);
  return [
    ...together(serverPlaces).map((names) =>
      warn("cluster place", `these nats-servers are on one machine: ${names}`, "give each a machine of its own"),
    ),
    ...sharedNodes.map((names) =>
      warn("cluster place", `these nodes are on one machine: ${names}`, "give each a machine of its own"),
    ),
    ...(leader && keeper && areTogether(leader, keeper) && sharedNodes.length === 0 ? [besideLog(leader)] : []),
  ];
}

/** One lost machine then costs two elections, one after the other. */
function besideLog({ name }: Placed): Finding {
  const text = `${name} leads on the machine of the nats-server that leads the log: a take-over takes longer`;
  return warn("cluster place", text, "prism cluster step-down lets another node lead");
}

/** Names of each group on one machine. */
function together(places: readonly Placed[]): string[] {
  const groups: Placed[][] = [];
  for (const place of places) {
    const group = groups.find((each) => each.some((other) => areTogether(other, place)));
    if (group) group.push(place);
    else groups.push([place]);
  }
  return groups.filter(({ length }) => length > 1).map((group) => group.map(({ name }) => name).join(", "));
}

function areTogether(one: Placed, other: Placed): boolean {
  return [...one.addresses].some((address) => other.addresses.has(address));
}

const THIS_MACHINE = "this machine";

/** A machine often has its own name as a loopback address: all of its own addresses count as one. */
async function addressesOf(host: string, find: FindAddresses): Promise<ReadonlySet<string>> {
  const own = new Set(Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)));
  const isOwn = (address: string): boolean => address.startsWith("127.") || address === "::1" || own.has(address);
  const name = host.replace(/^\[|\]$/g, "");
  const found = await find(name).catch(() => []);
  return new Set([name, ...found.map(({ address }) => (isOwn(address) ? THIS_MACHINE : address))]);
}
