import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { deleteEvents } from "../live/support/feeds.ts";
import { LiveServer, range } from "../live/support/live-server.ts";
import { SpawnedServer } from "../live/support/spawned-server.ts";
import { Relay } from "./support/relay.ts";
import { followProject, MemoryStorage, startClient, stateIs, subscribed } from "./support/start-client.ts";

test("S1-03, S3-13: the client resumes across restarts of the server, with every event once and in order", async (t) => {
  keepsPromise(t, "S3-13");
  const server = await LiveServer.start(t);
  const relay = await Relay.start(t, server.prism.url);
  const { client, states } = startClient(t, { url: relay.url, token: server.apiKey });
  const { numbers } = followProject(client, server.projectId);
  for (let round = 1; round <= 3; round++) {
    await server.feed.publish(20);
    await eventually("some", () => numbers.length > (round - 1) * 30);
    await server.restart();
    await server.feed.publish(10);
    relay.leadTo(server.prism.url);
    await eventually("all", () => numbers.length >= round * 30);
  }
  assert.deepEqual(numbers, range(1, 90));
  assert.ok(states.some((state) => state.state === "waiting" && state.error.status === 1012));
});

test("S1-03, S3-13: the client resumes after a server that was killed, with every event once and in order", async (t) => {
  keepsPromise(t, "S3-13");
  const server = await SpawnedServer.start(t);
  const relay = await Relay.start(t, server.target.url);
  const { client, states } = startClient(t, { url: relay.url, token: server.target.token });
  const { numbers } = followProject(client, server.target.projectId);
  for (let round = 1; round <= 3; round++) {
    const feed = server.newFeed();
    await feed.publish(15);
    await eventually("some", () => numbers.length > (round - 1) * 25);
    await feed.publish(10);
    await server.kill();
    await server.run(feed.count);
    relay.leadTo(server.target.url);
    await eventually("all", () => numbers.length >= round * 25);
  }
  assert.deepEqual(numbers, range(1, 75));
  assert.ok(states.some((state) => state.state === "waiting" && state.error.status === 1006));
});

test("the client resumes after the network was lost, and reports its state", async (t) => {
  const server = await LiveServer.start(t);
  const relay = await Relay.start(t, server.prism.url);
  const { client, states, problems } = startClient(t, { url: relay.url, token: server.apiKey });
  const { numbers } = followProject(client, server.projectId);
  await server.feed.publish(5);
  await eventually("five", () => numbers.length === 5);
  relay.cut();
  await server.feed.publish(5);
  await eventually("ten", () => numbers.length === 10);
  const dialled = relay.dialled;
  relay.down();
  await server.feed.publish(5);
  await eventually("several attempts", () => relay.dialled > dialled + 4);
  relay.up();
  await eventually("fifteen", () => numbers.length === 15);
  assert.deepEqual(numbers, range(1, 15));
  assert.deepEqual(
    states.slice(0, 4).map(({ state }) => state),
    ["connecting", "open", "waiting", "connecting"],
  );
  assert.deepEqual(problems, [], "a lost connection is a state, not a problem");
});

test("a client with a storage resumes after the last entry that the previous one handled, also if that one had received nothing", async (t) => {
  const server = await LiveServer.start(t);
  const storage = new MemoryStorage();
  const options = { url: server.prism.url, token: server.apiKey, storage };
  await server.feed.publish(3);
  const first = startClient(t, options);
  first.client.subscribe(`project:${server.projectId}`);
  await eventually("the beginning is stored", () => storage.values.size === 1);
  await first.client.close();

  await server.feed.publish(4);
  const second = startClient(t, options);
  const { numbers, subscription } = followProject(second.client, server.projectId);
  await eventually("what came while nobody was there", () => numbers.length === 4);
  await eventually("stored", () => [...storage.values.values()][0] === String(server.feed.lastSeq));
  assert.equal(subscription.offset, server.feed.lastSeq);
  await second.client.close();

  const third = startClient(t, options);
  const after = followProject(third.client, server.projectId);
  await subscribed(third.client);
  await server.feed.publish(1);
  await eventually("one more", () => after.numbers.length === 1);
  assert.deepEqual([...numbers, ...after.numbers], range(4, 8));
  assert.deepEqual([...storage.values.keys()], [`prism:${server.prism.url}:project:${server.projectId}`]);
});

