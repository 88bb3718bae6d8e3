import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { WebSocketServer } from "ws";
import { ownAnswer } from "../../src/cluster/follow/join.ts";
import { followerMetrics } from "../../src/cluster/tools/metrics.ts";
import { deferred } from "../../src/core/promises.ts";
import { makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import type { Scope } from "../helpers/scope.ts";
import { temporaryDir } from "../helpers/store.ts";
import { dial, openPort, openServer } from "./support/port.ts";

const GET = "GET /a HTTP/1.1\r\nHost: prism.example.com\r\n\r\n";
const POST = "POST /a HTTP/1.1\r\nHost: prism.example.com\r\nContent-Length: 2\r\n\r\n{}";
const UPGRADE =
  "GET /realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n";

/** Of a node with a leader. */
const FOLLOWS = {
  problem: null,
  leader: "a",
  leaderUrl: "http://a",
  isDegraded: false,
  isHeld: true,
  showsNames: true,
  readsMetrics: true,
};

const METRICS = followerMetrics(() => ({
  ...{ node: "b", hasLeader: true, term: 1, sequence: 1 },
  ...{ lag: { records: 0, ms: 0 }, refused: {} },
}));

/** A server whose certificate is of the cluster's authority and has the name that other nodes use. */
async function openSecured(t: Scope) {
  const certificate = makeCertificate({ name: "a.example.com" });
  const caFile = join(temporaryDir(t), "ca.crt");
  writeFileSync(caFile, certificate.cert);
  return { server: await openServer(t, undefined, certificate), caFile };
}

test("with TLS a request that was held is answered by the server of this node", async (t) => {
  const { server, caFile } = await openSecured(t);
  const port = await openPort(t, { caFile, advertise: "https://a.example.com:3000" });
  const client = await dial(t, port.port, POST);
  await eventually("it is held", () => port.standby.waiting === 1);
  port.standby.leadsAt(server.url);
  await eventually("an answer", () => client.text.endsWith("ok"));
  assert.match(client.text, /^HTTP\/1\.1 200 /);
  assert.deepEqual(
    server.seen.map(({ line }) => line),
    ["POST /a"],
  );
});

test("a node that stops answers what it has passed on, refuses what waits, and ends streams and WebSockets", async (t) => {
  const done = deferred<void>();
  const server = await openServer(t, async (req, res) => {
    if (req.url === "/stream")
      return void res.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: 1\n\n");
    await done.promise;
    res.end("ok");
  });
  const port = await openPort(t);
  const held = await dial(t, port.port, POST);
  const live = await dial(t, port.port, UPGRADE);
  await eventually("they are held", () => port.standby.waiting === 2);
  const stopsHolding = await openPort(t, { leader: server.url });
  const stream = await dial(t, stopsHolding.port, GET.replace("/a", "/stream"));
  const passed = await dial(t, stopsHolding.port, POST + GET);
  await eventually("they are passed on", () => server.seen.length === 2 && stream.text.includes("data: 1"));

  await port.standby.drain(60_000);
  port.standby.close();
  await eventually("what waits is refused", () => held.isClosed && live.isClosed);
  assert.match(held.text, /^HTTP\/1\.1 503 [\s\S]*"SHUTTING_DOWN"/);

  const drained = stopsHolding.standby.drain(60_000);
  assert.equal(passed.text, "");
  done.resolve();
  await drained;
  stopsHolding.standby.close();
  await eventually("all are closed", () => passed.isClosed && stream.isClosed);
  assert.match(passed.text, /^HTTP\/1\.1 200 [\s\S]*ok/);
  assert.equal(server.seen.length, 2, "what came behind it is not passed on");
});

test("requests and WebSockets that wait when a copy begins to answer are answered by it", async (t) => {
  const copy = await openServer(t);
  const port = await openPort(t);
  const read = await dial(t, port.port, GET.replace("/a", "/api/v1/incidents"));
  const sent = await dial(t, port.port, POST.replace("/a", "/api/v1/events"));
  const other = await dial(t, port.port, POST.replace("/a", "/api/v1/rules"));
  const live = await dial(t, port.port, UPGRADE);
  await eventually("they are held", () => port.standby.waiting === 4);
  const kept: string[] = [];
  const add = async ({ path }: { path: string }) => void kept.push(path);
  const spool = { add, waiting: 0 };
  port.setting.degraded = { url: copy.url, spool };
  port.standby.answersFromCopy();
  await eventually("answers", () => [read, sent, other, live].every(({ text }) => text.startsWith("HTTP/1.1")));
  for (const { text } of [read, sent, live]) assert.match(text, /^HTTP\/1\.1 200 /);
  assert.match(other.text, /^HTTP\/1\.1 503 .*NO_LEADER/s);
  assert.deepEqual(kept, ["/api/v1/events"]);
});

test("requests that a lost leader has end when a copy begins to answer, and those that may be repeated reach it", async (t) => {
  const [leader, copy] = [await openServer(t, () => undefined), await openServer(t)];
  const port = await openPort(t, { leader: leader.url });
  const read = await dial(t, port.port, GET.replace("/a", "/api/v1/incidents"));
  const sent = await dial(t, port.port, POST.replace("/a", "/api/v1/events"));
  await eventually("the leader has them", () => leader.seen.length === 2);
  port.setting.leader = null;
  port.setting.degraded = { url: copy.url, spool: { add: async () => undefined, waiting: 0 } };
  port.standby.answersFromCopy();
  await eventually("answers", () => [read, sent].every(({ text }) => text.startsWith("HTTP/1.1")));
  assert.match(read.text, /^HTTP\/1\.1 200 /);
  assert.match(sent.text, /^HTTP\/1\.1 503 .*OUTCOME_UNKNOWN/s);
});

test("a leader with a certificate of another name gets nothing, and the cause is logged once", async (t) => {
  const { server, caFile } = await openSecured(t);
  const port = await openPort(t, { caFile, holdMs: 700, leader: server.url });
  const clients = [await dial(t, port.port, POST), await dial(t, port.port, POST), await dial(t, port.port, UPGRADE)];
  await eventually("answers", () => clients.every(({ isClosed }) => isClosed));
  for (const { text } of clients.slice(0, 2)) assert.match(text, /^HTTP\/1\.1 503 .*"NO_LEADER"/s);
  assert.deepEqual(port.standby.refused, { NO_LEADER: 2, OUTCOME_UNKNOWN: 0, SHUTTING_DOWN: 0 });
  assert.deepEqual(server.seen, []);
  const causes = port.log.lines.map(({ fields }) => String(fields["err"]));
  assert.equal(causes.length, 1, causes.join("\n"));
  assert.match(causes[0] ?? "", /altnames/);
});

test("a WebSocket to a leader that was lost ends when another one leads", async (t) => {
  const [first, second] = [await openServer(t), await openServer(t)];
  const realtime = new WebSocketServer({ server: first.server });
  t.after(() => realtime.close());
  const port = await openPort(t, { leader: first.url });
  const client = await dial(t, port.port, UPGRADE);
  await eventually("it is open", () => client.text.includes("101"));
  // Its machine is gone: nothing comes from it any more.
  for (const socket of first.sockets) socket.pause();
  port.leads(second.url);
  await eventually("it is closed", () => client.isClosed);
});

test("a request that goes in a circle is answered with the cause", async (t) => {
  const port = await openPort(t, { node: "b" });
  const next = await openPort(t, { node: "c", leader: port.url });
  port.setting.leader = next.url;
  const client = await dial(t, port.port, GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  const live = await dial(t, port.port, UPGRADE);
  await eventually("answers", () => client.isClosed && live.isClosed);
  assert.match(client.text, /^HTTP\/1\.1 503 .*"NO_LEADER".*cluster\.advertise of the leader leads to a node/s);
  assert.match(live.text, /^HTTP\/1\.1 503 /);
  assert.deepEqual([port.standby.refused.NO_LEADER, next.standby.refused.NO_LEADER], [1, 0]);
  assert.equal(port.log.lines.filter(({ fields }) => /cluster\.advertise/.test(String(fields["err"]))).length, 1);

  const leader = await openServer(t);
  const named = await openPort(t, { node: "d", leader: leader.url });
  const other = await dial(t, named.port, GET.replace("\r\n\r\n", "\r\nPrism-Hop: b, c\r\n\r\n"));
  await eventually("what came through other nodes goes on", () => other.text.includes("200"));
  assert.equal(leader.seen[0]?.headers["prism-hop"], "b, c, d");
});

test("a client that leaves while it waits leaves nothing behind at the next leader", async (t) => {
  const leader = await openServer(t);
  const realtime = new WebSocketServer({ server: leader.server });
  t.after(() => realtime.close());
  const port = await openPort(t);
  const gone = [await dial(t, port.port, GET), await dial(t, port.port, UPGRADE)];
  const half = await dial(t, port.port, UPGRADE);
  const stays = [await dial(t, port.port, GET), await dial(t, port.port, UPGRADE)];
  await eventually("all wait", () => port.standby.waiting === 5);
  for (const { socket } of gone) socket.destroy();
  half.socket.end();
  await eventually("two wait", () => port.standby.waiting === 2);
  port.leads(leader.url);
  await eventually("the others are answered", () => stays.every(({ text }) => /^HTTP\/1\.1 (200|101) /.test(text)));
  assert.deepEqual([leader.seen.length, realtime.clients.size], [1, 1]);
});

test("GET is repeated when a connection breaks before the answer, and all else is not", async (t) => {
  let broken = 5;
  const leader = await openServer(t, (req, res) => {
    if (broken-- > 0) req.socket.destroy();
    else res.end("ok");
  });
  const port = await openPort(t, { leader: leader.url });
  const client = await dial(t, port.port, POST);
  await eventually("POST", () => client.text.includes("OUTCOME_UNKNOWN"));
  const storing = ["/ping/1", "/in/1", "/ntfy/backups/publish"];
  for (const path of storing) {
    const once = await dial(t, port.port, GET.replace("/a", path));
    await eventually(path, () => once.text.includes("OUTCOME_UNKNOWN"));
  }
  const read = await dial(t, port.port, GET);
  await eventually("GET", () => read.text.endsWith("ok"));
  assert.deepEqual(
    leader.seen.map(({ line }) => line),
    ["POST /a", ...storing.map((path) => `GET ${path}`), "GET /a", "GET /a"],
  );
});

test("an answer may take longer than 5 s, and a connection that was idle for so long is not used again", async (t) => {
  const leader = await openServer(t, (_req, res) => void setTimeout(() => res.end("ok"), 5500));
  const port = await openPort(t, { leader: leader.url });
  const client = await dial(t, port.port, POST);
  await eventually("an answer", () => client.text.endsWith("ok"));
  assert.deepEqual([leader.seen.length, leader.sockets.size], [1, 1]);
  await eventually("it is closed", () => leader.sockets.size === 0);
});

test("once this node leads, clients of the old port are sent to the new one, each with its own address", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "true" } });
  const port = await openPort(t);
  const request =
    "GET /api/v1/users/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
  const client = await dial(t, port.port, request);
  await eventually("it is held", () => port.standby.waiting === 1);
  port.standby.stopListening();
  port.standby.leadsAt(prism.url);
  await eventually("the connection is closed after the answer", () => client.isClosed);
  assert.match(client.text, /^HTTP\/1\.1 401 .*\r\nconnection: close\r\n/is);
  assert.equal(prism.parts.core.forwards.count, 0, "the address of the client was believed");
  await prism.get("/api/v1/users/me", { headers: { "X-Forwarded-For": "192.0.2.7", "Prism-Hop": "b" } });
  assert.equal(prism.parts.core.forwards.count, 1, "not that of another program of this machine");
});

