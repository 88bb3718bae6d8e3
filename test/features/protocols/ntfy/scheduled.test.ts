import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { dueAtOf } from "../../../../src/features/protocols/ntfy/delay.ts";
import { Positions } from "../../../../src/features/protocols/ntfy/subscribe/positions.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { openBeside } from "../../../helpers/store.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { type NtfyClient, startNtfy } from "./support/api.ts";

const texts = async (ntfy: NtfyClient, query = ""): Promise<string[]> =>
  (await ntfy.poll("t", query)).map(({ message = "" }) => message);

/** Lets what is due by the clock be sent. */
const checkDue = (ntfy: NtfyClient): Promise<void> => ntfy.prism.parts.offers.ntfy.publisher.due.check();

test("a delay is read as a time, a duration or English", async () => {
  // A Thursday.
  const now = Date.UTC(2026, 9, 15, 8, 0, 0);
  const at = (text: string, zone = "UTC") => dueAtOf(text, now, zone).then((due) => new Date(due).toISOString());
  for (const [text, expected] of [
    [String(now / 1000 + 60), "2026-10-15T08:01:00.000Z"],
    ["10s", "2026-10-15T08:00:10.000Z"],
    ["1h30m", "2026-10-15T09:30:00.000Z"],
    ["1.5h", "2026-10-15T09:30:00.000Z"],
    ["30 min", "2026-10-15T08:30:00.000Z"],
    ["2 HOURS", "2026-10-15T10:00:00.000Z"],
    ["3 days", "2026-10-18T08:00:00.000Z"],
    ["3d", "2026-10-18T08:00:00.000Z"],
    ["in 2 hours", "2026-10-15T10:00:00.000Z"],
    ["tomorrow, 10am", "2026-10-16T10:00:00.000Z"],
    ["tomorrow 3pm", "2026-10-16T15:00:00.000Z"],
    ["10am", "2026-10-15T10:00:00.000Z"],
    ["7am", "2026-10-16T07:00:00.000Z"],
    ["Saturday, 7am", "2026-10-17T07:00:00.000Z"],
    ["friday at noon", "2026-10-16T12:00:00.000Z"],
  ] as const)
    assert.equal(await at(text), expected, text);
  assert.equal(await at("tomorrow, 10am", "Europe/Berlin"), "2026-10-16T08:00:00.000Z");
  for (const [text, code] of [
    ["9s", 40005],
    [String(now / 1000 - 60), 40005],
    ["73h", 40006],
    ["next year", 40006],
    ["", 40004],
    ["whenever", 40004],
    ["1h nonsense", 40004],
  ] as const)
    await assert.rejects(at(text), { ntfyCode: code }, text);
});

test("a scheduled message is sent at its time, once, also after a restart, and since finds it", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const { body: scheduled } = await ntfy.publish("t", "later", { In: "30s", Title: "T" });
  assert.equal(scheduled.time, Math.floor((clock.now() + 30_000) / 1000));
  const { body: now } = await ntfy.publish("t", "now");
  const socket = await ntfy.socket(t, "/t/ws").opened();
  assert.deepEqual([await texts(ntfy), await texts(ntfy, "&scheduled=1")], [["now"], ["now", "later"]]);
  await ntfy.prism.restart();
  const again = await ntfy.socket(t, "/t/ws").opened();
  clock.advance(31_000);
  await checkDue(ntfy);
  await eventually("it is sent", () => again.messages.length === 1);
  assert.deepEqual([again.messages, socket.messages], [["later"], []]);
  assert.deepEqual(again.events.at(-1), JSON.parse(JSON.stringify(scheduled)));
  assert.deepEqual(
    [await texts(ntfy), await texts(ntfy, `&since=${now.id}`)],
    [["now", "later"], ["later"]],
    "stored earlier, sent later",
  );
  await ntfy.prism.restart();
  await checkDue(ntfy);
  assert.deepEqual(await texts(ntfy), ["now", "later"]);
  const { body } = await ntfy.prism.get<{ data: { payload: { message: string } }[] }>(
    "/api/v1/events?type=ntfy.message",
  );
  assert.deepEqual(body.data.map(({ payload }) => payload.message).sort(), ["later", "now"]);
});

