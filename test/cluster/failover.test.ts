import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { Socket } from "node:net";
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
  // The leader answers a moment before its first message as a leader.
  await eventually("the standby knows it", async () => (await standby.health())?.leader === first.name);
  assert.equal((await standby.health())?.role, "standby");
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

test("a leader that is stopped in order hands over, and no request fails", async (t) => {
  const { cluster, first, standby, token, sending, before } = await sendingThroughStandby(t);
  assert.equal(await first.stop(), 0, first.output);
  await eventually("events are stored again", () => sending.acknowledged.length > before + 20, 60_000);
  await first.start();
  await requireAll(standby, token, await sending.stop());
  // A busy machine may hear of the end only after its last moment; nothing else is refused.
  assert.deepEqual(
    sending.failed.filter((status) => status !== 503),
    [],
  );
  await cluster.requireEqual();
});

test("a node that follows answers what it has passed on before it stops", async (t) => {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"], { PRISM_SHUTDOWN_MS: "60000" });
  const leader = await cluster.leader();
  const standby = other(cluster, leader);
  const token = await cluster.token();
  const text = JSON.stringify({ type: "slow", payload: {} });
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  for (const signal of ["SIGHUP", "SIGTERM"] as const) {
    await eventually("it follows", async () => (await standby.health())?.leader === leader.name, 60_000);
    const request = http.request(`${standby.url}/api/v1/events`, {
      method: "POST",
      headers: { ...headers, "Content-Length": text.length },
    });
    const answer = once(request, "response") as Promise<[http.IncomingMessage]>;
    request.write(text.slice(0, 10));
    const [socket] = (await once(request, "socket")) as [Socket];
    if (socket.connecting) await once(socket, "connect");
    // What comes after it is answered: it has been passed on.
    for (let n = 0; n < 3; n++) assert.ok(await standby.health());
    const [supervisor = 0, worker = 0] = standby.pids;
    process.kill(supervisor, signal);
    await eventually("it takes no connection", async () => (await standby.health()) === null, 60_000);
    request.end(text.slice(10));
    const [reply] = await answer;
    assert.equal(reply.statusCode, 202);
    reply.resume();
    if (signal === "SIGTERM") assert.equal(await standby.ended(), 0, standby.output);
    else await eventually("it starts again", () => standby.pids.length === 2 && standby.pids[1] !== worker, 60_000);
  }
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
