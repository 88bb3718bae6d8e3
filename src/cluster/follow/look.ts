import { readFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { get as secureGet } from "node:https";
import { setTimeout } from "node:timers/promises";
import { rootCertificates } from "node:tls";
import type { NatsConnection } from "@nats-io/transport-node";
import { nodeOf } from "../../config/checks.ts";
import type { Config } from "../../config/load.ts";
import { CommandError, EXIT } from "../../core/command-error.ts";
import { connectionReason } from "../../core/errors.ts";
import { within } from "../../core/promises.ts";
import { reading } from "../../store/sqlite/connection.ts";
import { connectNats } from "../log/nats-log.ts";
import { hasTables, readPosition } from "../log/position.ts";
import { recordBox } from "../log/record.ts";
import { type NodeBeat, natsSignals } from "../signals.ts";

/* What commands see of a cluster, beside its nodes. */

type Cluster = Config["cluster"];

/** A nats-server of the configuration, or why it does not answer. */
export type Tried =
  | { readonly address: string; readonly connection: NatsConnection }
  | { readonly address: string; readonly connection: null; readonly reason: string; readonly isRefusal: boolean };

/** Tries each nats-server on its own. */
export function tryServers(cluster: Cluster, name: string): Promise<Tried[]> {
  return Promise.all(
    cluster.servers.map(async (address) => {
      try {
        return { address, connection: await connectNats({ ...cluster, servers: [address] }, name) };
      } catch (error) {
        const isRefusal = error instanceof Error && error.name === "AuthorizationError";
        const reason = isRefusal ? "it refuses the user of this node" : connectionReason(error);
        return { address, connection: null, reason, isRefusal };
      }
    }),
  );
}

/** A node that is heard. */
export interface HeardNode extends NodeBeat {
  /** How far its clock is ahead of this machine's, less the way of the message. */
  readonly skewMs: number;
}

export interface Heard {
  /** By name. */
  readonly nodes: readonly HeardNode[];
  /** Messages of nodes with another secret. */
  readonly unreadable: number;
}

/** Each node says twice a second what it is. */
const LISTEN_MS = 2000;
const FLUSH_MS = 1000;

export async function heardBeats(connection: NatsConnection, cluster: Cluster, secret: string): Promise<Heard> {
  const nodes = new Map<string, HeardNode>();
  let unreadable = 0;
  natsSignals(connection, cluster.name, recordBox([secret, ...cluster.previousSecrets])).onBeat(
    (beat) => {
      // The quickest message says most about the clock.
      const known = nodes.get(beat.node)?.skewMs ?? Number.NEGATIVE_INFINITY;
      nodes.set(beat.node, { ...beat, skewMs: Math.max(known, beat.at - Date.now()) });
    },
    () => unreadable++,
  );
  await setTimeout(LISTEN_MS);
  // After a stall what has arrived is read first.
  await within(FLUSH_MS, connection.flush());
  return { nodes: [...nodes.values()].sort((a, b) => a.node.localeCompare(b.node)), unreadable };
}

/** A node that does not answer where it says that it does. */
export interface Unreachable extends Pick<HeardNode, "node" | "isLeader" | "advertise"> {
  readonly reason: string;
}

const REACH_MS = 3000;

/** Asks each other node at its `cluster.advertise`, as this one does when that leads. */
export async function unreachableOf(nodes: readonly HeardNode[], config: Config): Promise<Unreachable[]> {
  const { caFile } = config.cluster;
  const ca = [...rootCertificates, ...(caFile === undefined ? [] : [readFileSync(caFile, "utf8")])];
  const others = nodes.filter(({ node }) => node !== nodeOf(config));
  const found = await Promise.all(
    others.map(async ({ node, isLeader, advertise }) => {
      const reason = await problemAt(new URL("/health/live", advertise), ca);
      return reason === null ? [] : [{ node, isLeader, advertise, reason }];
    }),
  );
  return found.flat();
}

/** Null: it answers. */
function problemAt(url: URL, ca: string[]): Promise<string | null> {
  const signal = AbortSignal.timeout(REACH_MS);
  return new Promise((resolve) => {
    const read = (reply: IncomingMessage): void => {
      reply.resume();
      resolve(reply.statusCode === 200 ? null : `it answers ${reply.statusCode}`);
    };
    const asked =
      url.protocol === "https:"
        ? secureGet(url, { ca, agent: false, signal }, read)
        : get(url, { agent: false, signal }, read);
    asked.once("error", (error) =>
      resolve(signal.aborted ? `no answer within ${REACH_MS / 1000} s` : connectionReason(error)),
    );
  });
}

export const OTHER_SECRET = "messages of nodes cannot be opened: cluster.secret of this machine differs from theirs";

/** The last record of the log that the database of this node has; 0: none. */
export function appliedHere(databaseFile: string): number {
  return hasTables(databaseFile) ? (reading(databaseFile, readPosition)?.sequence ?? 0) : 0;
}

/** @throws CommandError 3 for a file of the settings that cannot be read */
export function requireClusterFiles({ caFile, credentialsFile }: Cluster): void {
  const files = { "cluster.caFile": caFile, "cluster.credentialsFile": credentialsFile };
  for (const [key, file] of Object.entries(files)) {
    if (file === undefined) continue;
    try {
      readFileSync(file);
    } catch (cause) {
      throw new CommandError(EXIT.refused, `${key}: ${file} cannot be read: ${connectionReason(cause)}`, { cause });
    }
  }
}
