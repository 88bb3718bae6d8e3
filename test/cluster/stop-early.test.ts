import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const ROUNDS = 3;
const STEP_MS = 100;

test("a node that is ended while it begins to lead ends", async (t) => {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"]);
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
    const code = await Promise.race([ended, setTimeout(60_000, "it goes on")]);
    assert.equal(code, 0, next.output);
    await started;
    await next.start();
  }
  await cluster.requireEqual();
});

test("a node that follows starts again to read its configuration when it gets SIGHUP", async (t) => {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"]);
  const standby = other(cluster, await cluster.leader());
  const [first = 0, before] = standby.pids;
  process.kill(first, "SIGHUP");
  await eventually("it starts again", () => standby.pids.length === 2 && standby.pids[1] !== before, 60_000);
  assert.match(standby.output, /reading the configuration again/);
  await cluster.requireEqual();
});
