import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject } from "../../../helpers/people.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { linesOf, type NtfyClient, startNtfy } from "./support/api.ts";

async function publishAll(ntfy: NtfyClient, topic: string, ...texts: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const text of texts) ids.push((await ntfy.publish(topic, text)).body.id);
  return ids;
}

test("each format begins with open, goes on with what is published, and shows it in its own way", async (t) => {
  const ntfy = await startNtfy(t);
  const [json, sse, raw] = [
    await ntfy.stream(t, "/a,b/json"),
    await ntfy.stream(t, "/a,b/sse"),
    await ntfy.stream(t, "/a,b/raw"),
  ];
  const socket = await ntfy.socket(t, "/a,b/ws").opened();
  const { body: first } = await ntfy.publish("a", "one\ntwo", { Title: "T" });
  await ntfy.publish("b", "three");
  await ntfy.send("DELETE", "/b/backup");
  await eventually(
    "all have everything",
    () =>
      [json, sse, raw].every(({ text }) => text.includes("three")) &&
      socket.texts.length === 4 &&
      json.events.length === 4 &&
      raw.text.split("\n").length === 5,
  );

  assert.equal(json.headers["content-type"], "application/x-ndjson; charset=utf-8");
  assert.deepEqual(rowsWith(json.events, "event", "topic"), [
    ["open", "a,b"],
    ["message", "a"],
    ["message", "b"],
    ["message_delete", "b"],
  ]);
  assert.deepEqual(json.events[1], JSON.parse(JSON.stringify(first)));
  assert.ok(!json.text.includes("\n\n"), "no empty line");
  assert.equal(json.events[3]?.sequence_id, "backup");

  assert.equal(sse.headers["content-type"], "text/event-stream; charset=utf-8");
  const blocks = sse.text.trimEnd().split("\n\n");
  assert.match(blocks[0] ?? "", /^event: open\ndata: \{"id":"\w{12}","time":\d+,"event":"open","topic":"a,b"\}$/);
  assert.equal(blocks[1], `data: ${JSON.stringify(first)}`);
  assert.match(blocks[3] ?? "", /^data: .*"event":"message_delete"/);

  assert.equal(raw.headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(raw.text, "\none two\nthree\n\n");

  assert.deepEqual(valuesOf(socket.events, "event"), ["open", "message", "message", "message_delete"]);
  assert.deepEqual(socket.events[1], JSON.parse(JSON.stringify(first)));
});

test("since in all forms, by poll and by stream", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const [one = ""] = await publishAll(ntfy, "t", "1");
  clock.advance(60_000);
  const [two = ""] = await publishAll(ntfy, "t", "2");
  const at = Math.floor(clock.now() / 1000);
  await publishAll(ntfy, "other", "x");
  await publishAll(ntfy, "t", "3");
  for (const [since, expected] of [
    ["", ["1", "2", "3"]],
    ["all", ["1", "2", "3"]],
    ["none", []],
    ["latest", ["3"]],
    [one, ["2", "3"]],
    [two, ["3"]],
    ["AAAAAAAAAAAA", ["1", "2", "3"]],
    [String(at), ["2", "3"]],
    [String(at + 60), []],
    ["30s", ["2", "3"]],
    ["1h30m", ["1", "2", "3"]],
  ] as const) {
    await t.test(`since=${since}`, async (t) => {
      const polled = await ntfy.poll("t", since === "" ? "" : `&since=${since}`);
      assert.deepEqual(valuesOf(polled, "message"), expected);
      if (since === "") return;
      const socket = await ntfy.socket(t, `/t/ws?since=${since}`).opened();
      const stream = await ntfy.stream(t, `/t/json?since=${since}`);
      await eventually(
        "the stored ones",
        () => socket.messages.length === expected.length && stream.messages.length === expected.length,
      );
      assert.deepEqual([socket.messages, stream.messages], [expected, expected]);
    });
  }
  for (const since of ["x", "12345678901234", "1d", "-1"]) {
    const { body } = await ntfy.send("GET", `/t/json?poll=1&since=${since}`);
    assert.equal(body.code, 40008, since);
  }
  assert.deepEqual(
    (await ntfy.poll("t,other", `&since=${two}`)).map(({ message }) => message).sort(),
    ["3", "x"],
    "an id of one topic serves all",
  );
});

