import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { refusalOf, serverSdk, signedTarget } from "../../../helpers/pusher-rest.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";

interface Answer {
  readonly error?: { readonly code: string };
}

const HEADERS = { "Content-Type": "application/json" };

function post(prism: TestPrism, rest: string, body: string) {
  const app = prism.parts.offers.pusher;
  const target = signedTarget(app, `/apps/${app.appId}${rest}`, { method: "POST", body });
  return prism.post<Answer>(target, body, { token: null, headers: HEADERS });
}

const triggered = (prism: TestPrism) =>
  rowsOf(prism, "select stream, type, data from stream_log where stream <> 'system' order by seq");

test("S2-03, S2-114: the official server library triggers on channels and in batches, and all of it is in the log", async (t) => {
  const prism = await startPrism(t);
  const sdk = serverSdk(prism);
  const one = await sdk.trigger("news", "headline", { text: "Hello" });
  assert.deepEqual([one.status, await one.json()], [200, {}]);
  await sdk.trigger(["private-a", "presence-b", "private-a"], "twice", "as it is");
  const batch = await sdk.triggerBatch([
    { channel: "news", name: "first", data: { n: 1 } },
    { channel: "private-a", name: "second", data: "2", socket_id: "1.2" },
  ]);
  assert.deepEqual(await batch.json(), {});
  assert.deepEqual(triggered(prism), [
    { stream: "pusher:news", type: "headline", data: '"{\\"text\\":\\"Hello\\"}"' },
    { stream: "pusher:private-a", type: "twice", data: '"as it is"' },
    { stream: "pusher:presence-b", type: "twice", data: '"as it is"' },
    { stream: "pusher:news", type: "first", data: '"{\\"n\\":1}"' },
    { stream: "pusher:private-a", type: "second", data: '"2"' },
  ]);

  await t.test("what is answered is on disk: kill -9 and a restart have it", async (t) => {
    const before = triggered(prism);
    const killed = await startPrism(t, { dir: await crashImage(t, prism) });
    assert.deepEqual(triggered(killed), before);
    await prism.restart();
    assert.deepEqual(triggered(prism), before);
  });
});

test("S2-03: a hundred channels are one transaction, and calls that come together share one", async (t) => {
  const prism = await startPrism(t);
  const { db } = prism.services;
  let transactions = 0;
  const write = db.write.bind(db);
  t.mock.method(db, "write", (fn: Parameters<typeof write>[0]) => {
    transactions++;
    return write(fn);
  });
  const sdk = serverSdk(prism);
  const channels = Array.from({ length: 100 }, (_, at) => `c${at}`);
  await sdk.trigger(channels, "e", "x");
  assert.equal(transactions, 1);
  await Promise.all(channels.map((channel) => sdk.trigger(channel, "e", "x")));
  assert.equal(countOf(prism, "stream_log"), 200);
  assert.ok(transactions < 101, `${transactions} transactions`);
});

