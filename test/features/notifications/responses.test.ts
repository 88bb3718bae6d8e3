import assert from "node:assert/strict";
import test from "node:test";
import { io } from "socket.io-client";
import type { NotificationDetail as Note } from "../../../src/client/api-types.gen.ts";
import { crashImage } from "../../helpers/crash-image.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { rowsWith } from "../../helpers/values.ts";
import { statementsOf } from "../../store/support/statements-of.ts";

const PATH = "/api/v1/notifications";
const OPENED = {
  action: "open",
  url: "https://example.test/tickets/7",
  metadata: { screen: "detail", constructor: 1 },
};

async function send(prism: TestPrism, recipients: string[]): Promise<string> {
  return (await prism.post<Note>(PATH, { title: "t", message: "m", recipients })).body.id;
}

test("note, url and metadata are stored with the recipient, who reads them, as do holders of read_all", async (t) => {
  const prism = await startPrism(t);
  const [ann, bob] = [await makeUser(prism, "ann"), await makeUser(prism, "bob")];
  const id = await send(prism, ["ann", "bob"]);
  const acknowledge = (note?: string) =>
    prism.put<Note>(`${PATH}/${id}/acknowledge`, note === undefined ? {} : { note }, { token: ann.token });
  assert.equal((await acknowledge("restarted it, watching")).body.me.acknowledgeNote, "restarted it, watching");
  assert.equal((await acknowledge()).body.me.acknowledgeNote, "restarted it, watching", "no note leaves the note");
  assert.equal((await acknowledge("fixed")).body.me.acknowledgeNote, "fixed", "a new one replaces it");
  await prism.post(`${PATH}/${id}/webview-action`, OPENED, { token: bob.token });
  const seen = async (token: string) => (await prism.get<Note>(`${PATH}/${id}`, { token })).body;
  const [byAnn, byBob, byAdmin] = [await seen(ann.token), await seen(bob.token), await seen(prism.adminToken)];
  assert.deepEqual(
    rowsWith(byAnn.responses, "userId", "note", "webviewAction"),
    [[ann.id, "fixed", null]],
    "one's own only",
  );
  const { at, ...opened } = byBob.me.webviewAction ?? { at: "" };
  assert.deepEqual(opened, OPENED);
  assert.ok(Date.parse(at) > 0);
  assert.deepEqual(byAdmin.responses, [byAnn.responses[0], byBob.responses[0]]);
  const listed = await prism.get<{ data: Note[] }>(PATH, { token: ann.token });
  assert.equal(listed.body.data[0]?.me.acknowledgeNote, "fixed");
  const explained = await prism.get(`/api/v1/explain/notification/${id}`);
  assert.match(explained.text, /"acknowledgeNote":"fixed"/);
  const audited = rowsOf<{ metadata: string }>(
    prism,
    "select metadata from audit_log where action like 'notification.%'",
  );
  assert.doesNotMatch(JSON.stringify(audited), /restarted|fixed|tickets|detail/, "the audit trail holds no texts");
});

test("the same webview action again is logged, and neither stored nor published again", async (t) => {
  const prism = await startPrism(t);
  const { id: userId, token } = await makeUser(prism, "ann");
  const id = await send(prism, ["ann"]);
  for (const body of [OPENED, OPENED, { ...OPENED, action: "buy" }])
    assert.equal((await prism.post(`${PATH}/${id}/webview-action`, body, { token })).status, 201);
  const published = rowsOf<{ data: string }>(
    prism,
    "select data from stream_log where stream = ? and type = 'notification.updated' order by seq",
    `user:${userId}`,
  );
  const actions = published.map(({ data }) => (JSON.parse(data) as Note).me.webviewAction?.action);
  assert.deepEqual(actions, ["open", "buy"]);
  assert.equal(rowsOf(prism, "select 1 from audit_log where action = 'notification.webview'").length, 3);
});

test("another device of the user receives the note with notification:acknowledged", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "ann");
  const id = await send(prism, ["ann"]);
  const socket = io(prism.url, { auth: { token }, transports: ["websocket"] });
  t.after(() => socket.disconnect());
  const received: Note[] = [];
  socket.on("notification:acknowledged", (note: Note) => received.push(note));
  await new Promise((resolve) => socket.once("ready", resolve));
  await prism.put(`${PATH}/${id}/acknowledge`, { note: "on it" }, { token });
  await eventually("the other device has it", () => received.length === 1);
  assert.equal(received[0]?.me.acknowledgeNote, "on it");
});

test("pages of missed notifications with ack give each notification once, in a loop without pauses", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "ann");
  for (let i = 0; i < 25; i++) await send(prism, ["ann"]);
  const next = async () => (await prism.get<{ data: Note[] }>(`${PATH}/missed?ack=true&limit=10`, { token })).body.data;
  const seen: Note[] = [];
  for (let page = await next(); page.length > 0; page = await next()) seen.push(...page);
  assert.equal(seen.length, 25);
  assert.equal(new Set(seen.map(({ id }) => id)).size, 25);
  assert.ok(
    seen.every(({ me }) => me.delivered),
    "the answer shows them as delivered",
  );
});

test("what missed?ack=true answered stays delivered when the process is killed after the answer", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "ann");
  await send(prism, ["ann"]);
  await prism.get(`${PATH}/missed?ack=true`, { token });
  const dir = await crashImage(t, prism);
  const again = await startPrism(t, { dir });
  const { body } = await again.get<{ data: Note[] }>(`${PATH}/missed`, { token });
  assert.deepEqual(body.data, []);
});

test("what a recipient does is one update of the row, which is read outside of the writer", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "ann");
  const id = await send(prism, ["ann"]);
  const statements: string[] = [];
  const { port } = prism.parts.base.store;
  const ask = port.ask.bind(port);
  port.ask = (request) => {
    statements.push(...statementsOf(request));
    return ask(request);
  };
  const asked = async (action: () => Promise<{ status: number }>) => {
    statements.length = 0;
    assert.ok((await action()).status < 300);
    const ofRow = statements.filter((sql) => /update "notification_recipients"|"notifications" as "n"/.test(sql));
    return ofRow.map((sql) => sql.split(" ")[0]);
  };
  const path = `${PATH}/${id}`;
  const acknowledge = () => prism.put(`${path}/acknowledge`, { note: "on it" }, { token });
  assert.deepEqual(await asked(acknowledge), ["update"]);
  assert.deepEqual(await asked(acknowledge), []);
  assert.deepEqual(await asked(() => prism.post(`${path}/webview-action`, OPENED, { token })), ["update"]);
  assert.deepEqual(await asked(() => prism.delete(path, { token })), ["update"]);
});