test("messages that are stored but not announced yet do not move the start of a subscription", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const [one = ""] = await publishAll(ntfy, "t", "1", "2");
  const { base, core } = ntfy.prism.parts;
  const seq = core.hub.head({ kind: "ntfy", topic: "t" });
  const row = { ...{ sequenceId: "", dueAt: null, body: null, sender: null }, at: clock.now() };
  const stored = ["soonSoonSoon", "laterLater12"].flatMap((id, i) =>
    ["t", "new"].map((topic) => ({ ...row, id: id + topic, topic, seq: seq + 1 + i, expiresAt: clock.now() + 60_000 })),
  );
  await base.database.write((trx) => trx.insertInto("ntfy_messages").values(stored).execute());
  for (const [topic, since, expected] of [
    ["t", "latest", ["2"]],
    ["t", "all", ["1", "2"]],
    ["t", one, ["2"]],
    ["new", "all", []],
    ["new", "5s", []],
  ] as const)
    assert.deepEqual(valuesOf(await ntfy.poll(topic, `&since=${since}`), "message"), expected, `${topic} ${since}`);
});

test("anonymous polls of a long history are paid by the address: they wait in debt, lose nothing, and do not refuse publishes", async (t) => {
  const clock = new FakeClock();
  const settings = { "ntfy.anonymous": "read-write", "work.projectMsPerSecond": "1" };
  const ntfy = await startNtfy(t, { clock, settings });
  const texts = Array.from({ length: 100 }, (_, i) => `${i}`);
  await publishAll(ntfy, "long", ...texts);
  const polls = Array.from({ length: 6 }, () => ntfy.poll("long", "&since=all", { auth: null }));
  let done = 0;
  for (const poll of polls) void poll.then(() => done++);
  const { budget } = ntfy.prism.parts.core.hub;
  await eventually("debt", () => budget.waitMs({ principal: null, address: "127.0.0.1" }) > 0);
  assert.ok(done < polls.length, "the others wait");
  assert.equal((await ntfy.publish("long", "later", {}, { auth: null })).status, 200);
  await eventually("all have the history", () => {
    clock.advance(1000);
    return done === polls.length;
  });
  for (const poll of polls) {
    const messages = (await poll).filter(({ event }) => event === "message");
    assert.deepEqual(messages.map(({ message }) => message).slice(0, 100), texts);
  }
});

test("what has expired is not sent", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const { text } = await ntfy.send("POST", "/v1/account/token", { body: '{"expires":0}' });
  const auth = `Bearer ${(JSON.parse(text) as { token: string }).token}`;
  const [old = ""] = await publishAll(ntfy, "t", "old");
  clock.advance(12 * 3_600_000 + 1000);
  assert.deepEqual(await ntfy.poll("t", "", { auth }), []);
  await ntfy.send("POST", "/t", { body: "new", auth });
  assert.deepEqual(valuesOf(await ntfy.poll("t", `&since=${old}`, { auth }), "message"), ["new"]);
});

