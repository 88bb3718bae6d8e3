import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { scalarOf } from "../helpers/tables.ts";
import { type Message, WebSocketClient } from "./support/web-socket-client.ts";

interface Person {
  readonly id: string;
  readonly token: string;
}

async function follow(
  t: test.TestContext,
  prism: TestPrism,
  { token }: Person,
  options: Message = {},
): Promise<WebSocketClient> {
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, token);
  await client.ask({ op: "subscribe", id: "sub", stream: "user:me", ...options });
  return client;
}

async function notify(prism: TestPrism, { id }: Person, title: string): Promise<string> {
  const { body, status } = await prism.post<{ id: string; data: { id: string }[] }>("/api/v1/notifications", {
    recipients: [id],
    title,
    message: "m",
  });
  assert.ok(status < 300, JSON.stringify(body));
  return body.id;
}

const titlesOf = (client: WebSocketClient): unknown[] =>
  client.all({ op: "event", type: "notification" }).map(({ data }) => (data as { title: string }).title);

const offsetsOf = (client: WebSocketClient): number[] =>
  client.all({ op: "event" }).map(({ offset }) => Number(offset));

function isDelivered(prism: TestPrism, offset: unknown): boolean {
  return scalarOf<number>(prism, "select delivered from notification_recipients where seq = ?", offset) === 1;
}

test("all changes of a notification arrive on its user's stream, on all devices, in one order", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const phone = await follow(t, prism, uma);
  const laptop = await follow(t, prism, uma);
  const other = await follow(t, prism, vic);
  const as = { token: uma.token };
  const path = "/api/v1/notifications";
  const [first, second, third] = [
    await notify(prism, uma, "one"),
    await notify(prism, uma, "two"),
    await notify(prism, uma, "three"),
  ];
  await prism.patch(`${path}/${first}/read`, undefined, as);
  await prism.put(`${path}/${second}/acknowledge`, undefined, as);
  await prism.post(`${path}/${second}/webview-action`, { action: "open", url: "https://example.com/x" }, as);
  await prism.delete(`${path}/${second}`, as);
  await prism.post(`${path}/read-all`, undefined, as);

  const wanted = [
    ["notification", "one"],
    ["notification", "two"],
    ["notification", "three"],
    ["notification.read", first],
    ["unread-count", 2],
    ["notification.acknowledged", second],
    ["unread-count", 1],
    ["notification.updated", second],
    ["notification.deleted", second],
    ["notification.read", true],
    ["unread-count", 0],
  ];
  await eventually(
    "everything",
    () => offsetsOf(phone).length >= wanted.length && offsetsOf(laptop).length >= wanted.length,
  );
  const told = phone.all({ op: "event" }).map(({ type, data }) => {
    const { title, count, all, id } = data as Record<string, unknown>;
    return [type, type === "notification" ? title : (count ?? all ?? id)];
  });
  assert.deepEqual(told, wanted);
  assert.deepEqual(laptop.texts.slice(2), phone.texts.slice(2), "both the same, in the same order");
  assert.deepEqual(
    offsetsOf(phone),
    [...new Set(offsetsOf(phone))].sort((a, b) => a - b),
  );
  assert.equal(third.length, 36);
  assert.deepEqual(offsetsOf(other), [], "no other user receives it");
});

test("S0-41: the action notify of a timer is saved and reaches the live socket", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const client = await follow(t, prism, uma);
  const reply = await prism.post("/api/v1/time/trigger", {
    label: "tea",
    delayMs: 10,
    action: { type: "notify", payload: { userId: uma.id, title: "Tea", body: "is ready" } },
  });
  assert.ok(reply.status < 300, reply.text);
  const { data, type, stream } = await client.expect({ op: "event" });
  assert.deepEqual([type, stream], ["notification", `user:${uma.id}`]);
  const { id, title, body } = data as { id: string; title: string; body: string };
  assert.deepEqual([title, body], ["Tea", "is ready"]);
  const list = await prism.get<{ data: { id: string }[] }>("/api/v1/notifications", { token: uma.token });
  assert.deepEqual(
    list.body.data.map((notification) => notification.id),
    [id],
  );
});

