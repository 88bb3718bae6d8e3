import assert from "node:assert/strict";
import test from "node:test";
import { WebSocket } from "ws";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { LiveServer, range } from "../live/support/live-server.ts";
import { FakeTime } from "./support/fake-time.ts";
import { Relay } from "./support/relay.ts";
import { MemoryStorage, startClient, subscribed } from "./support/start-client.ts";

/** A WebSocket that notes what the client says. */
function spy() {
  const said: string[] = [];
  class Spy extends WebSocket {
    override send(text: string): void {
      said.push((JSON.parse(text) as { op: string }).op);
      super.send(text);
    }
  }
  return { said, Spy };
}

test("entries are handled one after the other, and the offset moves on when the handler has returned", async (t) => {
  const server = await LiveServer.start(t);
  const storage = new MemoryStorage();
  const { client } = startClient(t, { url: server.prism.url, token: server.apiKey, storage });
  const subscription = client.subscribe(`project:${server.projectId}`, { from: "earliest" });
  const calls: string[] = [];
  const first = deferred<void>();
  subscription.on("event", async ({ data }) => {
    calls.push(`begin ${data.payload["n"]}`);
    if (data.payload["n"] === 1) await first.promise;
    calls.push(`end ${data.payload["n"]}`);
  });
  await server.feed.publish(3);
  await eventually("the first has begun", () => calls.length === 1);
  assert.equal(subscription.offset, 0);
  assert.deepEqual([...storage.values.values()], ["0"]);
  first.resolve();
  await eventually("all", () => subscription.offset === server.feed.lastSeq);
  assert.deepEqual(calls, ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]);
});

test("a handler that fails is called again with the same entry, later entries wait, and each failure is reported", async (t) => {
  const server = await LiveServer.start(t);
  const time = new FakeTime();
  const { client, problems } = startClient(t, { url: server.prism.url, token: server.apiKey, environment: time });
  const subscription = client.subscribe(`project:${server.projectId}`, { from: "earliest" });
  const calls: string[] = [];
  subscription.on("event", ({ data }) => void calls.push(`a${data.payload["n"]}`));
  let failures = 0;
  subscription.on("event", async ({ data }) => {
    await undefined;
    calls.push(`b${data.payload["n"]}`);
    if (data.payload["n"] !== 2 || ++failures > 2) return;
    if (failures === 1) throw new Error("no database");
    // No text can be made of it.
    throw Object.create(null);
  });
  await server.feed.publish(3);
  await eventually("the first failure", () => problems.length === 1);
  const before = subscription.offset ?? 0;
  assert.ok(before < server.feed.lastSeq - 1);
  // A handler that fails does not fail at full speed, whatever chance says.
  time.advance(99);
  assert.equal(failures, 1);
  time.advance(1000);
  await eventually("the second failure", () => problems.length === 2);
  time.advance(2000);
  await eventually("all", () => subscription.offset === server.feed.lastSeq);
  assert.deepEqual(calls, ["a1", "b1", "a2", "b2", "b2", "b2", "a3", "b3"]);
  const [problem] = problems;
  assert.deepEqual([problem?.error.code, problem?.stream], ["HANDLER_FAILED", subscription.stream]);
  assert.ok(problem?.error.cause instanceof Error && problem.entry !== undefined && "offset" in problem.entry);
});

test("a handler that is slow keeps a bounded number of entries, over a reconnect too, and gets all of them", async (t) => {
  const server = await LiveServer.start(t);
  const relay = await Relay.start(t, server.prism.url);
  const { said, Spy } = spy();
  const options = { url: relay.url, token: server.apiKey, maxQueued: 10, WebSocket: Spy };
  const { client, states } = startClient(t, options);
  const subscription = client.subscribe(`project:${server.projectId}`, { from: "earliest" });
  const numbers: number[] = [];
  const gate = deferred<void>();
  subscription.on("event", async ({ data }) => {
    await gate.promise;
    numbers.push(Number(data.payload["n"]));
  });
  await subscribed(client);
  await server.feed.publish(300);
  await eventually("no more is wanted", () => said.includes("unsubscribe"));
  relay.cut();
  await eventually("open again", () => states.filter(({ state }) => state === "open").length === 2);
  await server.feed.publish(200);
  gate.resolve();
  await eventually("all", () => numbers.length >= 500);
  assert.deepEqual(numbers, range(1, 500));
});

