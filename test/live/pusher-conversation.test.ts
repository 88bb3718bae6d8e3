import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";
import type { Refused } from "./support/live-client.ts";
import { leave, PusherJs } from "./support/pusher-client.ts";
import { dataOf, endOf, establish, openRaw, type RawPusher, subscribe } from "./support/raw-pusher.ts";

test("clients with the key may use protocols 5 to 7; all others are closed with Pusher's code and a reason", async (t) => {
  const prism = await startPrism(t);
  const { key } = prism.parts.offers.pusher;
  const ids = new Set<string>();
  for (const protocol of [5, 6, 7]) {
    const client = await openRaw(t, prism, `/app/${key}?protocol=${protocol}&client=js&version=8.6.0&flash=false`);
    const established = await client.expect({ event: "pusher:connection_established" });
    assert.deepEqual(Object.keys(established), ["event", "data"]);
    const { socket_id, activity_timeout } = dataOf<{ socket_id: string; activity_timeout: number }>(established);
    assert.match(socket_id, /^\d{1,20}\.\d{1,20}$/);
    assert.equal(activity_timeout, 120);
    ids.add(socket_id);
  }
  assert.equal(ids.size, 3);
  for (const [path, code] of [
    [`/app/${key}`, 4008],
    [`/app/${key}?protocol=`, 4008],
    [`/app/${key}?protocol=4`, 4007],
    [`/app/${key}?protocol=8`, 4007],
    [`/app/${key}?protocol=seven`, 4007],
    [`/app/${key}0?protocol=7`, 4001],
    [`/app/${key.slice(1)}?protocol=7`, 4001],
  ] as const) {
    assert.deepEqual(await endOf(await openRaw(t, prism, path)), [code, code], path);
  }
  const { connections } = prism.parts.core;
  await eventually("those are gone", () => connections.counts.pusher === 3);
});

test("the official client stops at an unknown key", async (t) => {
  const prism = await startPrism(t);
  const options = { cluster: "", wsHost: "127.0.0.1", wsPort: prism.app.port, forceTLS: false };
  const pusher = new PusherJs("unknown", { ...options, enabledTransports: ["ws"] });
  t.after(() => leave(pusher));
  const errors: unknown[] = [];
  pusher.connection.bind("error", ({ error }: { error: { data: { code: number } } }) => errors.push(error.data.code));
  await eventually("it gives up", () => pusher.connection.state === "disconnected");
  assert.deepEqual(errors, [4001]);
});

test("in mode remote the path does not exist; pages of foreign origins are refused before the upgrade", async (t) => {
  const settings = { "pusher.appId": "1", "pusher.key": "key", "pusher.secret": "secret" };
  const path = "/app/key?protocol=7";
  const remote = await startPrism(t, { settings: { ...settings, "pusher.mode": "remote", "pusher.cluster": "eu" } });
  await assert.rejects(openRaw(t, remote, path), (error: Refused) => error.status === 404);
  assert.equal((await remote.get("/app/key")).status, 404);
  assert.deepEqual([...remote.parts.offers.pusherRegistry.occupied()], []);
  const prism = await startPrism(t, { settings: { ...settings, publicUrl: "https://prism.example.org" } });
  const from = (origin: string) => openRaw(t, prism, path, { headers: { Origin: origin } });
  await assert.rejects(from("https://example.com"), (error: Refused) => error.code === "ORIGIN_REFUSED");
  await (await from("https://prism.example.org")).expect({ event: "pusher:connection_established" });
});

test("pings are answered; an unknown or invalid message is reported and closes nothing", async (t) => {
  const prism = await startPrism(t);
  const { client } = await establish(t, prism);
  client.send({ event: "pusher:ping", data: {} });
  assert.deepEqual(await client.expect({ event: "pusher:pong" }), { event: "pusher:pong", data: "{}" });
  client.send({ event: "pusher:pong", data: {} });
  const wrong = [
    { event: "pusher:unknown", data: {} },
    { event: 1 },
    {},
    { event: "pusher:subscribe" },
    { event: "pusher:subscribe", data: { channel: 7 } },
    { event: "pusher:unsubscribe", data: {} },
    { event: "x".repeat(201) },
  ];
  for (const message of wrong) client.send(message);
  const errors = await eventually("an error for each", () => {
    const told = client.all({ event: "pusher:error" });
    return told.length === wrong.length ? told : undefined;
  });
  assert.deepEqual([...new Set(errors.map((error) => dataOf(error)["code"]))], [4300]);
  client.send({ event: "pusher:unsubscribe", data: { channel: "never-joined" } });
  client.send({ event: "pusher:ping" });
  await eventually("it is still there", () => client.all({ event: "pusher:pong" }).length === 2);
});

