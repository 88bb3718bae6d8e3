import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { chanceOf } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { untilCurrent } from "./support/current.ts";
import { Clients } from "./support/ledger.ts";
import { startNats } from "./support/nats.ts";
import { startCluster } from "./support/nodes.ts";

/* `npm run test:cluster` kills a hundred times. */

const KILLS = Number(process.env["PRISM_TEST_KILLS"] ?? 6);
const KINDS = ["leader", "follower", "nats-server", "machine"] as const;
const PATIENCE_MS = 120_000;

test(`${KILLS} kills of nodes, nats-servers and machines: nothing acknowledged is lost, no page or timer is missed`, async (t) => {
  const chance = chanceOf(t);
  const pick = <T>(all: readonly T[]): T => all[chance.integer(0, all.length - 1)] as T;
  const servers = await startNats(t, 3);
  const cluster = await startCluster(t, servers, ["a", "b"], {
    PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
    PRISM_RATE_LIMIT_ENABLED: "false",
    PRISM_AUTH_BCRYPT_COST: "4",
    // Otherwise many notifications of one person are merged into one.
    PRISM_SUPPRESSION_DEFAULT_COUNT: "100000",
    PRISM_DELIVERY_PER_USER: "1000000",
    PRISM_DELIVERY_PER_USER_BURST: "1000000",
    PRISM_CLUSTER_DEGRADED: "hold",
  });
  const clients = await Clients.prepare(t, cluster.nodes, await cluster.leader(), await cluster.token());
  clients.start();
  const stalls: number[] = [];
  for (let n = 0; n < KILLS; n++) {
    await untilCurrent(cluster, servers);
    // Of the first four one is of each kind.
    const kind = KINDS[n] ?? pick(KINDS);
    const leader = await cluster.leader();
    const isLeaders = kind === "leader" || (kind === "machine" && chance.integer(0, 2) > 0);
    const i = isLeaders ? cluster.nodes.indexOf(leader) : 1 - cluster.nodes.indexOf(leader);
    const node = kind === "nats-server" ? undefined : cluster.nodes[i];
    const server = kind === "nats-server" ? pick(servers) : kind === "machine" ? servers[i] : undefined;
    const killedAt = performance.now();
    await Promise.all([node?.kill(), server?.stop("SIGKILL")]);
    await eventually("events are stored again", () => clients.acknowledgedAt > killedAt + 500, PATIENCE_MS);
    stalls.push(Math.round(clients.acknowledgedAt - killedAt));
    await setTimeout(chance.integer(0, 2000));
    await server?.start();
    await node?.start();
  }
  await untilCurrent(cluster, servers);
  await clients.stop();
  await clients.requireAll(await cluster.leader());
  await cluster.requireEqual();
  const doubled = clients.requireSameIds();
  const { events, jobs, timers, messages, alerts, acknowledged, pings } = clients.promised;
  const counts = { events, jobs, timers, messages, alerts, acknowledged };
  const shown = Object.entries(counts).map(([name, all]) => `${all.length} ${name}`);
  t.diagnostic(`acknowledged: ${shown.join(", ")}, ${pings} pings; calls made twice: ${doubled}`);
  t.diagnostic(`ms until the next event: ${stalls.sort((a, b) => a - b).join(" ")}`);
  assert.ok(Object.values(counts).every((all) => all.length > 0));
});
