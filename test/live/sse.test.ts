import assert from "node:assert/strict";
import test from "node:test";
import { EventSource, type EventSourceFetchInit } from "eventsource";
import { toRfc3339 } from "../../src/core/time/clock.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { LiveServer } from "./support/live-server.ts";
import { RawStream } from "./support/raw-stream.ts";

const OPENING = "retry: 3000\n\n";

test("S1-40: the stream of GET /realtime/:projectId/sse, byte for byte", async (t) => {
  keepsPromise(t, "S1-40");
  const server = await LiveServer.start(t);
  const stream = await RawStream.open(t, server.target);
  const { status, headers } = stream;
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/event-stream");
  assert.equal(headers["x-accel-buffering"], "no");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["transfer-encoding"], "chunked");
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.match(String(headers["x-request-id"]), /./);
  await stream.expect(OPENING);

  const event = { type: "order.failed", payload: { text: "line\nline\r\n\u2028data: x" } };
  await server.prism.post("/ingest", event, { apiKey: server.apiKey });
  const list = () => server.prism.get<{ data: object[] }>("/events", { apiKey: server.apiKey });
  await eventually("the item", () => stream.text.length > OPENING.length);
  const item = /^id: 1\ndata: (\{.*\})\n\n$/s.exec(stream.text.slice(OPENING.length));
  assert.ok(item?.[1], stream.text);
  assert.doesNotMatch(item[1], /[\r\n]/);
  const [stored] = (await list()).body.data;
  assert.deepEqual({ ...(JSON.parse(item[1]) as object), processedAt: 0 }, { ...stored, processedAt: 0 });
});

test("a gap is an item with its own id: a client that reconnects after it resumes after the gap", async (t) => {
  const server = await LiveServer.start(t);
  const last = await server.feed.publish(3);
  const before = toRfc3339(Date.now() + 60_000);
  await server.prism.delete(`/api/v1/projects/${server.projectId}/events?before=${before}`);
  const gap = `id: ${last}\nevent: gap\ndata: {"from":1,"to":${last}}\n\n`;
  for (const options of [
    { headers: { "Last-Event-ID": "1" } },
    { query: "?lastEventId=1" },
    { query: "?from=1" },
    { query: "?lastEventId=0", headers: { "Last-Event-ID": "1" } },
  ]) {
    const stream = await RawStream.open(t, server.target, options);
    await stream.expect(OPENING + gap);
  }
  const behind = await RawStream.open(t, server.target, { headers: { "Last-Event-ID": String(last) } });
  await server.feed.publish();
  await eventually("the next event", () => behind.text.includes(`id: ${last + 1}\n`));
  assert.doesNotMatch(behind.text, /gap/);
});

test("the stream is not compressed, even for a client that accepts gzip", async (t) => {
  const server = await LiveServer.start(t);
  await server.feed.publish(1, { paddingBytes: 50_000 });
  const stream = await RawStream.open(t, server.target, {
    query: "?from=earliest",
    headers: { "Accept-Encoding": "gzip, br" },
  });
  assert.equal(stream.headers["content-encoding"], undefined);
  await eventually("the event", () => stream.text.length > 50_000 && stream.text.endsWith("\n\n"));
  assert.ok(stream.text.startsWith(`${OPENING}id: 1\ndata: {`));
});

test("HEAD gets only the headers of the stream, and leaves no connection open", async (t) => {
  const server = await LiveServer.start(t);
  const { status, headers, body } = await RawStream.head(server.target);
  assert.deepEqual([status, headers["content-type"], body], [200, "text/event-stream", ""]);
  assert.equal(server.prism.parts.core.connections.counts.sse, 0);
});

test("a listed origin may read the stream across origins", async (t) => {
  const server = await LiveServer.start(t, { settings: { "cors.origins": "https://app.example.com" } });
  const stream = await RawStream.open(t, server.target, { headers: { Origin: "https://app.example.com" } });
  assert.equal(stream.headers["access-control-allow-origin"], "https://app.example.com");
  const preflight = await fetch(`${server.prism.url}/realtime/${server.projectId}/sse`, {
    method: "OPTIONS",
    headers: { Origin: "https://app.example.com", "Access-Control-Request-Method": "GET" },
  });
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /Last-Event-ID/);
});

test("S1-40 S1-03: an EventSource reconnects by itself after a restart and misses nothing", async (t) => {
  keepsPromise(t, "S1-40");
  const server = await LiveServer.start(t);
  const asked: string[] = [];
  const source = new EventSource("http://prism.example/sse", {
    // The server comes back at another port: this finds it, as a name would.
    fetch: (_url: string | URL, init: EventSourceFetchInit) => {
      const headers = new Headers(init.headers);
      asked.push(headers.get("last-event-id") ?? "");
      return fetch(`${server.prism.url}/realtime/${server.projectId}/sse?token=${server.apiKey}`, {
        ...init,
        headers,
      });
    },
  });
  t.after(() => source.close());
  const ids: number[] = [];
  source.addEventListener("message", ({ lastEventId }) => ids.push(Number(lastEventId)));
  await new Promise((resolve) => source.addEventListener("open", resolve, { once: true }));
  await server.feed.publish(5);
  await eventually("five events", () => ids.length === 5);
  await server.restart();
  await server.feed.publish(5);
  await eventually("it came back", () => ids.length >= 10);
  await server.feed.publish();
  await eventually("it is live", () => ids.length >= 11);
  assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual([asked[0], asked.at(-1)], ["", "5"]);
});

test("expiry is sent as an event before the close; a deleted project answers 204, which stops an EventSource", async (t) => {
  const server = await LiveServer.start(t);
  const { prism, projectId, target } = server;
  const { body } = await prism.post<{ id: string; key: string }>(`/api/v1/projects/${projectId}/keys`, { name: "k" });
  const byKey = await RawStream.open(t, { ...target, token: body.key });
  const uma = await makeUser(prism, "uma");
  await prism.post(`/api/v1/projects/${projectId}/members`, { userId: uma.id, role: "viewer" });
  const member = await RawStream.open(t, { ...target, token: uma.token });
  await prism.delete(`/api/v1/projects/${projectId}/keys/${body.id}`);
  assert.equal(await byKey.isCut, false);
  assert.equal(byKey.text, `${OPENING}event: auth_expired\ndata: {}\n\n`);

  await prism.delete(`/api/v1/projects/${projectId}`);
  assert.equal(await member.isCut, false);
  assert.equal(member.text, OPENING);
  const stranger = await makeUser(prism, "vic");
  for (const [token, status] of [
    [uma.token, 204],
    [prism.adminToken, 204],
    [stranger.token, 404],
    [server.apiKey, 401],
  ] as const) {
    assert.equal((await prism.get(`/realtime/${projectId}/sse`, { token })).status, status);
  }
  const source = new EventSource(`${prism.url}/realtime/${projectId}/sse?token=${prism.adminToken}`);
  t.after(() => source.close());
  await new Promise((resolve) => source.addEventListener("error", resolve, { once: true }));
  assert.equal(source.readyState, EventSource.CLOSED);
});

test("a disconnected client is removed", async (t) => {
  const server = await LiveServer.start(t);
  const { connections, hub } = server.prism.parts.core;
  const abort = new AbortController();
  await fetch(`${server.prism.url}/realtime/shop/sse?token=${server.apiKey}`, { signal: abort.signal });
  assert.equal(connections.counts.sse, 1);
  abort.abort();
  await eventually("it is gone", () => connections.counts.sse === 0 && hub.hasNoListeners);
});
