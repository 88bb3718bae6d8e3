import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { openBeside } from "../../../helpers/store.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { startNtfy } from "./support/api.ts";

const COUNTS = `select (select count(*) from events where type = 'ntfy.message') as events,
  (select count(*) from ntfy_messages) as messages,
  (select count(*) from stream_log where stream = 'ntfy:t') as entries`;

test("messages at the same time: each has its event, which is decided, and all followers have the same order", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const { reader } = prism.parts.core;
  await ntfy.publish("t", "first");
  const { id: userId } = (await prism.get<{ id: string }>("/api/v1/users/me")).body;
  const condition = "event.type == 'ntfy.message' and event.payload.message == 'm 7'";
  const rule = await prism.post("/api/v1/rules", { name: "seven", condition, targetUsers: [userId] });
  assert.equal(rule.status, 201, rule.text);
  const socket = await ntfy.socket(t, "/t/ws").opened();

  const texts = Array.from({ length: 40 }, (_, n) => `m ${n}`);
  const replies = await Promise.all(texts.map((text) => ntfy.publish("t", text)));
  assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
  assert.deepEqual({ ...(reader.prepare(COUNTS).get() as object) }, { events: 41, messages: 41, entries: 41 });
  const undecided = reader.prepare("select count(*) from events where processedAt is null").pluck();
  await eventually("all are decided", () => undecided.get() === 0);
  const byRow = reader
    .prepare<[], { id: string; payload: string }>(
      `select m.id, e.payload from ntfy_messages m join events e on e.payload ->> 'id' = m.id order by m.seq`,
    )
    .all();
  assert.equal(byRow.length, 41, "each message has an event with its id");

  const order = byRow.slice(1).map(({ payload }) => (JSON.parse(payload) as { message: string }).message);
  assert.deepEqual([...order].sort(), [...texts].sort());
  await eventually("the socket has all", () => socket.messages.length === 40);
  assert.deepEqual(socket.messages, order);
  const polled = await ntfy.poll("t", "&since=all");
  assert.deepEqual(valuesOf(polled, "message"), ["first", ...order]);
  const inbox = (await prism.get<{ data: object[] }>("/api/v1/notifications")).body;
  assert.equal(inbox.data.length, 1, "the rule has notified once");
});

test("a message that SQL refuses is refused with its event and its entry, and the next one is stored", async (t) => {
  const ntfy = await startNtfy(t);
  const { core } = ntfy.prism.parts;
  await ntfy.publish("t", "first");
  const socket = await ntfy.socket(t, "/t/ws").opened();
  const beside = openBeside(t, join(ntfy.prism.dir, "prism.db"));
  beside.exec("create trigger refuse before insert on ntfy_messages begin select raise(abort, 'no'); end");
  assert.equal((await ntfy.publish("t", "second")).status, 500);
  assert.deepEqual({ ...(core.reader.prepare(COUNTS).get() as object) }, { events: 1, messages: 1, entries: 1 });
  beside.exec("drop trigger refuse");
  assert.equal((await ntfy.publish("t", "third")).status, 200);
  await eventually("the socket has it", () => socket.messages.length === 1);
  assert.deepEqual(socket.messages, ["third"]);
});
