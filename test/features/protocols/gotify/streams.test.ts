import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { FrameStream, GotifyTest, key } from "./support.ts";

const PING_MS = 45_000;
const PONG_LIMIT_MS = 60_000;
const PING = 9;
const PONG = 10;
const CLOSE = 8;

test("a stream is pinged every 45 s; a pong marks what was sent before the ping as delivered, silence ends it", async (t) => {
  const clock = new FakeClock();
  const it = await GotifyTest.start(t, { clock });
  const { token } = await it.application();
  const client = await it.client();
  const stream = await it.stream(t, client.token);
  const sent = await it.send(token, { message: "m" });
  const delivered = async (): Promise<boolean> => {
    const path = `/api/v1/notifications/user/${it.userId}`;
    const { body } = await it.prism.get<{ data: { offset: number; me: { delivered: boolean } }[] }>(path);
    return body.data.find(({ offset }) => offset === sent.id)?.me.delivered === true;
  };
  for (let ping = 1; ping <= 2; ping++) {
    clock.advance(PING_MS);
    await eventually("a ping", () => stream.kinds.filter((kind) => kind === "ping").length === ping);
    if (ping === 1) assert.equal(await delivered(), false);
    stream.send(PONG);
    await eventually("delivered", delivered);
  }
  // The client's own pings are answered.
  stream.send(PING, "a");
  await eventually("a pong", () => stream.kinds.at(-1) === "pong");
  clock.advance(PING_MS);
  await eventually("the third ping", () => stream.kinds.at(-1) === "ping");
  clock.advance(PONG_LIMIT_MS);
  await stream.closed;
  assert.deepEqual(stream.kinds, ["text", "ping", "ping", "pong", "ping"]);
  assert.deepEqual(it.prism.parts.core.connections.counts.gotify, 0);
});

test("several streams of one user get the same message; a user without one is not present for it", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application();
  const client = await it.client();
  const streams = await Promise.all([1, 2, 3].map(() => it.stream(t, client.token)));
  assert.equal(it.prism.parts.core.presence.isLive(it.userId), false);
  const sent = await it.send(token, { message: "m" });
  await eventually("all", () => streams.every(({ messages }) => messages.length === 1));
  for (const stream of streams) assert.deepEqual(stream.messages, [sent]);
});

test("a stop of the server and a revoked client end a stream by its connection, never with a Close frame", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application();
  const [one, two] = [await it.client(), await it.client()];
  const [first, second] = [await it.stream(t, one.token), await it.stream(t, two.token)];
  await it.ok("DELETE", `/client/${one.id}`, key(two.token));
  await first.closed;
  await it.send(token, { message: "m" });
  await eventually("the other one goes on", () => second.messages.length === 1);
  await it.prism.stop();
  await second.closed;
  assert.deepEqual([first.kinds, second.kinds], [[], ["text"]]);
});

test("messages of rules, incidents and other users: each user's stream has the own ones", async (t) => {
  const it = await GotifyTest.start(t, { settings: { publicUrl: "http://localhost:9" } });
  const client = await it.client();
  const stream = await it.stream(t, client.token);
  const { prism } = it;
  const send = (userId: string, title: string, more: object = {}) =>
    prism.post<{ id: string }>("/api/v1/notifications", { userId, title, message: "m", ...more });
  await send("me", "for the administrator");
  const { body } = await send(it.userId, "plain");
  await send(it.userId, "urgent", { priority: 1000, action: { type: "open", url: "https://x.example/1" } });
  await send(it.userId, "low", { priority: 10 });
  await eventually("three", () => stream.messages.length === 3);
  const click = (url: string) => ({ "client::notification": { click: { url } } });
  assert.deepEqual(rowsWith(stream.messages, "title", "priority", "appid", "extras"), [
    ["plain", 5, 1, click(`http://localhost:9/dashboard/inbox/${body.id}`)],
    ["urgent", 10, 1, click("https://x.example/1")],
    ["low", 1, 1, click(`http://localhost:9/dashboard/inbox/${stream.messages[2] ? await idOf("low") : ""}`)],
  ]);

  async function idOf(title: string): Promise<string> {
    const path = `/api/v1/notifications/user/${it.userId}`;
    const list = await prism.get<{ data: { id: string; title: string }[] }>(path);
    return list.body.data.find((each) => each.title === title)?.id ?? "";
  }
});

test("what a client sends on its stream ends at most its own connection", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application();
  const client = await it.client();
  const good = await it.stream(t, client.token);
  const ignored = await it.stream(t, client.token);
  ignored.send(1, "text");
  ignored.send(2, "bytes");
  const closing = await it.stream(t, client.token);
  closing.send(CLOSE, "\u0003");
  await closing.closed;
  await it.send(token, { message: "m" });
  await eventually("the message", () => good.messages.length === 1 && ignored.messages.length === 1);
});

test("who gets no stream", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application();
  const client = await it.client();
  const open = (path: string, headers: readonly string[] = []) =>
    FrameStream.open(t, it.prism.app.port, { path: `/gotify/stream${path}`, headers });
  for (const [path, headers, status] of [
    ["", [], 401],
    [`?token=${app.token}`, [], 401],
    ["?token=Cnonsense", [], 401],
    [`?token=${client.token}`, ["Origin: https://evil.example"], 403],
    [`?token=${client.token}`, [], 101],
    ["", [`X-Gotify-Key: ${client.token}`], 101],
    ["", [`Authorization: Bearer ${client.token}`], 101],
  ] as const) {
    const stream = await open(path, headers);
    assert.equal(stream.status, status, `${path} ${headers.join()}`);
    assert.doesNotMatch(stream.head, /www-authenticate/i);
  }
  const plain = await it.request("GET", `/stream?token=${client.token}`);
  assert.equal(plain.status, 400);
});
