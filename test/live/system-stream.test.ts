import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { ModuleDir, moduleText, startWith } from "../features/plugins/support/module-dir.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { makeServiceToken } from "../http/support/access/makers.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

async function follow(t: TestContext, prism: TestPrism, token: string, from: number | string = "latest") {
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, token);
  return { client, answer: await client.ask({ op: "subscribe", id: "s", stream: "system", from }) };
}

const told = (client: WebSocketClient) => client.all({ op: "event" }).map(({ type, data }) => [type, data]);

test("S2-97: only holders of system:status follow the stream system, by any credential, and no caller can publish to it", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const vera = await makeUser(prism, "vera", ["Viewer"]);
  const { apiKey } = await makeProject(prism);
  const { token: carries } = await makeServiceToken(prism, vera.id, { scopes: ["system:status"] });
  const { token: lacks } = await makeServiceToken(prism, vera.id, { scopes: ["events:read"] });
  for (const [name, token, expected] of [
    ["a viewer", vera.token, "subscribed"],
    ["a service token for it", carries, "subscribed"],
    ["a service token for something else", lacks, "error"],
    ["a user", uma.token, "error"],
    ["an API key", apiKey, "error"],
  ] as const)
    await t.test(name, async (t) => {
      const { answer } = await follow(t, prism, token);
      assert.equal(answer["op"], expected);
      if (expected === "error") assert.equal((answer["error"] as { code: string }).code, "CHANNEL_FORBIDDEN");
    });
  await t.test("a ticket for it opens it alone", async () => {
    const path = "/api/v1/realtime/ticket";
    assert.equal((await prism.post(path, { stream: "system" }, { token: vera.token })).status, 201);
    assert.equal((await prism.post(path, { stream: "system" }, { token: uma.token })).status, 403);
  });
  await t.test("an Admin cannot publish to it, and a module cannot either", async () => {
    const entry = { stream: "system", type: "job.dead", data: {} };
    assert.equal((await prism.post("/api/v1/realtime/publish", entry)).status, 403);
    await assert.rejects(prism.parts.offers.realtime.publish("system", "job.dead", {}), TypeError);
  });
});

test("the stream system reports the start and end of conditions, live and in its history", async (t) => {
  const prism = await startPrism(t);
  const { client } = await follow(t, prism, prism.adminToken);
  const { parts } = prism;
  const { queueControl } = parts.offers;
  const { storage } = parts.base;
  const { circuits } = parts.offers;
  let problem: "disk" | null = "disk";
  t.mock.getter(storage, "problem", () => problem);
  await client.expect({ type: "storage.low" });
  problem = null;
  await client.expect({ type: "storage.recovered" });
  await queueControl.pause("messages");
  await client.expect({ type: "queue.paused" });
  await queueControl.resume("messages");
  await client.expect({ type: "queue.resumed" });
  const email = circuits.ofHost("email", "mail.example.com");
  email.open(new Error("it is down"));
  await client.expect({ type: "provider.paused" });
  email.answered();
  await client.expect({ type: "provider.resumed" });
  parts.base.bus.emit("job:dead", { id: "1", queue: "messages", kind: "message.deliver", error: "inner words" });
  await client.expect({ type: "job.dead" });
  const expected = [
    ["storage.low", { freeBytes: storage.freeBytes }],
    ["storage.recovered", {}],
    ["queue.paused", { queue: "messages" }],
    ["queue.resumed", { queue: "messages" }],
    ["provider.paused", { channel: "email" }],
    ["provider.resumed", { channel: "email" }],
    ["job.dead", { id: "1", queue: "messages", kind: "message.deliver" }],
  ];
  assert.deepEqual(
    told(client).map(([type]) => type),
    expected.map(([type]) => type),
  );
  assert.deepEqual(told(client).slice(1), expected.slice(1));

  await t.test("a thousand dead jobs make fifty entries and a count", async () => {
    for (let n = 0; n < 1000; n++) parts.base.bus.emit("job:dead", { id: String(n), queue: "q", kind: "k" });
    const more = await client.expect({ type: "jobs.dead" });
    assert.deepEqual(more["data"], { more: 950 });
    assert.equal(client.all({ type: "job.dead" }).length, 51);
  });

  await t.test("a client that resumes reads that the server stopped", async (t) => {
    const last = client.all({ op: "event" }).at(-1)?.["offset"] as number;
    await queueControl.pause("messages");
    await prism.restart();
    const { client: next } = await follow(t, prism, prism.adminToken, last);
    await next.expect({ type: "server.stopping" });
    await next.expect({ type: "queue.paused" });
    const types = told(next).map(([type]) => type);
    // A queue paused before the stop is reported by the check before it, or not; by the one after
    // the start it is.
    assert.equal(types.at(-1), "queue.paused");
  });
});

test("the stream system reports a module that failed to load, and its recovery", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("shop", moduleText("shop", "throw new Error('shelves are empty');"));
  const prism = await startWith(t, modules);
  const { client } = await follow(t, prism, prism.adminToken, "earliest");
  const { data } = await client.expect({ type: "module.failed" });
  const { name, error } = data as { name: string; error: string };
  assert.deepEqual([name, error.includes("shelves are empty")], ["shop", true]);
  modules.put("shop", moduleText("shop", ""));
  await prism.post("/api/v1/modules/shop/reload");
  assert.deepEqual((await client.expect({ type: "module.recovered" }))["data"], { name: "shop" });
});