test("a node is ready while it passes requests on, holds them or keeps them", () => {
  const rows = [
    { leader: "a", isDegraded: false, isHeld: true, health: 200, ready: 200 },
    { leader: null, isDegraded: false, isHeld: true, health: 503, ready: 200 },
    { leader: null, isDegraded: false, isHeld: false, health: 503, ready: 503 },
    { leader: null, isDegraded: true, isHeld: false, health: 503, ready: 200 },
    { leader: null, problem: "the log is full", isDegraded: false, isHeld: false, health: 503, ready: 503 },
  ];
  for (const { health, ready, problem = null, ...row } of rows) {
    const leaderUrl = row.leader === null ? null : "http://a.example.com:3000";
    const state = { node: "b", leaderUrl, problem, showsNames: true, readsMetrics: true, ...row };
    const answers = ["/health", "/health/ready"].map((path) => ownAnswer(path, state, METRICS));
    assert.deepEqual(
      answers.map((answer) => answer?.status),
      [health, ready],
    );
    for (const answer of answers) {
      const shown = JSON.parse(answer?.body ?? "") as Record<"status" | "leader" | "leaderUrl", string | null> & {
        readonly problem?: string;
      };
      const status = state.leader === null ? "no leader" : "ok";
      const expected = [status, state.leader, leaderUrl, problem];
      assert.deepEqual([shown.status, shown.leader, shown.leaderUrl, shown.problem ?? null], expected);
    }
  }
});

