import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import WebSocket from "ws";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";

interface Made {
  jobId: string;
  label: string;
  runAt: string;
  state: string;
  action: { type: string };
  error?: { code: string; details?: { path: string }[] };
}

const PATH = "/api/v1/time/trigger";
const clock = new FakeClock();
let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start({ clock });
});
after(() => prism.stop());

const stateOf = (jobId: string) => scalarOf<string>(prism, "select state from jobs where id = ?", jobId);

/**
 * Advances time: the runner waits by the real clock, and reads the fake one when it is notified of
 * jobs.
 */
function pass(ms: number): void {
  clock.advance(ms);
  prism.parts.offers.runner.enqueued([]);
}

async function done(jobId: string): Promise<void> {
  await eventually(`job ${jobId} has succeeded`, () => stateOf(jobId) === "succeeded");
}

test("S0-27 a timer is made of a label, a delay and an action, at either path", async (t) => {
  keepsPromise(t, "S0-27");
  const action = { type: "notify", payload: { userId: "me", title: "Tea", body: "It is ready." } };
  for (const path of [PATH, "/time/trigger"]) {
    const { body } = await answered(201, prism.post<Made>(path, { label: "tea", delayMs: 5000, action }));
    assert.match(body.jobId, /^[0-9a-f-]{36}$/);
    assert.deepEqual(body, {
      jobId: body.jobId,
      label: "tea",
      runAt: new Date(clock.now() + 5000).toISOString(),
      action: { type: "notify" },
      state: "scheduled",
    });
    const [row] = rowsOf<Record<string, unknown>>(prism, "select * from jobs where id = ?", body.jobId);
    assert.deepEqual(
      [row?.["queue"], row?.["kind"], row?.["label"], row?.["createdBy"], row?.["runAt"]],
      ["timers", "timer", "tea", prism.parts.offers.devUserId, clock.now() + 5000],
    );
    pass(4999);
    assert.equal(stateOf(body.jobId), "scheduled");
    pass(1);
    await done(body.jobId);
  }
});

