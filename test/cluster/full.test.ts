import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { moduleText } from "../features/plugins/support/module-dir.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { temporaryDir } from "../helpers/store.ts";
import { seal, startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";
import { other, requireAll, sendEvents } from "./support/sending.ts";

const STREAM = "prism_prism";
const PATIENCE_MS = 120_000;
/** At most: the test ends it. */
const BLOCKED_MS = 120_000;

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

/** A node alone, on a nats-server that takes small messages only. */
async function startAlone(t: Scope) {
  const servers = await startNats(t, 1, { settings: "max_payload: 256KB" });
  const settings = { PRISM_CLUSTER_DEGRADED: "hold", PRISM_CLUSTER_HOLD_MS: "1000" };
  const cluster = await startCluster(t, servers, ["a"], settings);
  const leader = await cluster.leader();
  const connection = await connect({ servers: servers.map(({ address }) => address) });
  t.after(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const problem = async () => (await leader.health())?.problem;
  return { cluster, leader, token: await cluster.token(), connection, manager, problem };
}

/* At the same time, because a leader that cannot write goes on for twenty seconds. */
describe("a leader that cannot write", { concurrency: true }, () => {
  test("a record that the servers do not take is refused, and the leader goes on; a full log is named", async (t) => {
    const { cluster, leader, token, manager, problem } = await startAlone(t);
    const pids = leader.pids;
    assert.equal(await send(leader, token, 300_000), 500);
    await eventually("it says what to do", () => /set max_payload: 1MB in the configuration/.test(leader.output));
    assert.equal(await send(leader, token, 3000), 202);
    assert.deepEqual(leader.pids, pids, "it is the same process");

    const { state } = await manager.streams.info(STREAM);
    await manager.streams.update(STREAM, { max_bytes: state.bytes });
    const full = /the log of the cluster is full \(maximum bytes exceeded\): raise max_bytes of the stream prism_prism/;
    const { stdout } = await leader.run("doctor");
    assert.match(stdout, /FAIL +nats-server +\S+ takes messages of 262144 bytes at most/);
    assert.match(stdout, /FAIL +cluster log +its stream has \d+ of at most \d+ bytes: no node can write/);
    await eventually("the leader says why it cannot write", () => full.test(leader.output), PATIENCE_MS);
    await eventually("its health does", async () => full.test((await problem()) ?? ""), PATIENCE_MS);
    await manager.streams.update(STREAM, { max_bytes: -1 });
    await cluster.leader();
    assert.equal(await problem(), undefined);
    assert.equal(await send(leader, await cluster.token(), 3000), 202);
  });

  test("a sealed or lost log is named", async (t) => {
    const { leader, connection, manager, problem } = await startAlone(t);
    await seal(connection, STREAM);
    const sealed = /the log of the cluster is sealed, and takes no record any more.*prism cluster reseed/;
    assert.match((await leader.run("doctor")).stdout, /FAIL +cluster log +the log of the cluster is sealed/);
    await eventually("its health says so", async () => sealed.test((await problem()) ?? ""), PATIENCE_MS);

    await manager.streams.delete(STREAM);
    const gone = /the log of the cluster is gone: see which nats-servers run: prism doctor; .*prism cluster reseed/;
    assert.match((await leader.run("doctor")).stdout, /FAIL +cluster log +it is gone/);
    await eventually("its health says so", async () => gone.test((await problem()) ?? ""), PATIENCE_MS);
  });

  test("without a majority of nats-servers requests wait, then get 503, and all goes on afterwards", async (t) => {
    const servers = await startNats(t, 3);
    const cluster = await startCluster(t, servers, ["a", "b"], { PRISM_CLUSTER_HOLD_MS: "2000" });
    const token = await cluster.token();
    const standby = other(cluster, await cluster.leader());
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const send = async (key: string) => {
      const body = JSON.stringify({ type: "held", dedupeKey: key, payload: {} });
      const reply = await fetch(`${standby.url}/api/v1/events`, { method: "POST", headers, body });
      return [reply.status, await reply.text()] as const;
    };
    assert.equal((await send("before"))[0], 202);
    await Promise.all(servers.slice(1).map((server) => server.stop("SIGKILL")));
    await eventually("no node leads", async () => (await fetch(`${standby.url}/health`)).status === 503, 60_000);
    const [status, text] = await send("without");
    assert.deepEqual([status, (JSON.parse(text) as { error: { code: string } }).error.code], [503, "NO_LEADER"]);
    const page = await fetch(`${standby.url}/dashboard/`, { headers: { Accept: "text/html" } });
    assert.deepEqual([page.status, page.headers.get("retry-after")], [503, "5"]);
    const shown = await page.text();
    assert.match(shown, /No node of the cluster leads/);
    const [, since = ""] = /Since <time>([-\d]{10} [:\d]{8})<\/time> UTC/.exec(shown) ?? [];
    const silentMs = Date.now() - Date.parse(`${since}Z`);
    assert.ok(silentMs > 0 && silentMs < 120_000, shown);
    assert.match(shown, /prism doctor/);
    await Promise.all(servers.slice(1).map((server) => server.start()));
    await eventually("events are stored again", async () => (await send("after"))[0] === 202, 60_000);
    await cluster.requireEqual();
  });

  test("a leader whose loop is blocked is replaced, although its threads live", async (t) => {
    const modules = temporaryDir(t);
    mkdirSync(join(modules, "stray"));
    const over = join(temporaryDir(t), "over");
    const block = `const cell = new Int32Array(new SharedArrayBuffer(4));
    for (const until = Date.now() + ${BLOCKED_MS}; !existsSync(${JSON.stringify(over)}) && Date.now() < until; )
      Atomics.wait(cell, 0, 0, 100);`;
    const route = `server.get("/stray/block", { public: true }, () => { ${block} return 1; });`;
    writeFileSync(
      join(modules, "stray/index.mjs"),
      moduleText("stray", route, { before: 'import { existsSync } from "node:fs";' }),
    );
    const cluster = await startCluster(t, await startNats(t), ["a", "b"], { PRISM_MODULES_DIR: modules });
    const first = await cluster.leader();
    const standby = other(cluster, first);
    const token = await cluster.token();
    const blocked = fetch(`${first.url}/stray/block`).catch(() => null);
    const leads = () => standby.output.includes("this node leads the cluster");
    await eventually("the other node leads", leads);
    writeFileSync(over, "");
    const sending = sendEvents(() => standby.url, token);
    await eventually("events are stored", () => sending.acknowledged.length > 20, 60_000);
    await blocked;
    await eventually("it starts again", () => first.output.includes("it starts again as a follower"), 60_000);
    await requireAll(standby, token, await sending.stop());
    await cluster.requireEqual();
  });
});
