import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { eventually } from "../../helpers/eventually.ts";
import type { NatsServer } from "./nats.ts";
import type { TestCluster } from "./nodes.ts";

const PATIENCE_MS = 120_000;

/**
 * Waits until both nodes run, one leads, and each nats-server has the whole log.
 * @returns the server that decides about the order of the log
 */
export async function untilCurrent(cluster: TestCluster, servers: readonly NatsServer[]): Promise<NatsServer> {
  let states: unknown[] = [];
  await eventually(
    () => `a node leads and the other follows: ${JSON.stringify(states)}\n${outputs(cluster)}`,
    async () => {
      const seen = await Promise.all(cluster.nodes.map((node) => node.health()));
      states = seen;
      const leads = seen.filter((state) => state?.role === undefined && state?.checks !== undefined);
      const follows = seen.filter((state) => state?.role === "standby" && state.leader !== null);
      return leads.length === 1 && follows.length === 1;
    },
    PATIENCE_MS,
  );
  const connection = await connect({ servers: servers.map(({ address }) => address), maxReconnectAttempts: -1 });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const leader = await eventually(
      "every nats-server has the log",
      async () => {
        const info = await manager.streams.info("prism_prism").catch(() => null);
        const replicas = info?.cluster?.replicas ?? [];
        const isCurrent = replicas.length === servers.length - 1 && replicas.every(({ current }) => current);
        return isCurrent ? servers.find(({ name }) => name === info?.cluster?.leader) : undefined;
      },
      PATIENCE_MS,
    );
    return leader;
  } finally {
    await connection.close();
  }
}

function outputs(cluster: TestCluster): string {
  return cluster.nodes.map(({ name, output }) => `${name}:\n${output.slice(-4000)}`).join("\n");
}
