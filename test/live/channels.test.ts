import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { KeyScope } from "../../src/core/permissions.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { countOf, rowsOf } from "../helpers/tables.ts";
import { join, makeServiceToken } from "../http/support/access/makers.ts";
import { Refused } from "./support/live-client.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

interface Answer {
  readonly offset: number;
  readonly key: string;
  readonly ticket: string;
  readonly error?: { readonly code: string };
}

const PATH = "/api/v1/realtime/publish";
const as = (token: string) => ({ token });

function publish(prism: TestPrism, stream: string, data: unknown, options: Parameters<TestPrism["post"]>[2] = {}) {
  return prism.post<Answer>(PATH, { stream, type: "note", data }, options);
}

async function keyWith(prism: TestPrism, projectId: string, ...scopes: KeyScope[]): Promise<string> {
  return (await prism.post<Answer>(`/api/v1/projects/${projectId}/keys`, { scopes })).body.key;
}

async function follow(t: TestContext, prism: TestPrism, token: string, stream: string, from?: number) {
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, token);
  const answer = await client.ask({ op: "subscribe", id: "s", stream, ...(from === undefined ? {} : { from }) });
  return { client, answer };
}

const dataOf = (client: WebSocketClient): unknown[] => client.all({ op: "event" }).map(({ data }) => data);

test("entries published to a channel are stored and reach its followers", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "uma", ["Viewer"]);
  const { client, answer } = await follow(t, prism, token, "channel:alerts");
  assert.deepEqual([answer["op"], answer["stream"]], ["subscribed", "channel:alerts"]);
  const { client: other } = await follow(t, prism, token, "channel:other");
  const { status, body } = await publish(prism, "channel:alerts", { text: "Hello", __proto__x: [1] });
  assert.deepEqual([status, Object.keys(body)], [202, ["offset"]]);
  const { op, stream, offset, type, data } = await client.expect({ op: "event" });
  assert.deepEqual(
    { op, stream, offset, type, data },
    {
      op: "event",
      stream: "channel:alerts",
      offset: body.offset,
      type: "note",
      data: { text: "Hello", __proto__x: [1] },
    },
  );
  assert.deepEqual(rowsOf(prism, "select seq, stream, type from stream_log"), [
    { seq: body.offset, stream: "channel:alerts", type: "note" },
  ]);
  await publish(prism, "channel:other", 2);
  await other.expect({ op: "event" });
  assert.deepEqual(dataOf(other), [2], "each channel by itself");
});

test("a follower that was offline resumes from its offset, in order and without a gap, also after a restart", async (t) => {
  const prism = await startPrism(t);
  const offsets: number[] = [];
  for (let n = 1; n <= 150; n++) offsets.push((await publish(prism, "channel:feed", { n })).body.offset);
  assert.deepEqual(
    offsets,
    [...offsets].sort((a, b) => a - b),
  );
  await prism.restart();
  const { client } = await follow(t, prism, prism.adminToken, "channel:feed", offsets[9]);
  await publish(prism, "channel:feed", { n: 151 });
  await client.expect({ op: "event", offset: offsets[149] ?? 0 });
  const numbers = () => dataOf(client).map((data) => (data as { n: number }).n);
  await eventually("everything behind the tenth", () => numbers().length >= 141);
  assert.deepEqual(
    numbers(),
    Array.from({ length: 141 }, (_, i) => i + 11),
  );
});