test("S2-03: what Pusher refuses is refused, with a code, and nothing of it is triggered", async (t) => {
  const prism = await startPrism(t);
  const event = { name: "e", channel: "news", data: "x" };
  const json = (value: unknown): string => JSON.stringify(value);
  const eleven = Array.from({ length: 11 }, () => event);
  const many = Array.from({ length: 101 }, (_, at) => `c${at}`);
  const bad = [400, "VALIDATION_FAILED"] as const;
  const tooLarge = [413, "PAYLOAD_TOO_LARGE"] as const;
  const malformed = [400, "MALFORMED_JSON"] as const;
  const single: readonly (readonly [string, string, readonly [number, string]])[] = [
    ["no JSON", "name=e", malformed],
    ["half an object", '{"name":"e"', malformed],
    ["33 levels", `${'{"a":'.repeat(32)}{}${"}".repeat(32)}`, malformed],
    ["a list", json([event]), bad],
    ["null", "null", bad],
    ["nothing", "{}", bad],
    ["__proto__ in place of members", `{"__proto__":${json(event)}}`, bad],
    ["no data", json({ ...event, data: undefined }), bad],
    ["data that are no string", json({ ...event, data: { a: 1 } }), bad],
    ["no name", json({ ...event, name: "" }), bad],
    ["a name of 201 characters", json({ ...event, name: "x".repeat(201) }), bad],
    ["a name of the server's own", json({ ...event, name: "pusher:error" }), bad],
    ["a name of the protocol's own", json({ ...event, name: "pusher_internal:member_added" }), bad],
    ["a name with half a character", '{"name":"\\ud800","channel":"news","data":"x"}', bad],
    ["a name with a NUL", json({ ...event, name: "a\u0000" }), bad],
    ["no channel", json({ ...event, channel: undefined }), bad],
    ["no channels", json({ name: "e", data: "x", channels: [] }), bad],
    ["a channel and channels", json({ ...event, channels: ["a"] }), bad],
    ["101 channels", json({ name: "e", data: "x", channels: many }), bad],
    ["a channel with a space", json({ ...event, channel: "a b" }), bad],
    ["a channel of 165 characters", json({ ...event, channel: "x".repeat(165) }), bad],
    ["one bad channel among good ones", json({ name: "e", data: "x", channels: ["a", "b:c"] }), bad],
    ["sendToUser without a user", json({ ...event, channel: "#server-to-user-" }), bad],
    ["sendToUser with a control character", json({ ...event, channel: "#server-to-user-a\u0000" }), bad],
    ["sendToUser with an id of 129 characters", json({ ...event, channel: `#server-to-user-${"x".repeat(129)}` }), bad],
    ["a socket that is none", json({ ...event, socket_id: "1" }), bad],
    ["an attribute that there is not", json({ ...event, info: "cost" }), bad],
    ["data of 10 KiB and a byte", json({ ...event, data: "x".repeat(10_241) }), tooLarge],
    ["data of 10 KiB and a byte in UTF-8", json({ ...event, data: "é".repeat(5121) }), tooLarge],
    ["a body of more than 1 MiB", json({ ...event, more: "x".repeat(1_048_576) }), tooLarge],
  ];
  for (const [name, body, expected] of single)
    await t.test(name, async () => {
      const reply = await post(prism, "/events", body);
      assert.deepEqual([reply.status, reply.body.error?.code], expected, reply.text);
    });
  for (const [name, body, expected] of [
    ["a batch of eleven", json({ batch: eleven }), bad],
    ["an empty batch", json({ batch: [] }), bad],
    ["a batch with one bad event", json({ batch: [event, { ...event, channel: "a b" }] }), bad],
    ["a batch with channels", json({ batch: [{ ...event, channel: undefined, channels: ["a"] }] }), bad],
    [
      "a batch with one event that is too large",
      json({ batch: [event, { ...event, data: "x".repeat(10_241) }] }),
      tooLarge,
    ],
  ] as const)
    await t.test(name, async () => {
      const reply = await post(prism, "/batch_events", body);
      assert.deepEqual([reply.status, reply.body.error?.code], expected, reply.text);
    });
  assert.equal(countOf(prism, "stream_log"), 0);
});

test("the largest event is taken, with members of the client's own, and data come as they were", async (t) => {
  const prism = await startPrism(t);
  const channel = "x".repeat(164);
  const data = "\u0001".repeat(10_240);
  const reply = await post(
    prism,
    "/events",
    JSON.stringify({ name: "n".repeat(200), channel, data, own: 1, info: "" }),
  );
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(triggered(prism), [
    { stream: `pusher:${channel}`, type: "n".repeat(200), data: JSON.stringify(data) },
  ]);
  const half = await post(
    prism,
    "/events",
    '{"name":"e","channel":"__proto__","data":"\\ud800","info":"subscription_count"}',
  );
  assert.deepEqual(JSON.parse(half.text), JSON.parse('{"channels":{"__proto__":{"subscription_count":0}}}'));
  assert.deepEqual(triggered(prism)[1], { stream: "pusher:__proto__", type: "e", data: '"\\ud800"' });
});

test("a full disk refuses triggers, and nothing is half done", async (t) => {
  const prism = await startPrism(t);
  t.mock.getter(prism.parts.base.storage, "problem", () => "disk");
  assert.deepEqual(await refusalOf(serverSdk(prism).trigger(["a", "b"], "e", "x")), [507, "STORAGE_FULL"]);
  assert.equal(countOf(prism, "stream_log"), 0);
});

test("what waits for the disk is bounded: a call beyond the limit gets Retry-After, all others are stored", async (t) => {
  const prism = await startPrism(t);
  const { db } = prism.services;
  const write = db.write.bind(db);
  const disk = deferred<void>();
  t.mock.method(db, "write", async (fn: Parameters<typeof write>[0]) => {
    await disk.promise;
    return write(fn);
  });
  const channels = Array.from({ length: 100 }, (_, at) => `c${at}`);
  const body = JSON.stringify({ name: "e", channels, data: "x".repeat(10_240) });
  const statuses: number[] = [];
  const calls = Array.from({ length: 17 }, async () => statuses.push((await post(prism, "/events", body)).status));
  await eventually("one is refused", () => statuses.length > 0);
  disk.resolve();
  await Promise.all(calls);
  assert.deepEqual([...statuses].sort(), [...Array.from({ length: 16 }, () => 200), 503]);
  assert.equal(countOf(prism, "stream_log"), 1600);
});
