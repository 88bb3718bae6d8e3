import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import type { CoreServices, EventInput, StoredEvent } from "../../../src/module/module-api.ts";
import { eventually } from "../../helpers/eventually.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { type Probe, startProbe } from "./support/probe.ts";

let prism: TestPrism;
let given: Probe["given"];
let uma: Probe["uma"];
let jobs: Probe["jobs"];
let stop: Probe["stop"];

before(async () => {
  ({ prism, given, uma, jobs, stop } = await startProbe());
});

after(() => stop());

test("a module is given the services of the contract, and no more", () => {
  assert.deepEqual(Object.keys(given).sort(), [
    "audit",
    "config",
    "db",
    "events",
    "kv",
    "log",
    "notify",
    "realtime",
    "scheduler",
    "time",
    "timer",
  ]);
});

test("S0-44: time is Luxon with the server's clock and the users' zones", async (t) => {
  keepsPromise(t, "S0-44");
  const now = given.time.now("Europe/Berlin");
  assert.ok(Math.abs(now.toMillis() - Date.now()) < 60_000);
  assert.equal(now.zoneName, "Europe/Berlin");
  assert.equal(given.time.convert("2026-01-15T12:00:00Z", "America/New_York").toISO(), "2026-01-15T07:00:00.000-05:00");
  await prism.put("/api/v1/users/me", { timezone: "Asia/Tokyo" }, { token: uma.token });
  assert.equal((await given.time.forUser(new Date(0), uma.id)).hour, 9);
  assert.deepEqual([given.time.isValidZone("Asia/Tokyo"), given.time.isValidZone("Mars/Base")], [true, false]);
});

test("S0-45: notify sends and schedules, cancels, returns the history and marks read", async () => {
  const { id } = await given.notify.send({ userId: "uma", title: "Hello", body: "You.", data: { a: 1 }, priority: 5 });
  const { data } = await given.notify.history(uma.id, { limit: 1 });
  assert.deepEqual([data[0]?.id, data[0]?.body, data[0]?.read, data[0]?.data], [id, "You.", false, { a: 1 }]);
  await given.notify.markRead(id, "uma");
  assert.equal((await given.notify.history("uma")).data[0]?.read, true);
  const { jobId } = await given.notify.schedule(
    { recipients: [uma.id], title: "Later", message: "m" },
    { delayMs: 3_600_000 },
  );
  const job = () =>
    rowsOf<{ state: string; module: string }>(prism, "select state, module from jobs where id = ?", jobId)[0];
  assert.deepEqual(job(), { state: "scheduled", module: "probe" });
  assert.equal(await given.notify.cancel(jobId), true);
  assert.deepEqual([await given.notify.cancel(jobId), job()?.state], [false, "cancelled"]);
  const other = await prism.parts.offers.notify.schedule(
    { recipients: [uma.id], title: "t", message: "m" },
    { delayMs: 3_600_000 },
  );
  assert.equal(await given.notify.cancel(other.jobId), false, "what others have scheduled is not the module's");
  const now = await given.notify.schedule({ userId: "uma", title: "Now", body: "b" }, { at: new Date() });
  await eventually("it is sent", async () =>
    (await given.notify.history("uma")).data.some(({ title }) => title === "Now"),
  );
  assert.ok(now.jobId);
  const twice = { userId: "uma", title: "Once", body: "b", dedupeKey: "k" };
  assert.equal((await given.notify.send(twice)).id, (await given.notify.send(twice)).id);
  await assert.rejects(given.notify.send({ userId: "uma", title: "" }), { code: "VALIDATION_FAILED" });
  await assert.rejects(given.notify.history("nobody-there"), { code: "USER_NOT_FOUND" });
  await assert.rejects(given.notify.markRead("nonsense", "uma"), { code: "NOTIFICATION_NOT_FOUND" });
  const [row] = rowsOf<{ actor: string }>(
    prism,
    "select actor from audit_log where action = 'notification.sent' and resourceId = ?",
    id,
  );
  assert.deepEqual(JSON.parse(row?.actor ?? "{}"), { type: "module", name: "probe" });
});

