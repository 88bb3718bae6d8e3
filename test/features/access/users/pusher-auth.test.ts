import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";

/** The example of Pusher's own reference. */
const REFERENCE = { appId: "1", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" };
const SETTINGS = {
  "pusher.appId": REFERENCE.appId,
  "pusher.key": REFERENCE.key,
  "pusher.secret": REFERENCE.secret,
};
const PATH = "/api/v1/users/me/pusher-auth";

interface Auth {
  readonly auth: string;
  readonly channel_data?: string;
  readonly error?: { readonly code: string };
}

function signature(text: string): string {
  return `${REFERENCE.key}:${createHmac("sha256", REFERENCE.secret).update(text).digest("hex")}`;
}

function ask(prism: TestPrism, channel: string, token?: string) {
  const query = new URLSearchParams({ socket_id: "1234.1234", channel_name: channel });
  return prism.get<Auth>(`${PATH}?${query}`, token === undefined ? {} : { token });
}

test("S2-48, S2-126: GET and POST sign a channel as Pusher's reference has it, by query, JSON or form", async (t) => {
  keepsPromise(t, "S2-48");
  const prism = await startPrism(t, { settings: SETTINGS });
  const expected = `${REFERENCE.key}:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4`;
  const channel = { socket_id: "1234.1234", channel_name: "private-foobar" };
  const form = new URLSearchParams(channel).toString();
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  for (const [name, reply] of [
    ["GET", await ask(prism, "private-foobar")],
    ["JSON", await prism.post<Auth>(PATH, channel)],
    ["JSON with members of the client's own", await prism.post<Auth>(PATH, { ...channel, more: 1 })],
    ["a form", await prism.post<Auth>(PATH, form, { headers })],
    ["a form at the seed's path", await prism.post<Auth>("/pusher/auth", `${form}&more=1`, { headers })],
  ] as const)
    await t.test(name, () => assert.deepEqual([reply.status, reply.body], [200, { auth: expected }]));
});

test("a presence channel names its member, who cannot claim another identity", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const operator = await makeUser(prism, "operator", ["Operator"]);
  const given = { socket_id: "1.2", channel_name: "presence-lobby", channel_data: '{"user_id":"somebody else"}' };
  const { body } = await answered(200, prism.post<Auth>(PATH, given, { token: operator.token }));
  const data = JSON.parse(body.channel_data ?? "") as { user_id: string; user_info: { name: string } };
  assert.equal(data.user_id, operator.id);
  assert.equal(typeof data.user_info.name, "string");
  assert.equal(body.auth, signature(`1.2:presence-lobby:${body.channel_data}`));
});

test("S2-125: private-user-{id} is allowed for its user, private-project-{id} for members, others with realtime:publish", async (t) => {
  keepsPromise(t, "S2-125");
  const prism = await startPrism(t, { settings: SETTINGS });
  const ann = await makeUser(prism, "ann", ["User"]);
  const bob = await makeUser(prism, "bob", ["User"]);
  const shop = await makeProject(prism);
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: ann.id, role: "viewer" });
  const may = async (token: string | undefined, channel: string): Promise<boolean> => {
    const { status, body } = await ask(prism, channel, token);
    if (status === 200) assert.equal(body.auth, signature(`1234.1234:${channel}`));
    else assert.deepEqual([status, body.error?.code], [403, "CHANNEL_FORBIDDEN"]);
    return status === 200;
  };
  const admin = undefined;
  for (const [name, token, channel, expected] of [
    ["one's own", ann.token, `private-user-${ann.id}`, true],
    ["another user's", bob.token, `private-user-${ann.id}`, false],
    ["another user's, for an administrator", admin, `private-user-${ann.id}`, false],
    ["a project of which one is a member", ann.token, `private-project-${shop.id}`, true],
    ["a project of others", bob.token, `private-project-${shop.id}`, false],
    ["a project by its slug", ann.token, "private-project-shop", false],
    ["a private channel", ann.token, "private-x", false],
    ["a private channel with realtime:publish", admin, "private-x", true],
    ["an encrypted channel without a master key", admin, "private-encrypted-x", false],
    ["a public channel", admin, "news", false],
  ] as const)
    await t.test(name, async () => assert.equal(await may(token, channel), expected));
});

test("an invalid socket or channel is refused before it is signed", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  for (const { name, body } of [
    { name: "no socket", body: { channel_name: "private-x" } },
    { name: "an invalid socket", body: { socket_id: "1234", channel_name: "private-x" } },
    { name: "a socket with trailing text", body: { socket_id: "1.2:private-y", channel_name: "private-x" } },
    { name: "no channel", body: { socket_id: "1.2" } },
    { name: "a channel with a colon", body: { socket_id: "1.2", channel_name: "private-x:y" } },
    { name: "a channel of 165 characters", body: { socket_id: "1.2", channel_name: `private-${"x".repeat(157)}` } },
    { name: "a list", body: [] },
  ])
    await t.test(name, async () => {
      const { status, body: reply } = await prism.post<Auth>(PATH, body);
      assert.deepEqual([status, reply.error?.code], [400, "VALIDATION_FAILED"]);
    });
  const twice = await prism.get<Auth>(`${PATH}?socket_id=1.2&socket_id=1.3&channel_name=private-x`);
  assert.equal(twice.body.error?.code, "VALIDATION_FAILED");
});

test("S2-84: without configured credentials the server has its own, the same after a restart, kept encrypted", async (t) => {
  const prism = await startPrism(t);
  const { appId, key, secret } = prism.parts.offers.pusher;
  assert.match(`${appId} ${key} ${secret}`, /^\d{6,7} [0-9a-f]{20} [0-9a-f]{32}$/);
  const { body } = await ask(prism, "private-x");
  const expected = createHmac("sha256", secret).update("1234.1234:private-x").digest("hex");
  assert.equal(body.auth, `${key}:${expected}`);
  await prism.restart();
  assert.deepEqual((await ask(prism, "private-x")).body, body);
  await prism.stop();
  for (const file of ["prism.db", "prism.db-wal"]) {
    const bytes = readIfThere(join(prism.dir, file));
    assert.equal(bytes.includes(secret), false);
    assert.equal(bytes.includes(key), false);
  }
});

function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}
