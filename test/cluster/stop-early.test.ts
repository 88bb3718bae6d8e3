import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { RawConnection, requestText } from "../http/support/raw-connection.ts";
import { startNats } from "./support/nats.ts";
import { rolesOf, startCluster } from "./support/nodes.ts";
import { other, sendEvent, typesAt } from "./support/sending.ts";
import { shared } from "./support/shared.ts";

const ROUNDS = 3;
const STEP_MS = 100;

/* Each test leaves two nodes that run. */
describe("two nodes", () => {
  const clusterOf = shared(async (t) => startCluster(t, await startNats(t), ["a", "b"], { PRISM_SHUTDOWN_MS: "10m" }));

  test("a node that follows starts again to read its configuration when it gets SIGHUP", async () => {
    const cluster = clusterOf();
    const [, standby] = await rolesOf(cluster);
    const [first = 0, before] = standby.pids;
    process.kill(first, "SIGHUP");
    await eventually("it starts again", () => standby.pids.length === 2 && standby.pids[1] !== before, 60_000);
    // A busy machine may show the next process before the output of the one before.
    await eventually("it says so", () => standby.output.includes("reading the configuration again"));
    await cluster.requireEqual();
  });

  test("Ctrl+C in the terminal of a leader lets it hand over", async () => {
    const cluster = clusterOf();
    const [leader] = await rolesOf(cluster);
    const [first = 0] = leader.pids;
    // A terminal sends it to each process of the group.
    process.kill(-first, "SIGINT");
    assert.equal(await leader.ended(), 0, leader.output);
    assert.match(leader.output, /stopping/);
    await cluster.leader();
    await leader.start();
  });

  test("a second SIGTERM ends a leader that hands over at once, and the other node has what was acknowledged", async (t) => {
    const cluster = clusterOf();
    const [leader, next] = await rolesOf(cluster);
    const token = await cluster.token();
    await sendEvent(leader, token, "one");
    const connection = await RawConnection.open(t, leader.port);
    const headers = [`Authorization: Bearer ${token}`, "Content-Type: application/json", "Content-Length: 100"];
    await connection.sendAlone(requestText("POST", "/events", headers, "{"));
    await fetch(`${leader.url}/health/live`);
    const [first = 0] = leader.pids;
    process.kill(first, "SIGTERM");
    await eventually("it waits for the request", () => /stopping/.test(leader.output), 60_000);
    assert.equal(leader.pids.length, 2);
    process.kill(first, "SIGTERM");
    assert.equal(await leader.ended(), 1, leader.output);
    assert.equal((await cluster.leader()).name, next.name);
    assert.deepEqual(await typesAt(next, token), ["one"]);
    await leader.start();
    await cluster.requireEqual();
  });

  test("a node that is ended while it begins to lead ends", async () => {
    const cluster = clusterOf();
    for (let round = 0; round < ROUNDS; round++) {
      const first = await cluster.leader();
      const next = other(cluster, first);
      const announced = () => next.output.split("this node leads the cluster").length;
      const before = announced();
      await first.kill();
      await eventually("the other node leads", () => announced() > before, 60_000);
      await setTimeout(round * STEP_MS);
      const started = first.start();
      const ended = next.stop();
      const code = await Promise.race([ended, setTimeout(60_000, "it goes on", { ref: false })]);
      assert.equal(code, 0, next.output);
      await started;
      await next.start();
    }
    await cluster.requireEqual();
  });
});
