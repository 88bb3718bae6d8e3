import { setTimeout } from "node:timers/promises";
import { nodeOf } from "../config/checks.ts";
import type { Config } from "../config/load.ts";
import { type Check, fail, pass, warn } from "../core/check.ts";
import type { LogServer } from "./log.ts";
import { connectNats, isOldServer, NatsLog, OLDEST_SERVER } from "./nats-log.ts";
import { recordBox } from "./record.ts";
import { type NodeBeat, natsSignals } from "./signals.ts";

type Cluster = Config["cluster"];
type Connection = Awaited<ReturnType<typeof connectNats>>;

/** A nats-server of the configuration that answers. */
interface Reached {
  readonly address: string;
  readonly connection: Connection;
}

interface Heard extends NodeBeat {
  /** How far its clock is before this machine's, less the way of the message. */
  readonly skewMs: number;
}

/** Records are sent in parts of half of it. */
const LEAST_PAYLOAD = 1_048_576;
/** Each node says twice a second what it is. */
const LISTEN_MS = 2000;
const MOST_SKEW_MS = 500;

/** The nats-servers, the log and the nodes of a cluster. */
export async function checkNodes(config: Config): Promise<Check[]> {
  const { cluster } = config;
  const tried = await Promise.all(cluster.servers.map((address) => reach(config, address)));
  const reached = tried.filter((each) => each !== null);
  const [first] = reached;
  if (!first)
    return [fail("nats-server", `none answers: ${cluster.servers.join(", ")}`, "start most of them: docs/cluster.md")];
  try {
    const servers = cluster.servers.map((address) => serverCheck(address, reached, cluster));
    const journal = await NatsLog.open(first.connection, { ...cluster, allowOldServer: true });
    if (!(await journal.exists()))
      return [...servers, warn("cluster log", "there is none yet", "start prism serve on a node")];
    const keepers = await journal.servers();
    const beats = cluster.secret === undefined ? null : await listen(first.connection, cluster, cluster.secret);
    return [
      ...servers,
      logCheck(keepers, cluster),
      ...(beats === null ? [NO_SECRET] : nodeChecks(beats, keepers, reached)),
    ];
  } finally {
    await Promise.all(reached.map(({ connection }) => connection.close()));
  }
}

const NO_SECRET = warn(
  "cluster nodes",
  "not checked: cluster.secret is not given here",
  "give this command the variable PRISM_CLUSTER_SECRET",
);

async function reach(config: Config, address: string): Promise<Reached | null> {
  try {
    const options = { ...config.cluster, servers: [address] };
    return { address, connection: await connectNats(options, `${nodeOf(config)} doctor`) };
  } catch {
    return null;
  }
}

function serverCheck(address: string, reached: readonly Reached[], { allowOldServer }: Cluster): Check {
  const name = "nats-server";
  const info = reached.find((each) => each.address === address)?.connection.info;
  if (!info) return warn(name, `${address} does not answer`, "start it: the log needs most of its servers");
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

function logCheck(keepers: readonly LogServer[], { replicas }: Cluster): Check {
  const name = "cluster log";
  const behind = keepers.filter(({ isCurrent, isReachable }) => !isCurrent || !isReachable);
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

async function listen(connection: Connection, { name, previousSecrets }: Cluster, secret: string): Promise<Heard[]> {
  const beats = new Map<string, Heard>();
  natsSignals(connection, name, recordBox([secret, ...previousSecrets])).onBeat((beat) =>
    beats.set(beat.node, { ...beat, skewMs: beat.at - Date.now() }),
  );
  await setTimeout(LISTEN_MS);
  return [...beats.values()];
}

function nodeChecks(heard: readonly Heard[], keepers: readonly LogServer[], reached: readonly Reached[]): Check[] {
  const name = "cluster nodes";
  const leader = heard.find(({ isLeader }) => isLeader);
  const names = heard.map(({ node }) => node).sort();
  if (!leader) return [fail(name, `no node leads; heard: ${names.join(", ") || "none"}`, "see the log of each node")];
  const alone = heard.length < 2;
  const followed = alone
    ? warn(name, `${leader.node} leads, and no other node was heard: nothing would take over`, "start the other node")
    : pass(name, `${leader.node} leads; heard: ${names.join(", ")}`);
  return [followed, ...clockChecks(heard), ...versionChecks(heard), ...placeChecks(leader, keepers, reached)];
}

function clockChecks(heard: readonly Heard[]): Check[] {
  return heard
    .filter(({ skewMs }) => Math.abs(skewMs) > MOST_SKEW_MS)
    .map(({ node, skewMs }) =>
      warn("cluster clocks", `the clock of ${node} is ${skewMs} ms before this machine's`, "set both by NTP"),
    );
}

function versionChecks(heard: readonly Heard[]): Check[] {
  const versions = [...new Set(heard.map(({ version }) => version))].sort();
  return versions.length < 2
    ? []
    : [warn("cluster versions", `the nodes have different versions: ${versions.join(", ")}`, "upgrade the older ones")];
}

/** One lost machine then costs two elections, one after the other. */
function placeChecks(leader: NodeBeat, keepers: readonly LogServer[], reached: readonly Reached[]): Check[] {
  const keeper = keepers.find(({ isLeader }) => isLeader)?.name;
  const server = reached.find(({ connection }) => connection.info?.server_name === keeper);
  const isBeside =
    server !== undefined && new URL(`nats://${server.address}`).hostname === new URL(leader.advertise).hostname;
  if (!isBeside) return [];
  const text = `${leader.node} leads on the machine of the nats-server that leads the log: a take-over takes longer`;
  return [warn("cluster place", text, "prism cluster step-down, or nats stream cluster step-down")];
}