test("S0-46: scheduler runs the module's jobs in its own queue, now, later and by cron", async (t) => {
  keepsPromise(t, "S0-46");
  jobs.length = 0;
  const { jobId } = await given.scheduler.add("default", "note", { n: 1 }, { priority: 7 });
  const done = await eventually("the job is done", async () => {
    const job = await given.scheduler.get(jobId);
    return job?.state === "succeeded" ? job : undefined;
  });
  assert.deepEqual([done.queue, done.kind, done.result, done.attempts], ["module:probe", "note", { did: { n: 1 } }, 1]);
  const [seen] = jobs as { kind: string; state: string; payload: unknown }[];
  assert.deepEqual([seen?.kind, seen?.state, seen?.payload], ["note", "running", { n: 1 }]);
  const later = await given.scheduler.add("probe", "note", {}, { delayMs: 3_600_000, dedupeKey: "one" });
  assert.equal((await given.scheduler.add("module:probe", "note", {}, { dedupeKey: "one" })).jobId, later.jobId);
  assert.equal(await given.scheduler.cancel(later.jobId), true);
  assert.equal(await given.scheduler.cancel(later.jobId), false);
  await assert.rejects(given.scheduler.add("timers", "note", {}), { code: "QUEUE_NOT_FOUND" });
  const foreign = await prism.parts.offers.jobs.enqueue({
    queue: "timers",
    kind: "timer",
    payload: {},
    runAt: Date.now() + 3_600_000,
  });
  assert.equal(await given.scheduler.get(foreign.jobId), null, "others' jobs are not seen");
  assert.equal(await given.scheduler.cancel(foreign.jobId), false);
  const permanent = await given.scheduler.add("default", "note", { fail: "permanent" });
  await eventually("it is dead at once", async () => (await given.scheduler.get(permanent.jobId))?.state === "dead");
  const retried = await given.scheduler.add("default", "note", { fail: "later" });
  const waiting = await eventually("it waits", async () => {
    const job = await given.scheduler.get(retried.jobId);
    return job?.state === "retrying" ? job : undefined;
  });
  assert.ok(Date.parse(waiting.runAt) > Date.now() + 3_000_000);
  const { scheduleId } = await given.scheduler.cron(
    "nightly",
    "0 3 * * *",
    "note",
    { n: 2 },
    { timezone: "Europe/Berlin" },
  );
  assert.equal((await given.scheduler.cron("nightly", "0 4 * * *", "note", { n: 2 })).scheduleId, scheduleId);
  assert.deepEqual(rowsOf(prism, "select name, cron, kind, queue, module from schedules where id = ?", scheduleId), [
    { name: "probe:nightly", cron: "0 4 * * *", kind: "probe:note", queue: "module:probe", module: "probe" },
  ]);
  const { body } = await prism.post<{ jobId: string }>(`/api/v1/schedules/${scheduleId}/run`);
  await eventually("its job runs", async () => (await given.scheduler.get(body.jobId))?.state === "succeeded");
  const again = await given.scheduler.cron("hourly", "0 * * * *", "note", {});
  assert.equal(await given.scheduler.cancel("hourly"), true, "by its name");
  assert.equal(await given.scheduler.cancel(again.scheduleId), false, "it is gone");
  const others = await prism.parts.offers.schedules.create({
    name: "probe:mine",
    cron: "0 4 * * *",
    queue: "timers",
    kind: "timer",
    payload: {},
  });
  for (const id of [others.id, "mine", "probe:nightly"]) assert.equal(await given.scheduler.cancel(id), false, id);
  assert.equal(await given.scheduler.cancel(scheduleId), true, "by its id");
  assert.deepEqual(rowsOf(prism, "select name from schedules where module = 'probe'"), []);
  await assert.rejects(given.scheduler.cron("bad", "not a pattern", "note", {}), { code: "INVALID_CRON" });
});

