import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { UserAdmin } from "../../src/services/access/user-admin.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { openBeside } from "../helpers/store.ts";
import { numbersOf } from "./support/live-client.ts";
import { LiveServer, PROJECT_PROTOCOLS, PROTOCOLS } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

for (const protocol of PROTOCOLS) {
  describe(`${protocol.name}: rights that end while connected`, () => {
    test("a service token that is revoked ends its connections, not its user's others", async (t) => {
      const server = await LiveServer.start(t);
      const { services, adminToken } = server.prism;
      const { body: me } = await server.prism.get<{ id: string }>("/api/v1/users/me");
      const admin = new UserAdmin(services.audit, services.clock);
      const issued = await services.db.write((trx) => admin.createToken({ userId: me.id, name: "CI" }, trx));
      const client = await server.connect(protocol, { token: issued.token });
      const other = await server.connect(protocol, { token: adminToken });
      await services.db.write((trx) => admin.revokeToken(issued.id, trx));
      services.system.rightsChanged();
      assert.equal(await client.end, protocol.ends.unauthenticated);
      await server.feedOf(protocol).publish();
      await eventually("the other hears", () => numbersOf(other).length === 1);
    });

    test("D35: an account that is disabled by a command beside the server loses its connections", async (t) => {
      const server = await LiveServer.start(t);
      const uma = await makeUser(server.prism, "uma", ["Admin"]);
      const client = await server.connect(protocol, { token: uma.token });
      openBeside(t, join(server.prism.dir, "prism.db"))
        .prepare("update users set status = 'disabled' where id = ?")
        .run(uma.id);
      assert.equal(await client.end, protocol.ends.unauthenticated);
    });

    test("a server that stops says so to everybody, and takes nobody new", async (t) => {
      const server = await LiveServer.start(t);
      const clients = await Promise.all(Array.from({ length: 25 }, () => server.connect(protocol)));
      const { target } = server;
      const restarted = server.restart();
      for (const client of clients) assert.equal(await client.end, protocol.ends.restart);
      await restarted;
      await assert.rejects(fetch(`${target.url}/health`));
      const { connections } = server.prism.services.system;
      assert.deepEqual(connections.counts, { websocket: 0, pulse: 0, tasks: 0, sse: 0 });
    });
  });
}

for (const protocol of PROJECT_PROTOCOLS) {
  describe(`${protocol.name}: rights in a project that end while connected`, () => {
    test("a key that is revoked ends its connections, and no others", async (t) => {
      const server = await LiveServer.start(t);
      const { prism, projectId } = server;
      const path = `/api/v1/projects/${projectId}/keys`;
      const { body } = await prism.post<{ id: string; key: string }>(path, { name: "to be revoked" });
      const client = await server.connect(protocol, { token: body.key });
      const other = await server.connect(protocol, { token: server.apiKey });
      await prism.delete(`${path}/${body.id}`);
      assert.equal(await client.end, protocol.ends.unauthenticated);
      await server.feed.publish();
      await eventually("the other hears", () => numbersOf(other).length === 1);
    });

    test("a member who is removed is told nothing more of the project", async (t) => {
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

test("a native connection that loses one of its streams is closed: it cannot tell its client which", async (t) => {
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
