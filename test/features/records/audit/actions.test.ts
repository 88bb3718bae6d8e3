import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import WebSocket from "ws";
import {
  createServiceToken,
  createUser,
  revokeServiceToken,
} from "../../../../src/features/access/users/create-user.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { type Change, eachLeavesItsRecord } from "./support/recorded-changes.ts";

interface Made {
  id: string;
  keyId: string;
}

/**
 * What the changes work on: a project with a key, a rule, a notification, a decided event, a second
 * user.
 */
async function world(t: TestContext) {
  const prism = await startPrism(t);
  const { parts } = prism;
  const write = parts.base.database.write.bind(parts.base.database);
  const { id: uma } = await makeUser(prism, "uma");
  const post = async (path: string, body: object) => (await prism.post<Made>(`/api/v1${path}`, body)).body.id;
  const project = await post("/projects", { name: "shop" });
  const [key] = (await prism.get<{ data: Made[] }>(`/api/v1/projects/${project}/keys`)).body.data;
  const rule = await post("/rules", { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] });
  const note = await post("/notifications", { recipients: ["me"], title: "t", message: "m" });
  const event = await post("/events", { type: "x" });
  const token = await write((trx) =>
    createServiceToken(parts.base, { userId: parts.offers.devUserId ?? "", name: "old" }, trx),
  );
  return { prism, parts, write, uma, project, key: key?.id ?? "", rule, note, event, token: token.id };
}

type World = Awaited<ReturnType<typeof world>>;

const api = (path: string) => `/api/v1${path}`;

/** In an order in which each finds what it needs. */
const CHANGES: readonly Change<World>[] = [
  {
    action: "rule.create",
    resourceType: "rule",
    run: ({ prism }) => prism.post(api("/rules"), { name: "n", condition: "true", targetUsers: ["me"] }),
  },
  {
    action: "rule.update",
    resourceType: "rule",
    run: ({ prism, rule }) => prism.patch(api(`/rules/${rule}`), { priority: 3 }),
  },
  {
    action: "project.create",
    resourceType: "project",
    run: ({ prism }) => prism.post(api("/projects"), { name: "another" }),
  },
  {
    action: "project.update",
    resourceType: "project",
    run: ({ prism, project }) => prism.patch(api(`/projects/${project}`), { name: "renamed" }),
  },
  {
    action: "member.add",
    resourceType: "project",
    run: ({ prism, project }) => prism.post(api(`/projects/${project}/members`), { userId: "uma", role: "viewer" }),
  },
  {
    action: "member.update",
    resourceType: "project",
    run: ({ prism, project, uma }) => prism.patch(api(`/projects/${project}/members/${uma}`), { role: "editor" }),
  },
  {
    action: "member.remove",
    resourceType: "project",
    run: ({ prism, project, uma }) => prism.delete(api(`/projects/${project}/members/${uma}`)),
  },
  {
    action: "key.create",
    resourceType: "apiKey",
    run: ({ prism, project }) => prism.post(api(`/projects/${project}/keys`), { name: "k" }),
  },
  {
    action: "key.rotate",
    resourceType: "apiKey",
    run: ({ prism, project, key }) => prism.post(api(`/projects/${project}/keys/${key}/rotate`), { graceMs: 60_000 }),
  },
  {
    action: "key.revoke",
    resourceType: "apiKey",
    run: ({ prism, project, key }) => prism.delete(api(`/projects/${project}/keys/${key}`)),
  },
  {
    action: "user.register",
    resourceType: "user",
    run: ({ parts, write }) =>
      write((trx) => createUser(parts.base, { username: "new-one", roles: ["User"] }, trx)).catch(String),
  },
  {
    action: "token.create",
    resourceType: "serviceToken",
    run: ({ parts, write }) =>
      write((trx) => createServiceToken(parts.base, { userId: parts.offers.devUserId ?? "", name: "t" }, trx)).catch(
        String,
      ),
  },
  {
    action: "token.revoke",
    resourceType: "serviceToken",
    run: ({ parts, write, token }) => write((trx) => revokeServiceToken(parts.base, token, trx)).catch(String),
  },
  {
    action: "notification.sent",
    resourceType: "notification",
    run: ({ prism }) => prism.post(api("/notifications"), { recipients: ["me", "uma"], title: "t", message: "m" }),
  },
  {
    action: "notification.acknowledged",
    resourceType: "notification",
    run: ({ prism, note }) => prism.put(api(`/notifications/${note}/acknowledge`), { note: "seen" }),
  },
  {
    action: "notification.webview",
    resourceType: "notification",
    run: ({ prism, note }) => prism.post(api(`/notifications/${note}/webview-action`), { action: "open" }),
  },
  {
    action: "job.reprocess",
    resourceType: "event",
    run: ({ prism, event }) => prism.post(api(`/events/${event}/reprocess`)),
  },
  { action: "rule.delete", resourceType: "rule", run: ({ prism, rule }) => prism.delete(api(`/rules/${rule}`)) },
  {
    action: "project.delete",
    resourceType: "project",
    run: ({ prism, project }) => prism.delete(api(`/projects/${project}`)),
  },
  {
    action: "audit.export",
    resourceType: "audit",
    isOnlyRecorded: true,
    run: ({ prism }) => prism.get(api("/audit/export")),
  },
  { action: "dev.token", resourceType: "user", run: ({ prism }) => prism.get("/dev/token", { token: null }) },
];