test("a message that is not a JSON object, too large or too frequent closes the connection, after an error", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  for (const message of ["no JSON", "[]", Buffer.from("{}"), `{"event":"${"x".repeat(70_000)}"}`]) {
    const raw = await establish(t, prism);
    await subscribe(raw, "news");
    raw.client.send(message);
    assert.deepEqual(await endOf(raw.client), [4300, 4300]);
  }
  const pending = await establish(t, prism);
  pending.client.send(`{"event":"pusher:ping","data":"${"x".repeat(16_384)}"}`);
  assert.deepEqual(await endOf(pending.client), [4300, 4300]);
  const busy = await establish(t, prism);
  for (let i = 0; i <= 100; i++) busy.client.send({ event: "pusher:ping" });
  assert.deepEqual(await endOf(busy.client), [4004, 4004]);
  assert.equal(busy.client.all({ event: "pusher:pong" }).length, 100);
});

test("a channel's name has up to 164 of Pusher's characters, and a connection may be in 64 channels", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  for (const name of ["", "a b", "a:b", "#server-to-user-1", "x".repeat(165), "ü"]) {
    const { event, data } = await subscribe(raw, name);
    const { type, status, error } = JSON.parse(String(data)) as Record<string, unknown>;
    assert.deepEqual(
      [event, type, status, typeof error],
      ["pusher:subscription_error", "AuthError", 401, "string"],
      name,
    );
  }
  assert.equal((await subscribe(raw, "x".repeat(164)))["event"], "pusher_internal:subscription_succeeded");
  for (let i = 1; i < 64; i++) raw.client.send({ event: "pusher:subscribe", data: { channel: `a-_=@,.;${i}` } });
  await eventually("64", () => raw.client.all({ event: "pusher_internal:subscription_succeeded" }).length === 64);
  assert.match(String((await subscribe(raw, "one-more"))["data"]), /64 channels/);
  assert.equal((await subscribe(raw, "a-_=@,.;7"))["event"], "pusher_internal:subscription_succeeded", "once more");
  raw.client.send({ event: "pusher:unsubscribe", data: { channel: "a-_=@,.;7" } });
  assert.equal((await subscribe(raw, "one-more"))["event"], "pusher_internal:subscription_succeeded");
});

test("a connection without a subscription stays; a new one is pending until it subscribes", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "realtime.maxPendingPerIp": "20" } });
  const [idle, refused] = [await establish(t, prism), await establish(t, prism)];
  await subscribe(refused, "private-x", { auth: "wrong" });
  for (const seconds of [10, 45]) {
    const pinged = new Set<RawPusher>();
    for (const raw of [idle, refused]) raw.client.socket.on("ping", () => pinged.add(raw));
    clock.advance(seconds * 1000);
    if (seconds > 30) await eventually("the server has looked at both", () => pinged.size === 2);
    for (const { client } of [idle, refused]) {
      client.send({ event: "pusher:ping" });
      await client.expect({ event: "pusher:pong" });
    }
  }
  const waiting = [];
  for (let i = 0; i < 20; i++) waiting.push(await establish(t, prism));
  await assert.rejects(establish(t, prism), (error: Refused) => error.status === 429);
  for (const raw of waiting) await subscribe(raw, "news");
  await establish(t, prism);
});

test("a connection that is silent for a minute is closed with 4201; a stop closes all with 4100", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const silent = await establish(t, prism, { autoPong: false });
  await subscribe(silent, "news");
  clock.advance(60_000);
  assert.deepEqual(await endOf(silent.client), [4201, 4201]);
  const last = await establish(t, prism);
  await subscribe(last, "news");
  await prism.stop();
  assert.deepEqual(await endOf(last.client), [4100, 4100]);
});

test("a client that never reads is closed with 4100, and the others are served", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "realtime.compression": "false" } });
  const [slow, quick] = [await establish(t, prism), await establish(t, prism)];
  for (const raw of [slow, quick]) await subscribe(raw, "news");
  slow.client.socket.pause();
  // 24 MiB: more than the kernel takes.
  const data = "x".repeat(20_000);
  const publish = () => prism.parts.offers.realtime.publish({ kind: "pusher", channel: "news" }, "n", data);
  for (let sent = 0; sent < 1200; sent += 100) await Promise.all(Array.from({ length: 100 }, publish));
  await eventually("the quick one has everything", () => quick.client.all({ event: "n" }).length === 1200);
  const { connections } = prism.parts.core;
  clock.advance(29_999);
  assert.equal(connections.slowClosed, 0);
  clock.advance(30_000);
  await eventually("the slow one was ended", () => connections.slowClosed === 1);
  slow.client.socket.resume();
  assert.deepEqual(await endOf(slow.client), [4100, 4100]);
});