test("strangers do not learn names, URL and version of a node that follows", () => {
  const shown = ownAnswer("/health", { node: "b", ...FOLLOWS, showsNames: false }, METRICS)?.body ?? "";
  assert.deepEqual(JSON.parse(shown), { status: "ok", role: "standby" });
});

test("an upgrade that is no WebSocket is passed on as an ordinary request", async (t) => {
  const leader = await openServer(t);
  const port = await openPort(t, { leader: leader.url });
  const offer =
    "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Other: 1\r\n\r\n";
  const client = await dial(t, port.port, POST.replace("\r\n\r\n", offer));
  await eventually("an answer", () => client.text.endsWith("ok"));
  client.socket.write(GET);
  await eventually("the connection goes on", () => leader.seen.length === 2);
  const [first, second] = leader.seen;
  assert.deepEqual([first?.line, first?.body, second?.line], ["POST /a", "{}", "GET /a"]);
  const { upgrade, "http2-settings": settings, "x-other": other } = first?.headers ?? {};
  assert.deepEqual([upgrade, settings, other], [undefined, undefined, "1"]);
});

test("after an upgrade that the leader does not accept, nothing more of the client reaches it", async (t) => {
  const prism = await startPrism(t);
  for (const path of ["/health", "/none"]) {
    const leader = await openServer(t);
    for (const url of [leader.url, prism.url]) {
      const port = await openPort(t, { leader: url });
      const smuggled = GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
      const client = await dial(t, port.port, UPGRADE.replace("/realtime", path) + smuggled);
      await eventually("it is closed", () => client.isClosed);
      assert.match(client.text, /^HTTP\/1\.1 (200|404) .*\r\nconnection: close\r\n/is);
      assert.equal(client.text.split("HTTP/1.1 ").length, 2, "one answer");
    }
    assert.deepEqual(
      leader.seen.map(({ line }) => line),
      [`GET ${path}`],
    );
  }
  assert.equal(prism.parts.core.forwards.count, 2, "requests came from this node, with the client's address");
});