test("S2-55 S2-105 every critical action leaves its record in the transaction of the change: without the record there is no change", async (t) => {
  keepsPromise(t, ["S2-105", "S2-55"]);
  await eachLeavesItsRecord(t, await world(t), CHANGES);
});

test("the trail holds ids and counts, never a mail address, a name, a note or a secret", async (t) => {
  const { prism, parts, write, note } = await world(t);
  const secretive = { email: "carla@example.org", name: "Carla Bley", username: "carla" };
  await write((trx) => createUser(parts.base, { ...secretive, roles: [] }, trx));
  const { body: key } = await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "Secret project" });
  await prism.put(api(`/notifications/${note}/acknowledge`), { note: "my private note" });
  await prism.post(api(`/notifications/${note}/webview-action`), { metadata: { password: "hunter2" } });
  const trail = JSON.stringify(rowsOf(prism, "select metadata, actor, resourceId from audit_log"));
  for (const secret of [...Object.values(secretive), key.apiKey, "Secret project", "private", "hunter2"])
    assert.ok(!trail.includes(`${secret}"`) && !trail.includes(`"${secret}`), secret);
});

test("S2-105 a delivery is recorded once per notification, when it has reached all recipients, with their number", async (t) => {
  keepsPromise(t, "S2-105");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const listen = async (token: string): Promise<void> => {
    const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${token}` } });
    t.after(() => socket.terminate());
    let heard = "";
    socket.on("open", () => socket.send('{"op":"subscribe","id":"1","stream":"user:me"}'));
    socket.on("message", (text: Buffer) => {
      heard += text.toString();
    });
    await eventually("it is subscribed", () => heard.includes('"subscribed"'));
  };
  await listen(prism.adminToken);
  const note = { recipients: ["me", "uma"], title: "t", message: "m" };
  const { body } = await prism.post<{ id: string }>("/api/v1/notifications", note);
  const toldOne = () => rowsOf(prism, "select 1 from notification_recipients where delivered = 1").length === 1;
  await eventually("one has been told", toldOne);
  const recorded = () =>
    rowsOf<Record<string, unknown>>(prism, "select * from audit_log where action = 'notification.delivered'");
  assert.deepEqual(recorded(), []);
  await prism.get("/api/v1/notifications/missed?ack=true", { token: uma.token });
  await eventually("all recipients are notified", () => recorded().length > 0);
  await prism.get("/api/v1/notifications/missed?ack=true", { token: uma.token });
  await prism.parts.base.store.committer.settled();
  const [row, ...more] = recorded();
  assert.deepEqual(
    [row?.["resourceId"], JSON.parse(String(row?.["metadata"])), JSON.parse(String(row?.["actor"])), more.length],
    [body.id, { channel: "in_app", recipients: 2 }, { type: "system" }, 0],
  );
  assert.equal((await prism.get<{ ok: boolean }>("/api/v1/audit/verify")).body.ok, true);
});
