import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { makeCluster } from "./support/nodes.ts";
import { other, sendEvent } from "./support/sending.ts";

const BLOCKED_MS = 40_000;
const MODULE = `export default {
  name: "block", version: "1.0.0",
  register(server) {
    server.get("/block", { public: true }, () => {
      for (const until = Date.now() + ${BLOCKED_MS}; Date.now() < until; );
      return { blocked: true };
    });
  },
};`;

test("another node takes over while the loop of the leader is blocked, although its threads go on", async (t) => {
  const cluster = await makeCluster(t, await startNats(t), ["a", "b"]);
  for (const { dir } of cluster.nodes) {
    mkdirSync(join(dir, "modules/block"), { recursive: true });
    writeFileSync(join(dir, "modules/block/index.mjs"), MODULE);
  }
  await Promise.all(cluster.nodes.map((node) => node.start()));
  const first = await cluster.leader();
  const token = await cluster.token();
  await sendEvent(first, token, "before");
  await cluster.requireEqual();
  const blockedUntil = Date.now() + BLOCKED_MS;
  const answer = fetch(`${first.url}/block`).catch(() => null);
  const next = other(cluster, first);
  await eventually("the other node leads", () => next.output.includes("this node leads the cluster"), BLOCKED_MS);
  assert.ok(Date.now() < blockedUntil, "while the first one is blocked");
  await answer;
  await sendEvent(await cluster.leader(), token, "after");
  await cluster.requireEqual();
});