test("S0-47: timer runs actions: a notification, a bus event, a message; a label may be used again", async (t) => {
  keepsPromise(t, "S0-47");
  const heard: unknown[] = [];
  given.events.on("timer:fired", (payload) => void heard.push(payload));
  given.events.on("msg:alerts", (payload) => void heard.push(payload));
  await given.timer.after("e", 0, { type: "event", event: "timer:fired", payload: { a: 1 } });
  await given.timer.at("m", new Date(), { type: "message", channel: "alerts", payload: { text: "hi" } });
  await given.timer.after("n", 0, { type: "notify", payload: { userId: "uma", title: "From timer", body: "b" } });
  await eventually("all three", async () => {
    const { data } = await given.notify.history("uma");
    return heard.length === 2 && data.some(({ title, kind }) => title === "From timer" && kind === "timer");
  });
  const action = { type: "event", event: "timer:fired", payload: {} } as const;
  const waiting = () =>
    rowsOf<{ id: string }>(prism, "select id from jobs where label = 'digest' and state = 'scheduled'");
  const first = await given.timer.after("digest", 3_600_000, action);
  const second = await given.timer.after("digest", 60_000, action);
  assert.notEqual(second.jobId, first.jobId, "after register a label may be used again");
  assert.equal((await given.timer.after("digest", 60_000, action, { onConflict: "keep" })).jobId, first.jobId);
  await assert.rejects(given.timer.after("digest", 1, action, { onConflict: "fail" }), { code: "NAME_TAKEN" });
  assert.equal(waiting().length, 2);
  const third = await given.timer.after("digest", 60_000, action, { onConflict: "replace" });
  assert.deepEqual(waiting(), [{ id: third.jobId }], "it takes the place of both");
  assert.equal(await given.timer.cancel("digest"), true);
  assert.equal(await given.timer.cancel("digest"), false);
  const { scheduleId } = await given.timer.every("daily", "0 8 * * *", action, { timezone: "Asia/Tokyo" });
  const tokyo = { timezone: "Asia/Tokyo" };
  assert.equal(
    (await given.timer.every("daily", "0 8 * * *", action, tokyo)).scheduleId,
    scheduleId,
    "the same is kept",
  );
  const later = await given.timer.every("daily", "0 9 * * *", action, tokyo);
  assert.notEqual(later.scheduleId, scheduleId, "another is added");
  await assert.rejects(given.timer.every("daily", "0 9 * * *", action, { onConflict: "fail" }), {
    code: "NAME_TAKEN",
  });
  assert.equal(await given.timer.cancel(scheduleId), true);
  assert.equal(await given.timer.cancel("daily"), true);
  assert.equal(await given.timer.cancel(later.scheduleId), false);
  const foreign = await prism.parts.offers.timer.after("other", 3_600_000, {
    type: "event",
    event: "x",
    payload: {},
  });
  assert.equal(await given.timer.cancel(foreign.jobId), false, "others' timers are not the module's");
});

test("S0-48: events: emit, on, once and wildcards; core events of what is committed", async (t) => {
  keepsPromise(t, "S0-48");
  const heard: string[] = [];
  const offs = [
    given.events.on(
      "shop:*",
      (_payload, { event, correlationId }) => void heard.push(`${event} ${typeof correlationId}`),
    ),
    given.events.on("event:order.*", () => void heard.push("a colon makes a level, a dot does not")),
    given.events.on("event:order.placed", (payload) => void heard.push((payload as StoredEvent).id)),
    given.events.on("notification:created", (payload) => void heard.push((payload as { title: string }).title)),
    given.events.on("user:approved", (payload) => void heard.push((payload as { userId: string }).userId)),
    given.events.on("job:dead", (payload) => void heard.push((payload as { kind: string }).kind)),
  ];
  given.events.once("shop:opened", () => void heard.push("once"));
  given.events.emit("shop:opened", {});
  given.events.emit("shop:opened", {});
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "order.placed" });
  await given.notify.send({ userId: "uma", title: "Told", body: "b" });
  const pending = await prism.post<{ id: string }>("/api/v1/users", {
    username: "pia",
    status: "pending",
    roles: [],
  });
  await prism.post(`/api/v1/users/${pending.body.id}/approve`, { roles: ["User"] });
  await given.scheduler.add("default", "note", { fail: "permanent" });
  await eventually("everything is heard", () => heard.length >= 7);
  assert.deepEqual(
    [...heard].sort(),
    ["Told", body.id, "once", pending.body.id, "probe:note", "shop:opened string", "shop:opened string"].sort(),
  );
  for (const off of offs) off();
  given.events.emit("shop:opened", {});
  await prism.get("/health");
  assert.equal(heard.length, 7);
});