test("a stream can be followed again at once after its subscription was closed before the server answered", async (t) => {
  const server = await LiveServer.start(t);
  const { said, Spy } = spy();
  const { client, states, problems } = startClient(t, {
    url: server.prism.url,
    token: server.apiKey,
    WebSocket: Spy,
  });
  const first = client.subscribe(`project:${server.projectId}`);
  await eventually("it is asked for", () => said.includes("subscribe"));
  await first.close();
  const second = client.subscribe(`project:${server.projectId}`);
  const numbers: number[] = [];
  second.on("event", ({ data }) => void numbers.push(Number(data.payload["n"])));
  await second.opened;
  // Once more, as a component that is torn down later may do.
  await first.close();
  await server.feed.publish(1);
  await eventually("it arrives", () => numbers.length === 1);
  assert.deepEqual(problems, []);
  assert.equal(states.filter(({ state }) => state === "open").length, 1);
});

test("typed handlers get their type, `event` gets everything, and an event called `gap` is not a gap", async (t) => {
  const server = await LiveServer.start(t);
  const { client } = startClient(t, { url: server.prism.url, token: server.apiKey });
  const subscription = client.subscribe(`project:${server.projectId}`, { from: "earliest" });
  const told: string[] = [];
  subscription.on("order.failed", ({ type }) => void told.push(`typed ${type}`));
  subscription.on("event", ({ type }) => void told.push(`any ${type}`));
  subscription.on("gap", () => void told.push("gap"));
  const off = subscription.on("event", () => void told.push("never"));
  off();
  for (const type of ["order.failed", "gap", "event", "constructor"]) await server.feed.publish(1, { type });
  await eventually("all", () => told.length === 5);
  assert.deepEqual(told, ["typed order.failed", "any order.failed", "any gap", "any event", "any constructor"]);
});

test("a filter is the server's, and a stream without permission is reported as an error while others continue", async (t) => {
  const server = await LiveServer.start(t);
  const { client, problems } = startClient(t, { url: server.prism.url, token: server.apiKey });
  const stream = `project:${server.projectId}` as const;
  const types: string[] = [];
  client.subscribe("user:me");
  client.subscribe(stream, { filter: { type: "order.*" } }).on("event", ({ type }) => void types.push(type));
  await subscribed(client);
  for (const type of ["order.a", "cart.b", "order.c"]) await server.feed.publish(1, { type });
  await eventually("both", () => types.length === 2);
  assert.deepEqual(types, ["order.a", "order.c"]);
  assert.deepEqual(
    problems.map(({ error, stream }) => [error.code, stream]),
    [["CHANNEL_FORBIDDEN", "user:me"]],
  );
  assert.match(String(problems[0]?.error.requestId), /./);
  assert.throws(() => client.subscribe(stream), TypeError);
  assert.throws(() => client.subscribe("channel:x", { ack: "auto" }), TypeError);
});

test("two names of one stream are refused, and the first keeps what it has", async (t) => {
  const server = await LiveServer.start(t);
  const { client, problems } = startClient(t, { url: server.prism.url, token: server.prism.adminToken });
  const types: string[] = [];
  let times = 0;
  client.on("subscribed", () => void times++);
  client.subscribe("user:me").on("event", ({ type }) => void types.push(type));
  await eventually("subscribed", () => times === 1);
  client.subscribe(`user:${server.userId}`);
  await eventually("told", () => problems.length === 1);
  await server.prism.post("/api/v1/notifications", { userId: server.userId, title: "t", message: "m" });
  await eventually("subscribed again", () => times === 2);
  await eventually("heard", () => types.includes("notification"));
});

test("to close waits for the handler that runs, and for no other", async (t) => {
  const server = await LiveServer.start(t);
  const { client } = startClient(t, { url: server.prism.url, token: server.apiKey });
  const subscription = client.subscribe(`project:${server.projectId}`, { from: "earliest" });
  const [begun, gate] = [deferred<void>(), deferred<void>()];
  const handled: unknown[] = [];
  subscription.on("event", async ({ data }) => {
    begun.resolve();
    await gate.promise;
    handled.push(data.payload["n"]);
  });
  await server.feed.publish(2);
  await begun.promise;
  let isClosed = false;
  const closing = client.close().then(() => {
    isClosed = true;
  });
  await server.prism.get("/health/live");
  assert.equal(isClosed, false);
  gate.resolve();
  await closing;
  assert.deepEqual(handled, [1]);
});