test("a gap is reported at its position, and the offset moves over it", async (t) => {
  const clock = new FakeClock();
  const server = await LiveServer.start(t, { clock });
  const lastDeleted = await server.feed.publish(5);
  clock.advance(60_000);
  await server.feed.publish(2);
  await deleteEvents(server.prism, server.projectId, clock.now());
  const { client } = startClient(t, { url: server.prism.url, token: server.apiKey });
  const subscription = client.subscribe(`project:${server.projectId}`, { from: lastDeleted - 3 });
  const told: unknown[] = [];
  subscription.on("event", ({ data }) => void told.push(data.payload["n"]));
  subscription.on("gap", (gap) => void told.push(gap));
  await eventually("all", () => told.length === 3);
  const stream = `project:${server.projectId}`;
  assert.deepEqual(told, [{ stream, from: lastDeleted - 3, to: lastDeleted }, 6, 7]);
});

test("an offset from another data directory is reported as a gap to 0, and all stored entries follow", async (t) => {
  const server = await LiveServer.start(t);
  const storage = new MemoryStorage();
  const stream = `project:${server.projectId}` as const;
  storage.set(`prism:${server.prism.url}:${stream}`, "1000000");
  await server.feed.publish(3);
  const { client } = startClient(t, { url: server.prism.url, token: server.apiKey, storage });
  const subscription = client.subscribe(stream);
  const told: unknown[] = [];
  subscription.on("gap", ({ from, to }) => void told.push([from, to]));
  subscription.on("event", ({ data }) => void told.push(data.payload["n"]));
  await eventually("all", () => told.length === 4);
  assert.deepEqual(told, [[1_000_000, 0], 1, 2, 3]);
  await eventually("stored", () => subscription.offset === server.feed.lastSeq);
});

test("a storage that cannot be read makes the client come again: beginning anywhere else would miss something", async (t) => {
  const server = await LiveServer.start(t);
  await server.feed.publish(2);
  let reads = 0;
  const storage = {
    get: () => {
      if (++reads < 3) throw new Error("locked");
      return "0";
    },
    set: () => Promise.reject(new Error("full")),
  };
  const { client, codes } = startClient(t, { url: server.prism.url, token: server.apiKey, storage });
  const numbers: unknown[] = [];
  client.subscribe(`project:${server.projectId}`).on("event", ({ data }) => void numbers.push(data.payload["n"]));
  await eventually("both", () => numbers.length === 2);
  assert.equal(reads, 3);
  await eventually("told", () => codes().length >= 4);
  assert.deepEqual([...new Set(codes())], ["STORAGE_FAILED"]);
});

test("a closed client reports nothing more, and connects again on request", async (t) => {
  const server = await LiveServer.start(t);
  const { client, states } = startClient(t, { url: server.prism.url, token: server.apiKey });
  const { numbers } = followProject(client, server.projectId);
  await server.feed.publish(1);
  await eventually("one", () => numbers.length === 1);
  await client.close();
  assert.deepEqual(states.at(-1), { state: "closed", error: null });
  await eventually("gone", async () => server.prism.parts.core.connections.counts.websocket === 0);
  await server.feed.publish(1);
  followProject(client, server.projectId, numbers);
  await eventually("all, for offsets went with the subscription", () => numbers.length === 3);
  await stateIs(client, "open");
  assert.deepEqual(numbers, [1, 1, 2]);
});

test("a connection that is lost while the storage is being read leaves the offset to the next one", async (t) => {
  const server = await LiveServer.start(t);
  await server.feed.publish(3);
  const relay = await Relay.start(t, server.prism.url);
  const reads: ((offset: string) => void)[] = [];
  const storage = {
    get: () => new Promise<string>((resolve) => reads.push(resolve)),
    set: () => undefined,
  };
  const { client, states } = startClient(t, { url: relay.url, token: server.apiKey, storage });
  const numbers: unknown[] = [];
  client.subscribe(`project:${server.projectId}`).on("event", ({ data }) => void numbers.push(data.payload["n"]));
  await eventually("the first read", () => reads.length === 1);
  relay.cut();
  await eventually("open again", () => states.filter(({ state }) => state === "open").length === 2);
  for (const answer of reads) answer("0");
  await eventually("all that was missed", () => numbers.length === 3);
  assert.deepEqual(numbers, [1, 2, 3]);
});

test("opened resolves when the server has confirmed the subscription: what is published then arrives", async (t) => {
  const server = await LiveServer.start(t);
  const { client } = startClient(t, { url: server.prism.url, token: server.apiKey });
  const { numbers, subscription } = followProject(client, server.projectId);
  assert.equal(subscription.isOpen, false);
  await subscription.opened;
  assert.equal(subscription.isOpen, true);
  await server.feed.publish(5);
  await eventually("all", () => numbers.length === 5);
  await subscription.close();
  assert.equal(subscription.isOpen, false);
});