test("events.ingest stores an event, of the default project unless another is named", async () => {
  const { id, seq } = await given.events.ingest({
    type: "probe.seen",
    payload: { n: 1 },
    level: "warn",
    dedupeKey: "d",
  });
  const again = await given.events.ingest({ type: "probe.seen", dedupeKey: "d" });
  assert.deepEqual(again, { id, seq }, "the key's event stands for the second");
  const [row] = rowsOf<{ source: string; level: string }>(prism, "select source, level from events where id = ?", id);
  assert.deepEqual(row, { source: "module:probe", level: "warn" });
  const { body } = await prism.post<{ id: string; slug: string }>("/api/v1/projects", { name: "shop" });
  const stored = await given.events.ingest({ type: "a", projectId: body.slug, occurredAt: "2026-01-01T00:00:00Z" });
  assert.deepEqual(rowsOf(prism, "select projectId, occurredAt from events where id = ?", stored.id), [
    { projectId: body.id, occurredAt: Date.UTC(2026, 0, 1) },
  ]);
  await assert.rejects(given.events.ingest({ type: "" }), { code: "VALIDATION_FAILED" });
  await assert.rejects(given.events.ingest({ type: "a", projectId: "nowhere" }), { code: "PROJECT_NOT_FOUND" });
});

test("a handler of the bus may write, whatever the event comes from", async () => {
  const written: string[] = [];
  const offs = ["notification:created", "probe:inside", "msg:written", "event:probe.stored"].map((event) =>
    given.events.on(event, async (_payload, meta) => {
      await given.kv.set(`heard ${event}`, meta.correlationId);
      await given.scheduler.add("default", "note", {});
      await given.db.write((trx) => trx.selectFrom("module_kv").select("key").limit(1).execute());
      written.push(event);
    }),
  );
  await prism.post("/api/v1/notifications", { userId: "uma", title: "t", message: "m" });
  await given.db.write(async () => given.events.emit("probe:inside"));
  await given.timer.after("m", 0, { type: "message", channel: "written", payload: {} });
  await given.events.ingest({ type: "probe.stored" });
  await eventually("all four handlers have written", () => new Set(written).size === 4);
  for (const off of offs) off();
});

