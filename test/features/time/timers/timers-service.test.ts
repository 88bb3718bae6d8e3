import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";

const DAY = 86_400_000;
const DIGEST = {
  type: "notify",
  payload: { userId: "user-id", title: "Daily Digest", body: "Your summary." },
} as const;
const event = (name: string) => ({ type: "event", event: name, payload: {} }) as const;

async function server(t: TestContext) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await prism.parts.offers.schedules.due.check();
    prism.parts.offers.runner.enqueued([]);
  };
  return { prism, clock, pass, timer: prism.parts.offers.timer };
}

const stateOf = (prism: TestPrism, jobId: string) =>
  scalarOf<string>(prism, "select state from jobs where id = ?", jobId);
const done = (prism: TestPrism, jobId: string) =>
  eventually("it has fired", () => stateOf(prism, jobId) === "succeeded");
const waiting = (prism: TestPrism) =>
  rowsOf<{ label: string; id: string }>(prism, "select id, label from jobs where finishedAt is null order by seq");

test("S0-37 services.timer.after('daily-digest', 86_400_000, …) notifies a day later, although it is called at each start", async (t) => {
  keepsPromise(t, "S0-37");
  const { prism, timer, pass } = await server(t);
  const first = await timer.after("daily-digest", 86_400_000, DIGEST, { module: "my-module" });
  const again = await timer.after("daily-digest", 86_400_000, DIGEST, { module: "my-module" });
  assert.equal(again.jobId, first.jobId, "D20: module and label are the key");
  assert.deepEqual(rowsOf(prism, "select module, label, createdBy from jobs"), [
    { module: "my-module", label: "daily-digest", createdBy: null },
  ]);
  await pass(DAY - 1000);
  assert.equal(stateOf(prism, first.jobId), "scheduled");
  await pass(1000);
  await done(prism, first.jobId);
  assert.deepEqual(
    rowsOf(
      prism,
      `select n.title, n.message, u.externalId from notifications n join notification_recipients r on r.notificationId = n.id
       join users u on u.id = r.userId`,
    ),
    [{ title: "Daily Digest", message: "Your summary.", externalId: "user-id" }],
  );
});

test("S0-47 S0-42 S0-43 services.timer routes each action to what does it: a notification, an event, a message", async (t) => {
  const { prism, timer, pass, clock } = await server(t);
  const { bus: events } = prism.parts.base;
  const heard: unknown[] = [];
  events.on("my-module:due", (payload, meta) => void heard.push([meta.event, payload]));
  events.on("msg:alerts", (payload, meta) => void heard.push([meta.event, payload]));
  const made = [
    await timer.after("n", 1000, { type: "notify", payload: { recipients: ["a", "b"], title: "t", message: "m" } }),
    await timer.at("e", new Date(clock.now() + 2000), { type: "event", event: "my-module:due", payload: [1, 2] }),
    await timer.at("m", new Date(clock.now() + 3000).toISOString(), {
      type: "message",
      channel: "alerts",
      payload: "text",
    }),
  ];
  await pass(3000);
  for (const { jobId } of made) await done(prism, jobId);
  await eventually("the bus has heard both", () => heard.length === 2);
  assert.deepEqual(heard.sort(), [
    ["msg:alerts", "text"],
    ["my-module:due", [1, 2]],
  ]);
  assert.equal(countOf(prism, "notification_recipients"), 2);
  assert.deepEqual(rowsOf(prism, "select stream, data from stream_log where stream like 'channel:%'"), [
    { stream: "channel:alerts", data: '"text"' },
  ]);
});

test("D20: of a module's timers with one label the pending one stays, is replaced, or both stay", async (t) => {
  const { prism, timer, clock } = await server(t);
  const after = (delayMs: number, more: object = {}) =>
    timer.after("sync", delayMs, event("sync"), { module: "a", ...more });
  const first = await after(1000);
  const kept = await after(9000, { onConflict: "keep" });
  assert.deepEqual([kept.jobId, kept.runAt], [first.jobId, clock.now() + 1000]);
  const second = await after(5000, { onConflict: "replace" });
  assert.deepEqual([stateOf(prism, first.jobId), second.runAt], ["cancelled", clock.now() + 5000]);
  const third = await after(7000, { onConflict: "add" });
  assert.deepEqual(valuesOf(waiting(prism), "id"), [second.jobId, third.jobId]);
  const others = await timer.after("sync", 1, event("sync"), { module: "b" });
  assert.notEqual(others.jobId, second.jobId, "labels are each module's own");
});