test("a dead man's switch: a message of the same sequence replaces the waiting one, a delete cancels it", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  for (const text of ["down 1", "down 2", "down 3"]) {
    await ntfy.send("POST", "/t/heartbeat", { body: text, headers: { In: "5m" } });
    clock.advance(60_000);
    await checkDue(ntfy);
  }
  await ntfy.send("POST", "/t/other", { body: "other", headers: { In: "5m" } });
  assert.deepEqual(await texts(ntfy, "&scheduled=1"), ["down 3", "other"]);
  assert.equal((await ntfy.send("DELETE", "/t/other")).body.event, "message_delete");
  clock.advance(300_000);
  await checkDue(ntfy);
  assert.deepEqual(rowsWith(await ntfy.poll("t"), "event", "message"), [
    ["message_delete", undefined],
    ["message", "down 3"],
  ]);
});

test("what a member scheduled ends when the member is removed, and what a key scheduled ends with the key; others' is sent", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const { prism } = ntfy;
  const shop = await makeProject(prism);
  const users = await Promise.all(["ben", "uma"].map((name) => makeUser(prism, name, ["User"])));
  const [ben, uma] = users as [(typeof users)[0], (typeof users)[0]];
  for (const { id: userId } of users)
    assert.equal((await prism.post(`/api/v1/projects/${shop.id}/members`, { userId, role: "editor" })).status, 201);
  const topic = { projectId: shop.id, name: "t", kind: "messages" };
  assert.equal((await prism.post("/api/v1/ntfy/topics", topic)).status, 201);
  const keys = `/api/v1/projects/${shop.id}/keys`;
  const key = (await prism.post<{ id: string; key: string }>(keys, { name: "job" })).body;
  for (const [text, token] of [
    ["ben's", ben.token],
    ["uma's", uma.token],
    ["of a key that ends", key.key],
    ["of a key", shop.apiKey],
  ] as const)
    assert.equal((await ntfy.publish("t", text, { In: "30s" }, { auth: `Bearer ${token}` })).status, 200, text);
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}/members/${ben.id}`)).status < 300, true);
  assert.equal((await prism.delete(`${keys}/${key.id}`)).status < 300, true);
  clock.advance(31_000);
  await checkDue(ntfy);
  assert.deepEqual((await texts(ntfy)).sort(), ["of a key", "uma's"]);
  assert.deepEqual((await texts(ntfy, "&scheduled=1")).sort(), ["of a key", "uma's"], "nothing waits");
});

test("messages that are due together are sent in few transactions; one that fails delays no other", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock, settings: { "rateLimit.enabled": "false" } });
  const ids: string[] = [];
  for (let n = 0; n < 130; n++) ids.push((await ntfy.publish("t", `m${n}`, { In: `${10 + n}s` })).body.id);
  const { database } = ntfy.prism.parts.base;
  const write = t.mock.method(database, "write");
  clock.advance(200_000);
  await checkDue(ntfy);
  assert.deepEqual((await texts(ntfy)).length, 130);
  assert.ok(write.mock.callCount() < 10, `${write.mock.callCount()} transactions`);
  write.mock.restore();

  const beside = openBeside(t, join(ntfy.prism.dir, "prism.db"));
  for (const n of [1, 2, 3]) await ntfy.publish("t", `next ${n}`, { In: `${10 + n}s` });
  beside.exec(`create trigger refuse before insert on stream_log when new.data like '%next 1%'
    begin select raise(abort, 'no'); end`);
  clock.advance(60_000);
  await checkDue(ntfy);
  assert.deepEqual((await texts(ntfy)).slice(130), ["next 2", "next 3"]);
  beside.exec("drop trigger refuse");
  clock.advance(1000);
  await checkDue(ntfy);
  assert.deepEqual((await texts(ntfy)).slice(130), ["next 2", "next 3", "next 1"]);
});

test("scheduled messages of several topics are listed by their time, and only the texts that are sent are read", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  for (const [topic, text, delay] of [
    ["a", "3", "30s"],
    ["a", "5", "50s"],
    ["b", "2", "20s"],
    ["b", "4", "40s"],
    ["c", "1", "10s"],
    ["c", "6", "60s"],
  ] as const)
    await ntfy.publish(topic, text, { In: delay });
  const { reader } = ntfy.prism.parts.base.store;
  let bodies = 0;
  const counting = {
    prepare(sql: string) {
      const statement = reader.prepare<unknown[], object>(sql);
      const all = (...parameters: unknown[]): object[] => {
        const rows = statement.all(...parameters);
        bodies += rows.filter((row) => "body" in row).length;
        return rows;
      };
      return { all, get: statement.get.bind(statement), iterate: statement.iterate.bind(statement) };
    },
  };
  const positions = new Positions(counting as unknown as typeof reader, clock, () => 60_000);
  const listed = positions
    .scheduled(["a", "b", "c"], 3)
    .map((text) => (JSON.parse(text) as { message: string }).message);
  assert.deepEqual([listed, bodies], [["1", "2", "3"], 3]);
});