test("S0-49, S3-39: db reads with Kysely and writes in one transaction, which every service joins; a table of its own", async (t) => {
  keepsPromise(t, ["S0-49", "S3-39"]);
  const users = await given.db.read.selectFrom("users").select("username").where("id", "=", uma.id).execute();
  assert.deepEqual(users, [{ username: "uma" }]);
  await given.db.write(async (trx) => {
    await trx.schema.createTable("module_probe_visits").addColumn("n", "integer").execute();
  });
  const before = rowsOf(prism, "select seq from audit_log").length;
  const failing = given.db.write(async (trx) => {
    await given.kv.set("in", 1, { trx });
    await given.notify.send({ userId: "uma", title: "Rolled back", body: "b" }, { trx });
    await given.scheduler.add("default", "note", { n: "rolled back" }, { trx });
    await given.timer.after("rolled-back", 1000, { type: "event", event: "x", payload: {} }, { trx });
    await given.scheduler.cron("rolled-back", "0 3 * * *", "note", {}, { trx });
    await given.realtime.publish("channel:probe", "x", {}, { trx });
    await given.audit.record({ action: "probe.rolled-back" }, { trx });
    throw new Error("no");
  });
  await assert.rejects(failing, /^Error: no$/);
  assert.equal(await given.kv.get("in"), undefined);
  assert.equal(rowsOf(prism, "select seq from audit_log").length, before);
  for (const sql of [
    "select id from notifications where title = 'Rolled back'",
    "select id from jobs where label = 'rolled-back' or payload like '%rolled back%'",
    "select id from schedules where name = 'probe:rolled-back'",
    "select seq from stream_log where stream = 'channel:probe'",
  ])
    assert.deepEqual(rowsOf(prism, sql), [], sql);
  await given.db.write(async (trx) => {
    await given.kv.set("in", 2, { trx });
    await given.audit.record({ action: "probe.kept" }, { trx });
  });
  assert.equal(await given.kv.get("in"), 2);
});

test("a writing call without the transaction's trx inside it throws at once, in place of waiting for itself", async () => {
  const calls: readonly ((services: CoreServices) => Promise<unknown>)[] = [
    (s) => s.kv.set("a", 1),
    (s) => s.kv.delete("a"),
    (s) => s.notify.send({ userId: "uma", title: "t", body: "b" }),
    (s) => s.scheduler.add("default", "note", {}),
    (s) => s.timer.after("l", 1, { type: "event", event: "x", payload: {} }),
    (s) => s.audit.record({ action: "probe.x" }),
    (s) => s.realtime.publish("channel:probe", "x", {}),
    (s) => s.events.ingest({ type: "a" }),
    (s) => s.db.write(async () => undefined),
  ];
  for (const call of calls)
    await assert.rejects(
      given.db.write(() => call(given)),
      TypeError,
      String(call),
    );
});

test("events.ingest in a transaction says that it cannot join one; a job of the transaction stores the event", async () => {
  const event = { type: "probe.joined", id: uuidv7() };
  await assert.rejects(
    given.db.write(async (trx) => {
      await given.kv.set("half", 1, { trx });
      await (given.events.ingest as (...all: unknown[]) => Promise<unknown>)(event, { trx });
    }),
    /^TypeError: events\.ingest cannot join a transaction; call it after db\.write$/,
  );
  assert.equal(await given.kv.get("half"), undefined, "the transaction is rolled back");
  assert.deepEqual(rowsOf(prism, "select id from events where id = ?", event.id), []);
  given.scheduler.handle("ingest", async ({ payload }) => {
    await given.events.ingest(payload as unknown as EventInput);
  });
  await given.db.write(async (trx) => {
    await given.kv.set("joined", 1, { trx });
    await given.scheduler.add("default", "ingest", event, { trx });
  });
  await eventually(
    "the event is stored",
    () => rowsOf(prism, "select id from events where type = 'probe.joined' and id = ?", event.id).length === 1,
  );
});

test("audit rows name the caller and the module; what no request caused names the module", async () => {
  const { status } = await prism.post("/probe/audit", {}, { token: uma.token, headers: { "X-Request-Id": "req-7" } });
  assert.equal(status, 204);
  await given.audit.record({ action: "probe.alone" });
  interface Row {
    readonly actor: string;
    readonly requestId: string | null;
    readonly resourceId: string | null;
  }
  const row = (action: string): Row | undefined =>
    rowsOf<Row>(prism, "select actor, requestId, resourceId from audit_log where action = ?", action)[0];
  const done = row("probe.done");
  assert.deepEqual(
    [JSON.parse(done?.actor ?? "{}"), done?.requestId, done?.resourceId],
    [{ type: "user", id: uma.id, module: "probe" }, "req-7", "7"],
  );
  assert.deepEqual(JSON.parse(row("probe.alone")?.actor ?? "{}"), { type: "module", name: "probe" });
});
