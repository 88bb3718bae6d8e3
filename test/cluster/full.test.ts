import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { eventually } from "../helpers/eventually.ts";
import { seal, startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";

const STREAM = "prism_prism";
const PATIENCE_MS = 120_000;

async function send({ url }: ClusterNode, token: string, bytes: number): Promise<number> {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const events = Array.from({ length: 4 }, () => ({
    type: "a",
    payload: { text: randomBytes(bytes / 4).toString("base64") },
  }));
  const reply = await fetch(`${url}/api/v1/events`, { method: "POST", headers, body: JSON.stringify(events) });
  await reply.arrayBuffer();
  return reply.status;
}

test("a record that the servers do not take is refused, and the leader goes on; a full, sealed or lost log is named", async (t) => {
  const servers = await startNats(t, 1, { settings: "max_payload: 256KB" });
  const settings = { PRISM_CLUSTER_DEGRADED: "hold", PRISM_CLUSTER_HOLD_MS: "1000" };
  const cluster = await startCluster(t, servers, ["a"], settings);
  const leader = await cluster.leader();
  const token = await cluster.token();
  const pids = leader.pids;
  const problem = async () => (await leader.health())?.problem;
  assert.equal(await send(leader, token, 300_000), 500);
  await eventually("it says what to do", () => /set max_payload: 1MB in the configuration/.test(leader.output));
  assert.equal(await send(leader, token, 3000), 202);
  assert.deepEqual(leader.pids, pids, "it is the same process");
  assert.match(leader.command("doctor").stdout, /FAIL +nats-server +\S+ takes messages of 262144 bytes at most/);

  const connection = await connect({ servers: servers.map(({ address }) => address) });
  t.after(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const { state } = await manager.streams.info(STREAM);
  await manager.streams.update(STREAM, { max_bytes: state.bytes });
  const full = /the log of the cluster is full \(maximum bytes exceeded\): raise max_bytes of the stream prism_prism/;
  const doctor = leader.command("doctor").stdout;
  assert.match(doctor, /FAIL +cluster log +its stream has \d+ of at most \d+ bytes: no node can write/);
  await eventually("the leader says why it cannot write", () => full.test(leader.output), PATIENCE_MS);
  await eventually("its health does", async () => full.test((await problem()) ?? ""), PATIENCE_MS);
  await manager.streams.update(STREAM, { max_bytes: -1 });
  await cluster.leader();
  assert.equal(await problem(), undefined);
  assert.equal(await send(leader, await cluster.token(), 3000), 202);

  await seal(connection, STREAM);
  const sealed = /the log of the cluster is sealed, and takes no record any more.*prism cluster reseed/;
  assert.match(leader.command("doctor").stdout, /FAIL +cluster log +the log of the cluster is sealed/);
  await eventually("its health says so", async () => sealed.test((await problem()) ?? ""), PATIENCE_MS);

  await manager.streams.delete(STREAM);
  const gone = /the log of the cluster is gone: see which nats-servers run: prism doctor; .*prism cluster reseed/;
  assert.match(leader.command("doctor").stdout, /FAIL +cluster log +it is gone/);
  await eventually("its health says so", async () => gone.test((await problem()) ?? ""), PATIENCE_MS);
});
