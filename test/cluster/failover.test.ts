import assert from "node:assert/strict";
import test from "node:test";
import { reading } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { startCluster } from "./support/nodes.ts";
import { other, requireAll, sendEvents, sendingThroughStandby } from "./support/sending.ts";

test("when the leader is killed another node takes over, and nothing that was acknowledged is lost", async (t) => {
  const servers = await startNats(t, 3);
  const cluster = await startCluster(t, servers, ["a", "b"]);
  const first = await cluster.leader();
  const standby = other(cluster, first);
  const token = await cluster.token();
  const health = (await (await fetch(`${standby.url}/health`)).json()) as { role: string; leader: string };
  assert.deepEqual([health.role, health.leader], ["standby", first.name]);
  const sending = sendEvents(() => standby.url, token);
  await eventually("events are stored through the standby", () => sending.acknowledged.length > 20);
  const before = sending.acknowledged.length;
  await first.kill();
  await eventually("events are stored again", () => sending.acknowledged.length > before + 20, 60_000);
  assert.equal((await cluster.leader()).name, standby.name);
  await first.start();
  await requireAll(standby, token, await sending.stop());
  await cluster.requireEqual();
  const newest = reading(standby.file, (file) => file.prepare("select max(seq) from events").pluck().get());
  assert.ok(Number(newest) < 50_000, `the numbers of events go on: ${newest}`);
  assert.doesNotMatch(first.output + standby.output, /unexpected error/);
});

test("a leader that hangs is replaced; when it goes on it writes nothing, and follows", async (t) => {
  const { cluster, first, standby, token, sending, before } = await sendingThroughStandby(t);
  first.signal("SIGSTOP");
  await eventually("events are stored again", () => sending.acknowledged.length > before + 20, 60_000);
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ type: "late", payload: {} });
  const late = fetch(`${first.url}/api/v1/events`, { method: "POST", headers, body }).then(
    (reply) => reply.status,
    () => 0,
  );
  first.signal("SIGCONT");
  assert.notEqual(await late, 202, "what the old leader took");
  await eventually("it starts again", () => first.output.includes("it starts again as a follower"), 60_000);
  await requireAll(standby, token, await sending.stop());
  await cluster.requireEqual();
  const { data } = (await (await fetch(`${standby.url}/api/v1/events?type=late`, { headers })).json()) as { data: [] };
  assert.equal(data.length, 0);
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
  assert.match(await page.text(), /No node of the cluster leads/);
  await Promise.all(servers.slice(1).map((server) => server.start()));
  await eventually("events are stored again", async () => (await send("after"))[0] === 202, 60_000);
  await cluster.requireEqual();
});

test("a leader that is stopped in order hands over, and no request fails", async (t) => {
  const { cluster, first, standby, token, sending, before } = await sendingThroughStandby(t);
  assert.equal(await first.stop(), 0, first.output);
  await eventually("events are stored again", () => sending.acknowledged.length > before + 20, 60_000);
  await first.start();
  await requireAll(standby, token, await sending.stop());
  await cluster.requireEqual();
});

test("a node whose process crashes starts it again, and follows", async (t) => {
  const servers = await startNats(t);
  const cluster = await startCluster(t, servers, ["a", "b"]);
  const first = await cluster.leader();
  const [, pid = 0] = first.pids;
  process.kill(pid, "SIGSEGV");
  await eventually("its process is started again", () => first.pids.length === 2 && first.pids[1] !== pid, 60_000);
  // A busy machine may show the next process before the output of the one that starts it.
  const says = /the process of this node was ended by SIGSEGV; starting it again/;
  await eventually("its end is reported", () => says.test(first.output));
  await eventually("it follows", () => first.output.split("following the cluster").length === 3, 60_000);
  await cluster.requireEqual();
});