test("filters apply to messages of polls and streams", async (t) => {
  const ntfy = await startNtfy(t);
  await ntfy.publish("t", "m1", { Title: "A", Priority: "5", Tags: "x,y" });
  const { body } = await ntfy.publish("t", "m2", { Tags: "x" });
  for (const [query, expected] of [
    ["priority=5", ["m1"]],
    ["p=3,5", ["m1", "m2"]],
    ["priority=default", ["m2"]],
    ["tags=x", ["m1", "m2"]],
    ["tags=x,y", ["m1"]],
    ["title=A", ["m1"]],
    ["message=m2", ["m2"]],
    [`id=${body.id}`, ["m2"]],
  ] as const) {
    assert.deepEqual(valuesOf(await ntfy.poll("t", `&${query}`), "message"), expected, query);
  }
  const high = await ntfy.socket(t, "/t/ws?priority=high,urgent").opened();
  const stream = await ntfy.stream(t, "/t/json", { headers: { "X-Tags": "siren" } });
  await ntfy.publish("t", "low");
  await ntfy.publish("t", "loud", { Priority: "4", Tags: "siren" });
  await eventually("the loud one", () => high.messages.length > 0 && stream.messages.length > 0);
  assert.deepEqual([high.messages, stream.messages], [["loud"], ["loud"]]);
});

test("streams are kept open by keepalive, sockets by pings, and none ends by itself", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const [json, sse, raw] = [
    await ntfy.stream(t, "/t/json"),
    await ntfy.stream(t, "/t/sse"),
    await ntfy.stream(t, "/t/raw"),
  ];
  await eventually("open", () => json.events.length === 1);
  clock.advance(46_000);
  await eventually(
    "a keepalive each",
    () => json.events.length === 2 && sse.text.includes("event: keepalive") && raw.text === "\n\n",
  );
  assert.deepEqual(rowsWith(json.events, "event", "topic"), [
    ["open", "t"],
    ["keepalive", "t"],
  ]);
  assert.ok(!json.text.includes("\n\n"));
  assert.deepEqual([json.state, sse.state, raw.state], ["open", "open", "open"]);
});

test("a stop cuts the connections: no Close frame, no end of a body; since=<id> continues after the restart", async (t) => {
  const ntfy = await startNtfy(t);
  const stream = await ntfy.stream(t, "/t/json");
  const socket = await ntfy.socket(t, "/t/ws").opened();
  const [id = ""] = await publishAll(ntfy, "t", "before");
  await eventually("both have it", () => stream.messages.length === 1 && socket.messages.length === 1);
  await ntfy.prism.restart();
  await eventually("both are closed", () => stream.state !== "open" && socket.closed !== null);
  assert.equal(stream.state, "cut");
  assert.equal(socket.closed?.code, 1006, "the client has seen no Close frame");
  await publishAll(ntfy, "t", "after");
  const again = await ntfy.stream(t, `/t/json?since=${id}`);
  await eventually("the rest", () => again.messages.length === 1);
  assert.deepEqual(again.messages, ["after"]);
});

test("subscribers are cut when they lose the right, and when their topic gets another owner", async (t) => {
  const ntfy = await startNtfy(t);
  const shop = await makeProject(ntfy.prism);
  const auth = `Bearer ${shop.apiKey}`;
  const socket = await ntfy.socket(t, "/orders/ws", { auth }).opened();
  assert.equal((await ntfy.send("POST", "/orders", { auth, body: "m" })).status, 200);
  await eventually("the message of the key's project", () => socket.messages.length === 1);
  const stranger = await ntfy.socket(t, "/later/ws", { auth }).opened();
  await ntfy.publish("later", "of the default project");
  await eventually("the other project's listener is cut", () => stranger.closed);
  assert.deepEqual([stranger.messages, stranger.closed?.code], [[], 1006]);
  const { body } = await ntfy.prism.get<{ data: { id: string }[] }>(`/api/v1/projects/${shop.id}/keys`);
  const [key] = body.data;
  assert.equal((await ntfy.prism.delete(`/api/v1/projects/${shop.id}/keys/${key?.id}`)).status, 204);
  await eventually("the key's connection is cut", () => socket.closed);
});

