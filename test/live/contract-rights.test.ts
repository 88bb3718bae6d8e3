import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { numbersOf } from "./support/live-client.ts";
import { LiveServer, PROJECT_PROTOCOLS, PROTOCOLS } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

/** Most of these wait for the server's next look at rights. */
const TOGETHER = { concurrency: true };

/** The right to one's own notifications cannot be taken away. */
for (const protocol of PROTOCOLS.filter(({ follows }) => follows !== "user")) {
  test(`${protocol.name}: a user who loses the role that allowed the stream receives nothing more`, async (t) => {
    const server = await LiveServer.start(t);
    const [uma, vic] = [await makeUser(server.prism, "uma", ["Admin"]), await makeUser(server.prism, "vic", ["Admin"])];
    const client = await server.connect(protocol, { token: uma.token });
    const other = await server.connect(protocol, { token: vic.token });
    const reply = await server.prism.patch(`/api/v1/users/${uma.id}`, { roles: ["Auditor"] });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(await client.end, protocol.ends.forbidden);
    await server.feedOf(protocol, vic.id).publish();
    await eventually("the other hears", () => numbersOf(other).length === 1);
    assert.deepEqual(numbersOf(client), []);
  });
}

for (const protocol of PROJECT_PROTOCOLS) {
  describe(`${protocol.name}: rights in a project that end while connected`, TOGETHER, () => {
    test("a removed member receives nothing more of the project", async (t) => {
      const server = await LiveServer.start(t);
      const { prism, projectId } = server;
      const uma = await makeUser(prism, "uma");
      const vic = await makeUser(prism, "vic");
      const members = `/api/v1/projects/${projectId}/members`;
      for (const { id } of [uma, vic]) await prism.post(members, { userId: id, role: "viewer" });
      const removed = await server.connect(protocol, { token: uma.token });
      const kept = await server.connect(protocol, { token: vic.token });
      await prism.patch(`${members}/${uma.id}`, { role: "editor" });
      await server.feed.publish();
      await eventually("both hear", () => numbersOf(removed).length === 1 && numbersOf(kept).length === 1);
      await prism.delete(`${members}/${uma.id}`);
      assert.equal(await removed.end, protocol.ends.forbidden);
      await server.feed.publish();
      await eventually("the other hears", () => numbersOf(kept).length === 2);
      assert.deepEqual(numbersOf(removed), [1]);
    });

    test("a project that is deleted ends its streams", async (t) => {
      const server = await LiveServer.start(t);
      const client = await server.connect(protocol);
      await server.prism.delete(`/api/v1/projects/${server.projectId}`);
      assert.equal(await client.end, protocol.ends.notFound);
    });
  });
}

test("a native connection that loses the right to one of its streams is closed", async (t) => {
  const server = await LiveServer.start(t);
  const { prism, projectId } = server;
  const uma = await makeUser(prism, "uma");
  await prism.post(`/api/v1/projects/${projectId}/members`, { userId: uma.id, role: "viewer" });
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, uma.token);
  await client.ask({ op: "subscribe", id: "1", stream: "user:me" });
  await client.ask({ op: "subscribe", id: "2", stream: `project:${projectId}` });
  const bystander = await server.connect(nativeProtocol, { token: server.apiKey });
  await prism.delete(`/api/v1/projects/${projectId}/members/${uma.id}`);
  assert.deepEqual(await client.end, { code: 4403, reason: "forbidden" });
  await server.feed.publish();
  await eventually("who may, hears", () => numbersOf(bystander).length === 1);
});
