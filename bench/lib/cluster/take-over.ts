import { setTimeout } from "node:timers/promises";
import { untilCurrent } from "../../../test/cluster/support/current.ts";
import { type NatsServer, startNats } from "../../../test/cluster/support/nats.ts";
import { type ClusterNode, startCluster, type TestCluster } from "../../../test/cluster/support/nodes.ts";
import { eventually } from "../../../test/helpers/eventually.ts";
import type { Scope } from "../../../test/helpers/scope.ts";
import { type Row, round } from "../report.ts";

/* How long writes pause when a node, a nats-server or both end. */

const PATIENCE_MS = 120_000;
const REQUEST_MS = 30_000;
const PAUSE_MS = 5;
/** A pause begins within this time. */
const SETTLED_MS = 1000;

interface Scene {
  readonly leader: ClusterNode;
  /** Of the nats-servers, the one that leads the stream. */
  readonly server: NatsServer;
  /** Of requests of an administrator. */
  readonly headers: Readonly<Record<string, string>>;
}

interface Kind {
  /** Seconds; null: none. */
  readonly goal: number | null;
  /** Whether another node leads afterwards. */
  readonly moves: boolean;
  happen(scene: Scene): Promise<unknown>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  "leader killed": { goal: 5, moves: true, happen: ({ leader }) => leader.kill() },
  "nats-server that leads the stream killed": {
    goal: 12,
    moves: false,
    happen: ({ server }) => server.stop("SIGKILL"),
  },
  "both killed": {
    goal: 12,
    moves: true,
    happen: ({ leader, server }) => Promise.all([leader.kill(), server.stop("SIGKILL")]),
  },
  "leader stopped in order": { goal: null, moves: true, happen: ({ leader }) => leader.stop() },
  "step-down": {
    goal: null,
    moves: true,
    // Refused as long as the other node is not known to be live.
    happen: ({ leader, headers }) =>
      eventually("the leader steps down", async () => {
        const reply = await fetch(`${leader.url}/api/v1/cluster/step-down`, { method: "POST", headers, body: "{}" });
        return reply.ok;
      }),
  },
};

/** Each kind so many times, in turns. */
export async function measureTakeOver(scope: Scope, count: number): Promise<Row[]> {
  const servers = await startNats(scope, 3);
  const cluster = await startCluster(scope, servers, ["a", "b"], {
    PRISM_RATE_LIMIT_ENABLED: "false",
    PRISM_CLUSTER_DEGRADED: "hold",
  });
  const headers = { Authorization: `Bearer ${await cluster.token()}`, "Content-Type": "application/json" };
  const pauses = new Map<string, number[]>(Object.keys(KINDS).map((name) => [name, []]));
  for (let n = 0; n < count; n++)
    for (const [name, kind] of Object.entries(KINDS)) {
      const ms = await once(kind, { cluster, servers, headers });
      pauses.get(name)?.push(ms);
      console.error(`${n + 1} of ${count}, ${name}: ${round(ms)} ms`);
    }
  return [...pauses].map(([name, all]) => {
    const sorted = all.sort((a, b) => a - b);
    const at = (fromEnd: number): number =>
      round((sorted[Math.max(0, sorted.length - fromEnd)] ?? Number.NaN) / 1000, 2);
    return {
      "what ends": name,
      count: sorted.length,
      "median s": at(Math.ceil(sorted.length / 2)),
      "second longest s": at(2),
      "longest s": at(1),
      "goal s": KINDS[name]?.goal ?? "-",
    };
  });
}

interface Place {
  readonly cluster: TestCluster;
  readonly servers: readonly NatsServer[];
  readonly headers: Readonly<Record<string, string>>;
}

/** @returns the longest time between two accepted writes, in ms */
async function once(kind: Kind, { cluster, servers, headers }: Place): Promise<number> {
  const server = await untilCurrent(cluster, servers);
  const leader = await cluster.leader();
  // Until then a leader before it might act, and it would not hand over in order.
  await eventually("the leader has begun its work", () => hasBegun(leader), PATIENCE_MS);
  const follower = cluster.nodes.find((node) => node !== leader) as ClusterNode;
  const writes = startWrites(follower.url, headers);
  await eventually("writes are accepted", () => writes.sentAt > 0);
  writes.longestMs = 0;
  const from = performance.now();
  await kind.happen({ leader, server, headers });
  await eventually(
    "writes are accepted again",
    async () => writes.sentAt > from + SETTLED_MS && (!kind.moves || (await cluster.leader()) === follower),
    PATIENCE_MS,
  );
  await writes.stop();
  if (server.child.signalCode !== null) await server.start();
  if (leader.pids.length === 0) await leader.start();
  return writes.longestMs;
}

/** It says so each time. */
function hasBegun({ output }: ClusterNode): boolean {
  return output.lastIndexOf("Prism is ready") > output.lastIndexOf("following the cluster");
}

/** Writes events through a node, one after the other. */
function startWrites(url: string, headers: Readonly<Record<string, string>>) {
  let isStopped = false;
  let acceptedAt = performance.now();
  const writes = {
    /** When the last write was sent that was accepted. */
    sentAt: 0,
    /** The longest time between two accepted writes. */
    longestMs: 0,
    async stop() {
      isStopped = true;
      await done;
    },
  };
  const done = (async () => {
    for (let n = 0; !isStopped; n++) {
      const sentAt = performance.now();
      const reply = await fetch(`${url}/api/v1/events`, {
        method: "POST",
        headers,
        body: JSON.stringify({ type: "bench", payload: { n } }),
        signal: AbortSignal.timeout(REQUEST_MS),
      }).catch(() => null);
      await reply?.arrayBuffer().catch(() => undefined);
      if (reply?.status === 202) {
        writes.longestMs = Math.max(writes.longestMs, performance.now() - acceptedAt);
        acceptedAt = performance.now();
        writes.sentAt = sentAt;
      }
      await setTimeout(PAUSE_MS);
    }
  })();
  return writes;
}