test("a node that follows answers what is about itself, and passes on everything else", () => {
  const alone = { node: "b", ...FOLLOWS, leader: null, leaderUrl: null };
  for (const path of ["/health", "/health/live", "/health/ready", "/metrics"])
    assert.ok(ownAnswer(path, alone, METRICS), path);
  assert.equal(ownAnswer("/health/live", alone, METRICS)?.status, 200, "it is not started again without a leader");
  for (const path of ["/", "/status/shop", "/api/v1/status", "/api/v1/cluster", "/docs", "/dashboard/", "/ping/1"])
    assert.equal(ownAnswer(path, alone, METRICS), null, path);
});

test("with a metrics token a node that follows shows metrics only to who has it", () => {
  const answer = ownAnswer("/metrics", { node: "b", ...FOLLOWS, readsMetrics: false }, METRICS);
  assert.equal(answer?.status, 401);
  assert.match(answer?.body ?? "", /UNAUTHENTICATED/);
  assert.doesNotMatch(answer?.body ?? "", /prism_build_info/);
});

test("a body that an upgrade announces and does not send takes nothing of another client's request", async (t) => {
  const prism = await startPrism(t);
  const port = await openPort(t, { leader: prism.url });
  const announced = UPGRADE.replace("/realtime", "/health").replace("\r\n\r\n", "\r\nContent-Length: 40\r\n\r\n");
  const first = await dial(t, port.port, announced);
  await eventually("an answer", () => first.isClosed);
  const second = await dial(t, port.port, GET.replace("/a", "/health/live"));
  await eventually("its own answer", () => /^HTTP\/1\.1 200 /.test(second.text));
});

test("a length behind a thousand other headers frames the body at the leader, too", async (t) => {
  const leader = await openServer(t);
  const port = await openPort(t, { leader: leader.url });
  const inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
  const fill = "a:\r\n".repeat(1100);
  const client = await dial(
    t,
    port.port,
    `GET /outer HTTP/1.1\r\nHost: a\r\n${fill}Content-Length: ${inner.length}\r\n\r\n${inner}`,
  );
  await eventually("an answer", () => client.text.includes("\r\n\r\n"));
  const next = await dial(t, port.port, GET);
  await eventually("its own answer", () => next.text.endsWith("ok"));
  assert.ok(leader.seen.every(({ line }) => line !== "GET /inner"));
});

test("a trailer that is announced, and an upgrade behind a request without its answer, end no node", async (t) => {
  const leader = await openServer(t);
  const port = await openPort(t, { leader: leader.url });
  const trailer = await dial(t, port.port, GET.replace("\r\n\r\n", "\r\nTrailer: x\r\n\r\n"));
  await eventually("an answer", () => trailer.text.endsWith("ok"));
  const upgrade = await dial(t, port.port, UPGRADE.replace("\r\n\r\n", "\r\nTrailer: x\r\n\r\n"));
  await eventually("an end", () => upgrade.isClosed);
  const slow = await openServer(t, () => undefined);
  port.leads(slow.url);
  const pipelined = await dial(t, port.port, GET + UPGRADE);
  await eventually("an end", () => pipelined.isClosed);
  port.leads(leader.url);
  const next = await dial(t, port.port, GET);
  await eventually("it goes on", () => next.text.endsWith("ok"));
});

test("dashboards of processes work with a node that follows", () => {
  const body = ownAnswer("/metrics", { node: "b", ...FOLLOWS }, METRICS)?.body ?? "";
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "prism_eventloop_lag_seconds"])
    assert.match(body, new RegExp(`^${name} [0-9.e+-]+$`, "m"));
  assert.match(body, /^nodejs_gc_duration_seconds_count \d+$/m);
  assert.match(body, /^prism_build_info\{version="[^"]+"\} 1$/m);
});