test("S0-28 S1-01 a timer notifies a user after 5 seconds: on the live stream and in the list, under the request's correlation id", async (t) => {
  keepsPromise(t, "S1-01");
  const { id, token } = await makeUser(prism, "drinker");
  const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${token}` } });
  const heard: { title: string; kind: string }[] = [];
  let isSubscribed = false;
  socket.on("open", () => socket.send('{"op":"subscribe","id":"1","stream":"user:me"}'));
  socket.on("message", (text: Buffer) => {
    const message = JSON.parse(text.toString()) as { op: string; data?: { title: string; kind: string } };
    if (message.op === "subscribed") isSubscribed = true;
    if (message.op === "event" && message.data) heard.push(message.data);
  });
  await eventually("the socket is subscribed", () => isSubscribed);
  const { body } = await prism.post<Made>(
    "/time/trigger",
    {
      label: "demo",
      delayMs: 5000,
      action: { type: "notify", payload: { userId: "drinker", title: "Hi", body: "From the timer", data: { a: 1 } } },
    },
    { headers: { "X-Correlation-Id": "c-28" } },
  );
  pass(5000);
  await done(body.jobId);
  await eventually("the socket has heard", () => heard.length > 0);
  assert.deepEqual([heard.length, heard[0]?.title, heard[0]?.kind], [1, "Hi", "timer"]);
  socket.terminate();
  const list = await prism.get<{ data: Record<string, unknown>[] }>(`/notifications/${id}`, { token });
  const [note] = list.body.data;
  assert.deepEqual(
    [note?.["title"], note?.["message"], note?.["body"], note?.["data"], list.body.data.length],
    ["Hi", "From the timer", "From the timer", { a: 1 }, 1],
  );
  assert.deepEqual(rowsOf(prism, "select correlationId, createdAt from notifications where id = ?", note?.["id"]), [
    { correlationId: "c-28", createdAt: clock.now() },
  ]);
  assert.deepEqual(JSON.parse(String(scalarOf(prism, "select result from jobs where id = ?", body.jobId))), {
    notificationId: note?.["id"],
  });
});

test("S0-29 a timer emits a bus event after 2 seconds; the event `notify` reaches a user (D19)", async () => {
  const heard: unknown[] = [];
  const off = prism.parts.base.bus.on("notify", (payload, meta) => void heard.push([payload, meta]));
  const { id } = await makeUser(prism, "listener");
  const payload = { userId: "listener", title: "Bus!", body: "Over the bus" };
  const { body } = await prism.post<Made>(
    "/time/trigger",
    { label: "bus", delayMs: 2000, action: { type: "event", event: "notify", payload } },
    { headers: { "X-Correlation-Id": "c-29" } },
  );
  pass(2000);
  await done(body.jobId);
  await eventually("the bus has heard as well", () => heard.length === 1);
  await prism.parts.base.bus.idle();
  off();
  assert.deepEqual(heard, [[payload, { event: "notify", correlationId: "c-29" }]]);
  const list = await prism.get<{ data: { title: string; message: string }[] }>(`/notifications/${id}`);
  assert.deepEqual(rowsWith(list.body.data, "title", "message"), [["Bus!", "Over the bus"]]);
  assert.equal(scalarOf(prism, "select count(*) from events where type = 'notify'"), 0, "only with persist");
});

test("a timer with the event `notify` without a possible recipient is refused when it is created, and dead if that happens later", async () => {
  const onBus = (payload: object, more: object = {}) =>
    prism.post<Made & { error: { code: string; details: { path: string }[] } }>("/time/trigger", {
      label: "bus",
      delayMs: 1000,
      action: { type: "event", event: "notify", payload, ...more },
    });
  for (const [payload, path] of [
    [
      { userId: "gone", body: "no title" },
      { path: "action.payload.title", code: "REQUIRED", message: "is required" },
    ],
    [{ userId: 2, title: "t", body: "b" }, { path: "action.payload.userId" }],
  ] as const) {
    const { status, body } = await onBus(payload);
    assert.deepEqual([status, body.error.code], [400, "VALIDATION_FAILED"]);
    assert.deepEqual({ ...body.error.details[0], ...path }, body.error.details[0]);
  }
  const { id } = await makeUser(prism, "gone");
  const before = countOf(prism, "notifications");
  const made = [
    await onBus({ userId: "gone", title: "t", body: "b" }),
    await onBus({ userId: "gone", title: "t", body: "b" }, { persist: true }),
  ];
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", id).execute(),
  );
  prism.rightsChanged();
  const refused = await onBus({ userId: "gone", title: "t", body: "b" });
  assert.deepEqual([refused.status, refused.body.error.code], [422, "RECIPIENT_NOT_FOUND"]);
  pass(1000);
  for (const { body } of made) {
    const row = () =>
      rowsOf<{ state: string; lastError: string }>(prism, "select * from jobs where id = ?", body.jobId)[0];
    await eventually("it is dead", () => row()?.state === "dead");
    assert.match(row()?.lastError ?? "", /^RECIPIENT_NOT_FOUND/);
  }
  assert.equal(countOf(prism, "notifications"), before);
});

test("an event `notify` that persists notifies once and is stored once", async () => {
  const { id } = await makeUser(prism, "kept");
  const payload = { userId: "kept", title: "Kept", body: "b" };
  const action = { type: "event", event: "notify", payload, persist: true };
  const { body } = await prism.post<Made>("/time/trigger", { label: "bus", delayMs: 1000, action });
  pass(1000);
  await done(body.jobId);
  await prism.parts.base.bus.idle();
  assert.deepEqual(rowsOf(prism, "select id from events where type = 'notify'"), [{ id: body.jobId }]);
  assert.equal(countOf(prism, `notification_recipients where userId = '${id}'`), 1);
});

test("S0-10 S0-42 a module that listens reacts to the event of a timer; with persist it is also one of the project default, and meets its rules", async (t) => {
  keepsPromise(t, ["S0-10", "S0-42"]);
  const heard: unknown[] = [];
  const off = prism.parts.base.bus.on("report.due", (payload) => void heard.push(payload));
  await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'report.due'", targetUsers: ["me"] });
  const { body } = await prism.post<Made>(PATH, {
    label: "report",
    delayMs: 1000,
    action: { type: "event", event: "report.due", payload: { n: 7, __proto__x: 1 }, persist: true },
  });
  pass(1000);
  await done(body.jobId);
  await eventually("the bus has heard as well", () => heard.length === 1);
  off();
  const [event] = rowsOf<Record<string, unknown>>(prism, "select * from events where type = 'report.due'");
  assert.deepEqual(
    [event?.["id"], event?.["source"], JSON.parse(String(event?.["payload"])), event?.["projectId"]],
    [body.jobId, "timer", { n: 7, __proto__x: 1 }, scalarOf(prism, "select id from projects where slug = 'default'")],
  );
  assert.equal(scalarOf(prism, "select outcome from decisions where eventSeq = ?", event?.["seq"]), "fired");
});

test("a delay of nothing fires at once; one of a year waits", async () => {
  const action = { type: "event", event: "x" };
  const now = await prism.post<Made>(PATH, { label: "now", delayMs: 0, action });
  assert.equal(now.body.state, "ready");
  await done(now.body.jobId);
  const year = await prism.post<Made>(PATH, { label: "a year", delayMs: 31_536_000_000, action });
  assert.equal(year.body.runAt, new Date(clock.now() + 31_536_000_000).toISOString());
});

test("what a timer may not be made of is refused, and nothing is stored", async (t) => {
  const notify = { type: "notify", payload: { userId: "me", title: "t", body: "b" } };
  const event = { type: "event", event: "x" };
  const with_ = (more: object) => ({ label: "l", delayMs: 1, action: { ...notify, ...more } });
  const payload = (more: object) => with_({ payload: { ...notify.payload, ...more } });
  const jobs = () => scalarOf(prism, "select count(*) from jobs");
  const earlier = jobs();
  for (const { name, body, code = "VALIDATION_FAILED", status = 400, path } of [
    { name: "no label", body: { delayMs: 1, action: event }, path: "label" },
    { name: "an empty label", body: { label: "", delayMs: 1, action: event }, path: "label" },
    { name: "a label of 129", body: { label: "x".repeat(129), delayMs: 1, action: event }, path: "label" },
    { name: "no time", body: { label: "l", action: event }, path: "" },
    { name: "two times", body: { label: "l", delayMs: 1, runAt: "2030-01-01T00:00:00Z", action: event }, path: "" },
    { name: "a time without offset", body: { label: "l", runAt: "2030-01-01T00:00:00", action: event }, path: "runAt" },
    { name: "a zone without a pattern", body: { label: "l", delayMs: 1, timezone: "UTC", action: event }, path: "" },
    { name: "a channel with a space", body: { label: "l", delayMs: 1, action: { type: "message", channel: "a b" } } },
    {
      name: "a channel of 129",
      body: { label: "l", delayMs: 1, action: { type: "message", channel: "x".repeat(129) } },
      path: "action.channel",
    },
    { name: "a negative delay", body: { label: "l", delayMs: -1, action: event }, path: "delayMs" },
    { name: "half a millisecond", body: { label: "l", delayMs: 0.5, action: event }, path: "delayMs" },
    { name: "a delay in text", body: { label: "l", delayMs: "5s", action: event }, path: "delayMs" },
    { name: "over a year", body: { label: "l", delayMs: 31_536_000_001, action: event }, path: "delayMs" },
    { name: "no action", body: { label: "l", delayMs: 1 }, path: "action" },
    { name: "an unknown member", body: { label: "l", delayMs: 1, action: event, every: "day" } },
    { name: "an unknown action", body: { label: "l", delayMs: 1, action: { type: "explode" } } },
    { name: "an event without a name", body: { label: "l", delayMs: 1, action: { type: "event" } } },
    { name: "an event name with a space", body: { label: "l", delayMs: 1, action: { ...event, event: "a b" } } },
    { name: "an event name of 101", body: { label: "l", delayMs: 1, action: { ...event, event: "x".repeat(101) } } },
    { name: "a payload that is a list", body: { label: "l", delayMs: 1, action: { ...event, payload: [1] } } },
    {
      name: "a payload over 64 KiB",
      body: { label: "l", delayMs: 1, action: { ...event, payload: { text: "x".repeat(65_536) } } },
    },
    { name: "no text", body: with_({ payload: { userId: "me", title: "t" } }), path: "action.payload.body" },
    { name: "no title", body: with_({ payload: { userId: "me", body: "b" } }) },
    { name: "a title of 256", body: payload({ title: "x".repeat(256) }) },
    { name: "a text of 4001", body: payload({ body: "x".repeat(4001) }) },
    { name: "a sound that is not there", body: payload({ sound: "a.mp3" }), code: "SOUND_NOT_FOUND", status: 404 },
    { name: "a channel without provider", body: payload({ channels: ["email"] }), code: "NOT_CONFIGURED", status: 501 },
    {
      name: "an unknown id",
      body: payload({ userId: "0198c0de-0000-7000-8000-00000000dead" }),
      code: "RECIPIENT_NOT_FOUND",
      status: 422,
    },
  ])
    await t.test(name, async () => {
      const reply = await prism.post<Made>(PATH, body);
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code], reply.text);
      if (path !== undefined) assert.equal(reply.body.error?.details?.[0]?.path, path);
    });
  assert.equal(jobs(), earlier);
});

test("text of a timer's notification is cleaned as any other", async () => {
  const { body } = await prism.post<Made>(PATH, {
    label: "clean\u0000\u202e",
    delayMs: 0,
    action: { type: "notify", payload: { userId: "me", title: "e\u0301\u0007", message: "<b>a</b> < c" } },
  });
  assert.equal(body.label, "clean");
  await done(body.jobId);
  assert.deepEqual(
    rowsOf(
      prism,
      "select title, message from notifications where correlationId = (select correlationId from jobs where id = ?)",
      body.jobId,
    ),
    [{ title: "\u00e9", message: "<b>a</b> < c" }],
  );
});

test("D18: the recipient is meant when the timer is made; a later change of the name moves nothing", async () => {
  const { id } = await makeUser(prism, "renamed");
  const { body } = await prism.post<Made>(PATH, {
    label: "l",
    delayMs: 1000,
    action: { type: "notify", payload: { userId: "renamed", title: "for the first", body: "b" } },
  });
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ username: "other" }).where("id", "=", id).execute(),
  );
  await makeUser(prism, "renamed");
  pass(1000);
  await done(body.jobId);
  assert.deepEqual(
    rowsOf(
      prism,
      "select userId from notification_recipients r join notifications n on n.id = r.notificationId where n.title = 'for the first'",
    ),
    [{ userId: id }],
  );
});

test("while a timer of the same creator with the key waits, the new one is not created", async () => {
  const { token } = await makeUser(prism, "dora", ["Operator"]);
  const body = (label: string) => ({ label, delayMs: 1000, action: { type: "event", event: "x" }, dedupeKey: "k" });
  const first = await prism.post<Made>(PATH, body("first"));
  const again = await prism.post<Made>(PATH, body("again"));
  assert.deepEqual(again.body, first.body);
  const others = await prism.post<Made>(PATH, body("dora's"), { token });
  assert.notEqual(others.body.jobId, first.body.jobId);
  pass(1000);
  await done(first.body.jobId);
  assert.notEqual((await prism.post<Made>(PATH, body("later"))).body.jobId, first.body.jobId);
});