test("D20: a timer that runs does not keep its successor from being made", async (t) => {
  const { prism, timer } = await server(t);
  const gate = deferred<void>();
  const { ingest } = prism.parts.offers;
  const real = ingest.ingest.bind(ingest);
  ingest.ingest = async (...parts) => {
    await gate.promise;
    return real(...parts);
  };
  const after = (delayMs: number, more: object = {}) =>
    timer.after("l", delayMs, { ...event("x"), persist: true }, { module: "a", ...more });
  const first = await after(0);
  await eventually("it runs", () => stateOf(prism, first.jobId) === "running");
  assert.equal((await after(1000)).jobId, first.jobId, "while it runs it stands for the next");
  const next = await after(1000, { onConflict: "replace" });
  assert.notEqual(next.jobId, first.jobId);
  gate.resolve();
  await done(prism, first.jobId);
  assert.equal(stateOf(prism, next.jobId), "scheduled");
});

test("a recurring timer of a module is one schedule, however often it starts, and changes on request", async (t) => {
  const { prism, timer, pass } = await server(t);
  const every = (cron: string, more: object = {}) =>
    timer.every("clean", cron, event("clean"), { module: "a", timezone: "Europe/Berlin", ...more });
  const first = await every("* * * * *");
  assert.equal(first.scheduleId, first.jobId);
  assert.equal((await every("0 0 * * *")).scheduleId, first.scheduleId);
  const heard: string[] = [];
  prism.parts.base.bus.on("clean", (_payload, meta) => void heard.push(meta.event));
  await pass(60_000);
  await eventually("it has fired", () => heard.length === 1);
  const replaced = await every("0 0 * * *", { onConflict: "replace" });
  assert.equal(replaced.scheduleId, first.scheduleId);
  const added = await every("0 1 * * *", { onConflict: "add" });
  assert.notEqual(added.scheduleId, first.scheduleId);
  assert.deepEqual(rowsOf(prism, "select cron, timezone, module, label from schedules order by cron"), [
    { cron: "0 0 * * *", timezone: "Europe/Berlin", module: "a", label: "clean" },
    { cron: "0 1 * * *", timezone: "Europe/Berlin", module: "a", label: "clean" },
  ]);
});

test("cancel takes an id, or all timers of a module with a label, and no other's", async (t) => {
  const { prism, timer } = await server(t);
  const own = { module: "a" };
  const byId = await timer.after("one", 1000, event("x"), own);
  const foreign = await timer.after("one", 1000, event("x"), { module: "b" });
  const general = await timer.after("one", 1000, event("x"));
  assert.equal(await timer.cancel(byId.jobId, own), true);
  assert.equal(await timer.cancel(byId.jobId, own), false, "it has ended");
  assert.equal(await timer.cancel(foreign.jobId, own), false);
  assert.equal(await timer.cancel("nothing", own), false);
  await timer.after("many", 1000, event("x"), { ...own, onConflict: "add" });
  await timer.after("many", 2000, event("x"), { ...own, onConflict: "add" });
  await timer.every("many", "0 0 * * *", event("x"), own);
  assert.equal(await timer.cancel("many", own), true);
  assert.equal(await timer.cancel("many", own), false);
  assert.equal(countOf(prism, "schedules"), 0);
  assert.deepEqual(valuesOf(waiting(prism), "id"), [foreign.jobId, general.jobId]);
  assert.equal(await timer.cancel("one"), true, "of no module");
  assert.deepEqual(valuesOf(waiting(prism), "id"), [foreign.jobId]);
});

test("all of it joins the caller's transaction, or is not there", async (t) => {
  const { prism, timer } = await server(t);
  const { database: db } = prism.parts.base;
  const { notify } = prism.parts.offers;
  const kept = await timer.after("kept", 1000, event("x"), { module: "a" });
  await assert.rejects(
    db.write(async (trx) => {
      await timer.after("l", 1000, DIGEST, { trx });
      await timer.every("l", "0 0 * * *", DIGEST, { trx });
      await timer.cancel(kept.jobId, { trx, module: "a" });
      await notify.schedule({ recipients: ["x"], title: "t", message: "m" }, { delayMs: 1000 }, { trx });
      throw new RangeError("the module has changed its mind");
    }),
    RangeError,
  );
  assert.deepEqual([waiting(prism).length, countOf(prism, "schedules")], [1, 0]);
  await assert.rejects(
    db.write(() => timer.after("l", 1000, DIGEST)),
    TypeError,
  );
});

