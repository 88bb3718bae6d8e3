import assert from "node:assert/strict";
import test from "node:test";
import type { Cluster } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { startRecorder } from "../helpers/webhook-recorder.ts";
import { startNats } from "./support/nats.ts";
import { startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const PATIENCE_MS = 60_000;

test("a drill ends the leader as a lost machine; the next one sends the page and notes how long none led", async (t) => {
  const hook = await startRecorder<{ data: { id: string } }>(t);
  const cluster = await startCluster(t, await startNats(t), ["a", "b"], {
    PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
  });
  const leader = await cluster.leader();
  const standby = other(cluster, leader);
  const token = await cluster.token();
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const call = async (method: string, path: string, body?: object) => {
    const reply = await fetch(`${standby.url}${path}`, { method, headers, body: body ? JSON.stringify(body) : null });
    return [reply.status, (await reply.json()) as unknown] as const;
  };
  const state = async () => ((await call("GET", "/api/v1/cluster"))[1] as { cluster: Cluster }).cluster;
  const [made] = await call("POST", "/api/v1/webhooks", { url: `${hook.url}/pager` });
  assert.equal(made, 201);
  await eventually("the other node is heard", async () => (await state()).nodes.length === 2);
  assert.equal((await state()).drill, null);
  assert.match(leader.command("status").stdout, /machine lost +never tried: prism drill --takeover/);
  assert.equal(standby.command("drill", "--takeover").status, 2, "not without a confirmation");

  const flags = ["--takeover", "--yes", "--url", standby.url, "--token", token, "--json"];
  const unknown = await standby.run("drill", "nobody", ...flags);
  assert.equal(unknown.code, 6, unknown.stderr);
  // What sends pages is loaded: otherwise the leader ends before it could send one.
  const warm = await standby.run("drill", "--url", standby.url, "--token", token);
  assert.equal(warm.code, 0, warm.stderr);
  await eventually("a page arrives", () => hook.posts.length > 0, PATIENCE_MS);
  const before = hook.posts.length;
  const running = standby.run("drill", ...flags);
  await eventually("the leader ends", () => leader.output.includes("ends as if its machine were lost"), PATIENCE_MS);
  assert.equal(hook.posts.length, before, "its page is left to the next one");
  const drill = await running;
  assert.equal(drill.code, 0, `${drill.stderr}\n${leader.output.slice(-2000)}`);
  const result = JSON.parse(drill.stdout) as { from: string; to: string; withoutLeaderMs: number; data: object[] };
  assert.deepEqual([result.from, result.to, result.data.length], [leader.name, standby.name, 1]);
  assert.ok(result.withoutLeaderMs > 1000 && result.withoutLeaderMs < PATIENCE_MS, `${result.withoutLeaderMs} ms`);
  assert.match(leader.output, /drill: this process ends as if its machine were lost/);
  await eventually("the page arrives", () => hook.posts.length > before, PATIENCE_MS);
  const { drill: stored, takeOver } = await state();
  assert.deepEqual([stored?.to, takeOver?.kind], [standby.name, "lost"]);
  assert.match(standby.command("status").stdout, /machine lost +\d+\.\d s, /);
  const [, audit] = await call("GET", "/api/v1/audit?action=cluster.drill");
  assert.equal((audit as { data: object[] }).data.length, 1);
  await eventually(
    "the process that was ended follows again",
    async () => (await state()).nodes.some(({ name, live }) => name === leader.name && live),
    PATIENCE_MS,
  );
  await cluster.requireEqual();
  assert.equal(new Set(hook.posts.slice(before).map(({ body }) => body.data.id)).size, 1, "the same id each time");
});

test("a single server refuses the drill of a lost machine", async (t) => {
  const prism = await startPrism(t);
  const reply = await prism.post<{ error: { code: string } }>("/api/v1/cluster/drill", {});
  assert.deepEqual([reply.status, reply.body.error.code], [409, "NO_STANDBY"]);
});