test("a reader that does not read is bounded, and gets everything once it reads", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "rateLimit.enabled": "false" } });
  const socket = await ntfy.socket(t, "/t/ws").opened();
  const stream = await ntfy.stream(t, "/t/json");
  socket.socket.pause();
  stream.response.pause();
  const count = 1500;
  const text = "x".repeat(4000);
  for (let at = 0; at < count; at += 50)
    await Promise.all(Array.from({ length: 50 }, (_, i) => ntfy.publish("t", `${at + i} ${text}`)));
  socket.socket.resume();
  stream.response.resume();
  const numbers = (messages: readonly string[]) => messages.map((message) => Number.parseInt(message, 10));
  // The library cuts a stream without progress for 10 s, and the client continues from its last id.
  await eventually("the socket has all", () => socket.messages.length === count || socket.closed !== null);
  if (socket.closed === null)
    assert.deepEqual(
      numbers(socket.messages).sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
    );
  const rest = await ntfy.poll("t", `&since=${linesOf(stream.text).at(-1)?.id ?? "all"}`);
  assert.ok(rest.length <= count);
  await eventually("nothing is held", () => ntfy.prism.parts.core.bodies.bufferedBytes === 0);
});

test("several topics are sent by time, in a poll, since an id and to a stream; then live", async (t) => {
  const clock = new FakeClock();
  const ntfy = await startNtfy(t, { clock });
  const ids: string[] = [];
  for (const [topic, text] of [
    ["a", "a1"],
    ["b", "b1"],
    ["a", "a2"],
    ["b", "b2"],
    ["c", "c1"],
    ["a", "a3"],
  ] as const) {
    ids.push((await ntfy.publish(topic, text)).body.id);
    clock.advance(1100);
  }
  const texts = (messages: readonly { message?: string }[]) => messages.flatMap(({ message }) => message ?? []);
  assert.deepEqual(texts(await ntfy.poll("a,b,c")), ["a1", "b1", "a2", "b2", "c1", "a3"]);
  assert.deepEqual(texts(await ntfy.poll("c,b,a", `&since=${ids[1]}`)), ["a2", "b2", "c1", "a3"]);
  await ntfy.publish("c", "later", { In: "1h" });
  assert.deepEqual(texts(await ntfy.poll("a,c", "&scheduled=1")), ["a1", "a2", "c1", "a3", "later"]);
  const streams = [
    await ntfy.stream(t, "/b,a/json?since=all"),
    await ntfy.stream(t, `/b,a/json?since=${ids[0]}`),
  ] as const;
  const socket = await ntfy.socket(t, "/b,a/ws?since=all").opened();
  await eventually(
    "the stored ones",
    () => socket.texts.length > 5 && streams.every(({ events }) => events.length > 4),
  );
  await ntfy.publish("b", "live b");
  await ntfy.publish("a", "live a");
  const all = ["a1", "b1", "a2", "b2", "a3", "live b", "live a"];
  await eventually("the live ones", () => socket.texts.length === 8);
  assert.deepEqual(texts(socket.events), all);
  await eventually("in streams", () => streams[1].events.length === 7 && streams[0].events.length === 8);
  assert.deepEqual(texts(streams[0].events), all);
  assert.deepEqual(texts(streams[1].events), all.slice(1));
});

test("more stored messages of two topics than are held, to a client that reads slowly, arrive once each", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "rateLimit.enabled": "false" } });
  const count = 700;
  const filling = "x".repeat(3900);
  for (let i = 0; i < count; i++) await ntfy.publish(i % 2 === 0 ? "a" : "b", `${i} ${filling}`);
  const stream = await ntfy.stream(t, "/a,b/json?since=all");
  stream.response.pause();
  await ntfy.publish("a", "last");
  stream.response.resume();
  await eventually("all arrive", () => /"message":"last"\}\n/.test(stream.text));
  // A client that reads again gets keepalives between them.
  const texts = stream.events.flatMap(({ event, message = "" }) => (event === "message" ? [message] : []));
  assert.equal(texts.pop(), "last");
  assert.equal(texts.length, count);
  assert.equal(new Set(texts).size, count);
});