test("channel:<id of the project default>/<name> is the same stream as channel:<name>", async (t) => {
  const prism = await startPrism(t);
  const long = `channel:${prism.parts.offers.projects.defaultId}/alerts`;
  const { client, answer } = await follow(t, prism, prism.adminToken, long);
  assert.equal(answer["stream"], "channel:alerts");
  assert.equal((await publish(prism, "channel:alerts", 1)).status, 202);
  assert.equal((await publish(prism, long, 2)).status, 202);
  await client.expect({ op: "event", data: 2 });
  assert.deepEqual(
    client.all({ op: "event" }).map(({ stream, data }) => [stream, data]),
    [
      ["channel:alerts", 1],
      ["channel:alerts", 2],
    ],
  );
  const { body } = await prism.post<Answer>("/api/v1/realtime/ticket", { stream: long });
  const bound = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws?ticket=${body.ticket}`);
  await bound.expect({ op: "welcome" });
  assert.equal((await bound.ask({ op: "subscribe", id: "1", stream: "channel:alerts" }))["op"], "subscribed");
  assert.equal((await bound.ask({ op: "subscribe", id: "2", stream: "channel:other" }))["op"], "error");
  assert.equal((await bound.ask({ op: "unsubscribe", id: "3", stream: long }))["stream"], "channel:alerts");
});

test("only members, and keys with realtime:subscribe, follow a project's channels", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const other = await makeProject(prism, "other");
  const member = await makeUser(prism, "member");
  await join(prism, shop.id, member.id, "viewer");
  const stranger = await makeUser(prism, "stranger", ["Operator"]);
  const stream = `channel:${shop.id}/orders`;
  for (const [name, token, op] of [
    ["a key of it with the scope", await keyWith(prism, shop.id, "realtime:subscribe"), "subscribed"],
    ["a member", member.token, "subscribed"],
    ["a key of it without the scope", await keyWith(prism, shop.id, "events:read"), "error"],
    ["another project's key", await keyWith(prism, other.id, "realtime:subscribe"), "error"],
    ["an Operator who is not a member", stranger.token, "error"],
  ] as const)
    await t.test(name, async (t) => {
      const { client, answer } = await follow(t, prism, token, stream);
      assert.equal(answer["op"], op);
      await publish(prism, stream, name);
      if (op === "subscribed") await client.expect({ op: "event", stream, data: name });
      else assert.equal((answer["error"] as { code: string }).code, "CHANNEL_FORBIDDEN");
    });
  const { token } = await makeUser(prism, "other", ["User"]);
  const { answer } = await follow(t, prism, token, "channel:general");
  assert.equal((answer["error"] as { code: string }).code, "CHANNEL_FORBIDDEN", "the project default is closed");
  const reader = await follow(t, prism, stranger.token, "channel:general");
  assert.equal(reader.answer["op"], "subscribed", "events:read reads the project default");
});

test("who may publish where", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const other = await makeProject(prism, "other");
  const operator = await makeUser(prism, "operator", ["Operator"]);
  const member = await makeUser(prism, "member", ["Operator"]);
  await join(prism, shop.id, member.id, "editor");
  const viewer = await makeUser(prism, "viewer", ["Operator"]);
  await join(prism, shop.id, viewer.id, "viewer");
  const owner = await makeUser(prism, "owner", ["User"]);
  await join(prism, shop.id, owner.id, "owner");
  const scoped = await makeServiceToken(prism, operator.id, { scopes: ["events:read"] });
  const ofShop = { apiKey: await keyWith(prism, shop.id, "realtime:publish") };
  const ofDefault = { apiKey: await keyWith(prism, "default", "realtime:publish") };
  const general = "channel:alerts";
  const shops = `channel:${shop.id}/alerts`;
  const gone = `channel:${other.id}/alerts`;
  await prism.delete(`/api/v1/projects/${other.id}`);
  const before = countOf(prism, "stream_log");
  for (const { name, stream, caller, status, code } of [
    { name: "an Operator to the project default", stream: general, caller: as(operator.token), status: 202 },
    {
      name: "an Operator to a project without membership",
      stream: shops,
      caller: as(operator.token),
      status: 403,
      code: "CHANNEL_FORBIDDEN",
    },
    { name: "an Operator who is an editor", stream: shops, caller: as(member.token), status: 202 },
    {
      name: "an Operator who is a viewer",
      stream: shops,
      caller: as(viewer.token),
      status: 403,
      code: "CHANNEL_FORBIDDEN",
    },
    { name: "an Admin to any project", stream: shops, caller: {}, status: 202 },
    {
      name: "an owner without the permission",
      stream: shops,
      caller: as(owner.token),
      status: 403,
      code: "UNAUTHORIZED_ROLE",
    },
    {
      name: "a service token without the scope",
      stream: general,
      caller: as(scoped.token),
      status: 403,
      code: "UNAUTHORIZED_ROLE",
    },
    { name: "a key to its own project", stream: shops, caller: ofShop, status: 202 },
    { name: "a key to another's", stream: general, caller: ofShop, status: 403, code: "CHANNEL_FORBIDDEN" },
    { name: "a key of the project default", stream: general, caller: ofDefault, status: 202 },
    {
      name: "a key without the scope",
      stream: shops,
      caller: { apiKey: shop.apiKey },
      status: 403,
      code: "SCOPE_MISSING",
    },
    { name: "a project that was deleted", stream: gone, caller: {}, status: 403, code: "CHANNEL_FORBIDDEN" },
    { name: "a user stream", stream: "user:me", caller: {}, status: 403, code: "CHANNEL_FORBIDDEN" },
    { name: "a project stream", stream: `project:${shop.id}`, caller: {}, status: 403, code: "CHANNEL_FORBIDDEN" },
    { name: "no stream at all", stream: "alerts", caller: {}, status: 403, code: "CHANNEL_FORBIDDEN" },
    { name: "no caller", stream: general, caller: { token: null }, status: 401, code: "UNAUTHENTICATED" },
  ])
    await t.test(name, async () => {
      const reply = await publish(prism, stream, 1, caller);
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code], reply.text);
    });
  assert.equal(countOf(prism, "stream_log") - before, 5, "what was refused left nothing");
});

test("a published entry is any JSON up to 64 KiB, with a type, to a valid channel name", async (t) => {
  const prism = await startPrism(t);
  const to = (stream: string, more: object = {}) => prism.post<Answer>(PATH, { stream, type: "x", data: 1, ...more });
  for (const data of [null, 0, "text", [], {}, "x".repeat(65_534)])
    assert.equal((await to("channel:any", { data })).status, 202);
  const name = "n".repeat(128);
  assert.equal((await to(`channel:${name}`)).status, 202);
  assert.equal((await to("channel:a-Z_0=@,.;:9")).status, 202);
  const { client } = await follow(t, prism, prism.adminToken, `channel:${name}`, 0);
  await client.expect({ op: "event", stream: `channel:${name}` });
  for (const [why, reply, code] of [
    ["too long a name", await to(`channel:${name}n`), "CHANNEL_FORBIDDEN"],
    ["a space", await to("channel:a b"), "CHANNEL_FORBIDDEN"],
    ["no name", await to("channel:"), "CHANNEL_FORBIDDEN"],
    ["over 160", await to(`channel:${"n".repeat(160)}`), "VALIDATION_FAILED"],
    ["data over 64 KiB", await to("channel:a", { data: "x".repeat(65_535) }), "VALIDATION_FAILED"],
    ["no data", await prism.post<Answer>(PATH, { stream: "channel:a", type: "x" }), "VALIDATION_FAILED"],
    ["no type", await to("channel:a", { type: "" }), "VALIDATION_FAILED"],
    ["a type of 65", await to("channel:a", { type: "x".repeat(65) }), "VALIDATION_FAILED"],
  ] as const)
    assert.equal(reply.body.error?.code, code, why);
});

test("a connection by key ends when its project's right ends", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const key = (
    await prism.post<{ id: string; key: string }>(`/api/v1/projects/${shop.id}/keys`, {
      scopes: ["realtime:subscribe"],
    })
  ).body;
  const { client, answer } = await follow(t, prism, key.key, `channel:${shop.id}/a`);
  assert.equal(answer["op"], "subscribed");
  await prism.delete(`/api/v1/projects/${shop.id}/keys/${key.id}`);
  assert.equal((await client.end).code, 4401);
  await assert.rejects(WebSocketClient.welcomed(t, prism.wsUrl, key.key), Refused);
});
