import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { SpawnedServer } from "../../../live/support/spawned-server.ts";
import { Client, ENVIRONMENT } from "./support/flow-client.ts";
import type { MessageBody, PageBody } from "./support/mailbox.ts";

test("8.7 the process is killed again and again while messages are on their way: each is delivered, and once", async (t) => {
  const server = await SpawnedServer.start(t, ENVIRONMENT);
  let [ann, bob] = [
    await new Client(server.target.url).register("ann"),
    await new Client(server.target.url).register("bob"),
  ];
  const accepted: string[] = [];
  const attempted = new Set<string>();
  const sendUntilDown = async (): Promise<void> => {
    for (let n = 0; ; n++) {
      const content = `${attempted.size}`;
      attempted.add(content);
      const body = { recipient_id: bob.id, content, delayMs: (n * 7) % 120 };
      const reply = await ann.call<MessageBody>("POST", "/messages", body).catch(() => undefined);
      if (!reply) return;
      assert.equal(reply.status, 202);
      accepted.push(reply.body.id);
    }
  };
  for (let kills = 0; kills < 5; kills++) {
    const before = accepted.length;
    const down = Promise.all([sendUntilDown(), sendUntilDown(), sendUntilDown()]);
    await eventually("some were accepted", () => accepted.length >= before + 10 + kills * 3, 60_000);
    await server.kill();
    await down;
    await server.run();
    ann = await new Client(server.target.url).logIn("ann");
    bob = await new Client(server.target.url).logIn("bob");
  }
  const socket = await bob.follow(t, "earliest");
  const received = (): string[] =>
    socket.all({ op: "event", type: "message" }).map(({ data }) => (data as MessageBody).id);
  await eventually("every accepted message has come", () => accepted.every((id) => received().includes(id)), 60_000);
  const waiting = async (): Promise<number> => {
    const states = ["scheduled", "queued", "delivering", "retrying"];
    const pages = states.map((status) => ann.call<PageBody>("GET", `/messages?box=sent&status=${status}&page=1`));
    return (await Promise.all(pages)).reduce((sum, { body }) => sum + (body.total ?? 0), 0);
  };
  await eventually("none is stuck", async () => (await waiting()) === 0, 60_000);
  const ids = received();
  assert.equal(new Set(ids).size, ids.length, "none came twice");
  const contents = socket.all({ op: "event", type: "message" }).map(({ data }) => (data as MessageBody).content ?? "");
  assert.ok(contents.every((content) => attempted.has(content)));
  assert.equal((await ann.call<PageBody>("GET", "/messages?box=sent&status=dead&page=1")).body.total, 0);
});