test("what no action can be is refused", async (t) => {
  const { prism, timer } = await server(t);
  for (const { name, action, code = "VALIDATION_FAILED" } of [
    { name: "nobody", action: { type: "notify", payload: { title: "t", body: "b" } } },
    {
      name: "two ways of naming people",
      action: { type: "notify", payload: { ...DIGEST.payload, recipients: ["a"] } },
    },
    { name: "two texts", action: { type: "notify", payload: { ...DIGEST.payload, message: "m" } } },
    { name: "a payload over 64 KiB", action: { type: "event", event: "x", payload: "x".repeat(65_535) } },
    { name: "no channel", action: { type: "message", payload: {} } },
    {
      name: "no sound",
      action: { type: "notify", payload: { ...DIGEST.payload, sound: "a.mp3" } },
      code: "SOUND_NOT_FOUND",
    },
  ])
    await t.test(name, () => assert.rejects(timer.after("l", 0, action as typeof DIGEST), { code }));
  await assert.rejects(timer.at("l", "tomorrow", DIGEST), { code: "VALIDATION_FAILED" });
  await assert.rejects(timer.every("l", "often", DIGEST), { code: "INVALID_CRON" });
  assert.equal(countOf(prism, "jobs"), 0);
});

test("8.6: the entry of a channel and the end of the job are one commit: a kill before it leaves neither, and it is there once in the end", async (t) => {
  const { prism, clock, timer } = await server(t);
  const { jobId } = await timer.after("m", 1000, { type: "message", channel: "alerts", payload: { n: 1 } });
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("jobs").set({ state: "running", workerId: "gone", attempts: 1, fence: 1, startedAt: 1 }).execute(),
  );
  const next = await startPrism(t, { clock, dir: await crashImage(t, prism) });
  await done(next, jobId);
  const last = await startPrism(t, { clock, dir: await crashImage(t, next) });
  assert.deepEqual([stateOf(last, jobId), countOf(last, "stream_log")], ["succeeded", 1]);
});

test("8.6: subscribers that fail are logged, and the job has succeeded", async (t) => {
  const { prism, timer } = await server(t);
  const heard: string[] = [];
  prism.parts.base.bus.on("msg:c", () => {
    throw new Error("no");
  });
  prism.parts.base.bus.on("msg:c", async () => {
    heard.push("second");
    throw new Error("no");
  });
  const { jobId } = await timer.after("m", 0, { type: "message", channel: "c", payload: {} });
  await done(prism, jobId);
  await eventually("both were called", () => heard.length === 1);
  assert.equal(scalarOf(prism, "select attempts from jobs where id = ?", jobId), 1);
});

test("S0-45 services.notify schedules and cancels", async (t) => {
  keepsPromise(t, "S0-45");
  const { prism, clock, pass } = await server(t);
  const { notify } = prism.parts.offers;
  const note = { recipients: ["1"], title: "t", message: "m" };
  const at = await notify.schedule(note, { at: new Date(clock.now() + 1000) });
  const delayed = await notify.schedule(note, { delayMs: 2000 });
  const text = await notify.schedule(note, { at: new Date(clock.now() + 1000).toISOString() });
  assert.deepEqual([at.runAt, delayed.runAt, text.runAt], [clock.now() + 1000, clock.now() + 2000, at.runAt]);
  assert.equal(await notify.cancel(delayed.jobId), true);
  assert.equal(await notify.cancel(delayed.jobId), false);
  assert.equal(await notify.cancel("nothing"), false);
  await pass(2000);
  await done(prism, at.jobId);
  await done(prism, text.jobId);
  assert.equal(await notify.cancel(at.jobId), false);
  assert.equal(countOf(prism, "notifications"), 2);
});

test("a removed user is not notified, and others still are", async (t) => {
  const { prism, timer, pass } = await server(t);
  const [ann, bob] = [await makeUser(prism, "ann"), await makeUser(prism, "bob")];
  const to = (...recipients: string[]) =>
    timer.after("l", 1000, { type: "notify", payload: { recipients, title: "t", message: "m" } });
  const [both, one] = [await to("ann", "bob"), await to("ann")];
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", ann.id).execute(),
  );
  await pass(1000);
  await done(prism, both.jobId);
  await eventually("it is dead", () => stateOf(prism, one.jobId) === "dead");
  assert.match(String(scalarOf(prism, "select lastError from jobs where id = ?", one.jobId)), /^RECIPIENT_NOT_FOUND/);
  assert.deepEqual(rowsOf(prism, "select userId from notification_recipients"), [{ userId: bob.id }]);
});
