import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { scalarOf } from "../helpers/tables.ts";
import { backendOf, MASTER_KEY, signedByBackend } from "./support/pusher-backend.ts";
import { PusherClient } from "./support/pusher-client.ts";
import { dataOf, establish, subscribe } from "./support/raw-pusher.ts";

const SETTINGS = { "pusher.encryptionMasterKey": MASTER_KEY };
const SECRET_TEXT = "nobody else reads this";

interface Auth {
  readonly auth: string;
  readonly shared_secret?: string;
  readonly error?: { readonly code: string };
}

function ask(prism: TestPrism, channel: string, token?: string) {
  return prism.post<Auth>("/pusher/auth", { socket_id: "1.2", channel_name: channel }, token ? { token } : {});
}

for (const channel of ["private-encrypted-room", "private-encrypted-cache-room"])
  test(`${channel}: official clients decrypt what official libraries encrypt, and the server keeps no plain text`, async (t) => {
    const prism = await startPrism(t, { settings: SETTINGS });
    const ours = await PusherClient.connect(t, prism);
    const theirs = await PusherClient.connect(t, prism, { options: signedByBackend(prism, { id: "ann" }) });
    for (const client of [ours, theirs]) await client.join(channel);
    await backendOf(prism).trigger(channel, "note", { text: SECRET_TEXT });
    await backendOf(prism).triggerBatch([{ channel, name: "batched", data: { n: 1 } }]);
    for (const client of [ours, theirs]) {
      assert.deepEqual(await client.expect("note"), { text: SECRET_TEXT });
      assert.deepEqual(await client.expect("batched"), { n: 1 });
    }
    assert.equal(scalarOf(prism, "select count(*) from stream_log where data like '%nobody else%'"), 0);
    const late = await PusherClient.connect(t, prism);
    await late.join(channel);
    if (channel.includes("-cache-")) assert.deepEqual(await late.expect("batched"), { n: 1 });
  });

test("the auth route returns the channel's key to admitted clients only, and none without a master key", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const plain = await makeUser(prism, "plain", ["User"]);
  const channel = "private-encrypted-a";
  const expected = createHash("sha256").update(channel).update(Buffer.from(MASTER_KEY, "base64")).digest("base64");
  const reply = await ask(prism, channel);
  assert.deepEqual([reply.status, reply.body.shared_secret], [200, expected]);
  const refused = await ask(prism, channel, plain.token);
  assert.deepEqual(
    [refused.status, refused.body.error?.code, refused.body.shared_secret],
    [403, "CHANNEL_FORBIDDEN", undefined],
  );
  assert.equal((await ask(prism, "private-a")).body.shared_secret, undefined);
  prism.services.realtime.authorizeChannel("private-encrypted-team-", () => true);
  assert.equal((await ask(prism, "private-encrypted-team-1", plain.token)).status, 200);

  const without = await startPrism(t);
  const none = await ask(without, channel);
  assert.deepEqual([none.status, none.body.error?.code], [403, "CHANNEL_FORBIDDEN"]);
  assert.match(none.text, /pusher\.encryptionMasterKey/);
});

test("clients send no events to encrypted channels", async (t) => {
  const prism = await startPrism(t);
  const [raw, other] = [await establish(t, prism), await establish(t, prism)];
  const channel = "private-encrypted-a";
  for (const each of [raw, other]) {
    const { auth } = backendOf(prism).authorizeChannel(each.socketId, channel);
    assert.equal((await subscribe(each, channel, { auth }))["event"], "pusher_internal:subscription_succeeded");
  }
  raw.client.send({ event: "client-x", channel, data: {} });
  assert.equal(dataOf(await raw.client.expect({ event: "pusher:error" }))["code"], 4300);
  await backendOf(prism).trigger("news", "e", "x");
  assert.equal(other.client.all({ event: "client-x" }).length, 0);
});
