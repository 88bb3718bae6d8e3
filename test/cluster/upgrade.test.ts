import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { setTimeout } from "node:timers/promises";
import { EXIT } from "../../src/cli/output/exit-codes.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { NEXT_MIGRATION, nextBuild } from "./support/next-build.ts";
import { type ClusterNode, makeCluster, startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const PATIENCE_MS = 60_000;

/* At the same time: mostly they wait. */
describe("the next version", { concurrency: true }, () => {
  test("a single server becomes the first node of a cluster of the next version with one restart", async (t) => {
    const program = nextBuild();
    const cluster = await makeCluster(t, await startNats(t), ["a", "b"]);
    const [first, second] = cluster.nodes;
    assert.ok(first && second);
    await first.alone(async (token) => {
      for (let n = 0; n < 20; n++) assert.equal((await send(first, token, `before-${n}`)).status, 202);
    });
    for (const node of cluster.nodes) node.program = program;
    assert.equal(first.command("cluster", "init").status, 0);
    await first.start();
    await cluster.leader();
    await second.start();
    const token = await cluster.token();
    assert.equal((await send(second, token, "after")).status, 202);
    await cluster.requireEqual();
    assert.equal(await second.eventsOf("upgrade"), 21);
    assert.ok((await second.migrations()).includes(NEXT_MIGRATION));
  });

  test("a rolling upgrade with a migration of events and a new format of records: no request fails", async (t) => {
    const program = nextBuild();
    const cluster = await startCluster(t, await startNats(t, 3), ["a", "b"]);
    const leader = await cluster.leader();
    const follower = other(cluster, leader);
    const token = await cluster.token();
    const load = sendAll(() => cluster.nodes, token);
    await eventually("events are stored", () => load.stored > 50);

    await load.pauseAt(follower, async () => {
      await follower.stop();
      follower.program = program;
      await follower.start();
    });
    await eventually(
      "the new follower has what the leader has",
      async () => (await cluster.behind()) < 10,
      PATIENCE_MS,
    );

    const before = load.stored;
    await load.pauseAt(leader, async () => {
      assert.equal(await leader.stop(), 0);
      await eventually("the new version leads", () => load.stored > before + 20, PATIENCE_MS);
      // The old version reads on until the first record that it cannot read.
      const position = await leader.position();
      await leader.start();
      await eventually("the old version stops", () => leader.output.includes("upgrade it"), PATIENCE_MS);
      assert.equal(await leader.ended(), EXIT.refused);
      assert.ok((await leader.position()) >= position, "it has lost nothing");
      leader.program = program;
      await leader.start();
    });
    await load.stop();
    assert.deepEqual(load.failed, []);
    t.diagnostic(`${load.stored} events, the longest took ${Math.round(load.longestMs)} ms`);
    await cluster.requireEqual();
    for (const node of cluster.nodes) assert.ok((await node.migrations()).includes(NEXT_MIGRATION), node.name);
  });
});

function send(node: ClusterNode, token: string, key: string): Promise<Response> {
  return fetch(`${node.url}/api/v1/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ type: "upgrade", dedupeKey: key, payload: {} }),
    signal: AbortSignal.timeout(30_000),
  });
}

/** Sends to the nodes in turn, each once; not to one that a person has taken out of the balancer. */
function sendAll(nodes: () => readonly ClusterNode[], token: string) {
  const failed: string[] = [];
  let isStopped = false;
  let isOut: ClusterNode | null = null;
  const load = {
    failed,
    stored: 0,
    longestMs: 0,
    async pauseAt(node: ClusterNode, work: () => Promise<void>) {
      isOut = node;
      // What is on its way is answered.
      await current;
      await work();
      isOut = null;
    },
    async stop() {
      isStopped = true;
      await running;
    },
  };
  let current: Promise<unknown> = Promise.resolve();
  const running = (async () => {
    for (let n = 0; !isStopped; n++) {
      const all = nodes().filter((node) => node !== isOut);
      const node = all[n % all.length];
      if (!node) continue;
      const startedAt = performance.now();
      const answer = send(node, token, `key-${n}`).then(
        async (reply) => (reply.status === 202 ? null : `${reply.status} ${await reply.text()}`),
        (error: unknown) => String(error),
      );
      current = answer;
      const failure = await answer;
      if (failure === null) load.stored++;
      else failed.push(`${node.name}: ${failure}`);
      load.longestMs = Math.max(load.longestMs, performance.now() - startedAt);
      await setTimeout(5);
    }
  })();
  return load;
}
