import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { SpawnedServer } from "../../../live/support/spawned-server.ts";
import type { Message, WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { Client, ENVIRONMENT } from "./support/flow-client.ts";
import type { MessageBody, PageBody, StatusBody } from "./support/mailbox.ts";

function firstMessage(socket: WebSocketClient): Promise<Message> {
  return eventually("a message", () => socket.all({ op: "event", type: "message" })[0], 60_000);
}

test("S4-25 from registration to the read message: people log in, one writes, the other gets it live and reads it", async (t) => {
  keepsPromise(t, "S4-25");
  const server = await SpawnedServer.start(t, ENVIRONMENT);
  const { url } = server.target;
  const [ann, bob] = [await new Client(url).register("ann"), await new Client(url).register("bob")];
  assert.equal((await new Client(url).call("POST", "/messages", { recipient_id: bob.id, content: "x" })).status, 401);
  const socket = await bob.follow(t);

  const body = { recipient_id: bob.id, content: "See you at eight", delayMs: 300 };
  const sent = await ann.call<MessageBody>("POST", "/messages", body);
  assert.deepEqual([sent.status, sent.body.status], [202, "scheduled"]);
  const { id } = sent.body;
  const nextHour = await ann.call<MessageBody>("POST", "/messages", { ...body, delayMs: 3_600_000 });
  assert.equal((await bob.call("GET", `/messages/${nextHour.body.id}`)).status, 404);
  const heard = await firstMessage(socket);
  assert.equal((heard["data"] as MessageBody).content, "See you at eight");
  const list = await bob.call<PageBody>("GET", "/messages?limit=20&offset=0");
  assert.deepEqual([list.body.total, list.body.data[0]?.content], [1, "See you at eight"]);
  assert.equal((await bob.call("PATCH", `/api/v1/messages/${id}/read`)).status, 200);
  const { body: status } = await ann.call<StatusBody>("GET", `/messages/${id}/status`);
  assert.deepEqual(
    [status.status, status.queue, status.history.map((step) => step.status)],
    ["read", null, ["scheduled", "queued", "delivering", "delivered", "read"]],
  );

  // A message that waits is there after a kill, and comes to who was away.
  const later = await ann.call<MessageBody>("POST", "/messages", { ...body, content: "Or at nine", delayMs: 400 });
  await server.kill();
  await server.run();
  const back = await new Client(server.target.url).logIn("bob");
  const resumed = await back.follow(t, Number(heard["offset"]));
  const second = await firstMessage(resumed);
  const { id: secondId, content } = second["data"] as MessageBody;
  assert.deepEqual([secondId, content], [later.body.id, "Or at nine"]);
});