test("S1-03: a user's stream resumes by offset: from the start, after an entry, and beyond the head", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  // More than a page of the history, other users' between them, and entries of both tables the
  // stream is made of.
  for (let i = 1; i <= 120; i++) {
    const id = await notify(prism, uma, `${i}`);
    if (i % 20 === 0) {
      await prism.patch(`/api/v1/notifications/${id}/read`, undefined, { token: uma.token });
      await notify(prism, vic, "not hers");
    }
  }
  const all = await follow(t, prism, uma, { from: "earliest" });
  await notify(prism, uma, "121");
  await eventually("all", () => titlesOf(all).length === 121);
  assert.deepEqual(
    titlesOf(all),
    Array.from({ length: 121 }, (_, i) => `${i + 1}`),
  );
  const offsets = offsetsOf(all);
  assert.equal(offsets.length, 121 + 2 * 6);
  assert.deepEqual(
    offsets,
    offsets.toSorted((a, b) => a - b),
  );

  const from = offsets[70] ?? 0;
  const behind = await follow(t, prism, uma, { from });
  await eventually("the rest", () => offsetsOf(behind).length === offsets.length - 71);
  assert.deepEqual(offsetsOf(behind), offsets.slice(71));

  const head = offsets.at(-1) ?? 0;
  const beyond = await follow(t, prism, uma, { from: head + 5 });
  await eventually("all again", () => offsetsOf(beyond).length === offsets.length);
  assert.deepEqual(beyond.messages[2], { op: "gap", stream: `user:${uma.id}`, from: head + 5, to: 0 });
  assert.deepEqual(all.all({ op: "gap" }).concat(behind.all({ op: "gap" })), []);
});

test("an offset that is given but not announced yet is no unknown one: nothing is sent again", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  await notify(prism, uma, "old");
  const from = prism.parts.base.store.committer.sequences.streams.next();
  const client = await follow(t, prism, uma, { from });
  await notify(prism, uma, "new");
  await eventually("the new one", () => titlesOf(client).length > 0);
  assert.deepEqual(titlesOf(client), ["new"]);
  assert.deepEqual(client.all({ op: "gap" }), []);
});

test("S2-66: an entry that a socket accepted counts as delivered, unless its client acknowledges entries itself", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const taking = await follow(t, prism, uma);
  await notify(prism, uma, "taken");
  const { offset } = await taking.expect({ op: "event" });
  await eventually("it counts as delivered", () => isDelivered(prism, offset));

  const acknowledging = await follow(t, prism, vic, { ack: true });
  for (const title of ["1", "2", "3"]) await notify(prism, vic, title);
  await eventually("all three", () => titlesOf(acknowledging).length === 3);
  const [first, second, third] = offsetsOf(acknowledging);
  const acked = await acknowledging.ask({ op: "ack", id: "a", stream: `user:${vic.id}`, offset: second ?? 0 });
  assert.deepEqual(acked, { op: "acked", id: "a", stream: `user:${vic.id}`, offset: second });
  // Marks ride with the next write set.
  await notify(prism, uma, "another");
  await eventually("the first two count", () => isDelivered(prism, first) && isDelivered(prism, second));
  assert.equal(isDelivered(prism, third), false);
  const missed = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications/missed", { token: vic.token });
  assert.deepEqual(
    missed.body.data.map(({ title }) => title),
    ["3"],
  );
});

test("S2-131: entries sent without a listener are undelivered until the client resumes", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  await notify(prism, uma, "missed");
  const missed = () => prism.get<{ data: { offset: number }[] }>("/api/v1/notifications/missed", { token: uma.token });
  const [entry] = (await missed()).body.data;
  assert.ok(entry);
  const client = await follow(t, prism, uma, { from: entry.offset - 1 });
  assert.equal((await client.expect({ op: "event" }))["offset"], entry.offset);
  await eventually("nothing is missed any more", async () => (await missed()).body.data.length === 0);
});
