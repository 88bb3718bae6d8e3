import assert from "node:assert/strict";
import test from "node:test";
import { within } from "../../../../src/core/promises.ts";
import { eventually } from "../../../helpers/eventually.ts";
import type { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject } from "../../../helpers/people.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside } from "../../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { alert, alertsOf, alertWorld, errors, join, MINUTE, send, toldBy } from "./support.ts";

test("S1-09 S1-20 ten errors in quick succession tell owner and members once, in the app and by mail, and then there is silence", async (t) => {
  keepsPromise(t, "S1-09");
  const world = await alertWorld(t, {}, {}, "<b>shop</b> & co");
  const { prism, clock, server, projectId } = world;
  const owner = prism.parts.offers.devUserId ?? "";
  const uma = await join(world, "uma", "uma@example.com");
  const vera = await join(world, "vera", "vera@example.com", { emailAlerts: false });
  const will = await join(world, "will", null);
  const begin = clock.now();
  await send(world, { type: "error" }, { type: "error.db" }, { type: "db.error" }, { type: "a", level: "fatal" });
  await send(world, { type: "errors" }, { type: "a.error.b" }, { type: "a", level: "warn" });
  clock.advance(MINUTE);
  await send(world, ...errors(5), { type: "last.error", payload: { message: "<script>x</script>" } });

  const told = await alert(world);
  assert.equal(told.title, "<b>shop</b> & co: 10 errors within 5 minutes");
  assert.deepEqual(toldBy(world, told), [owner, uma.id, vera.id, will.id].sort());
  assert.deepEqual([told.projectId, told.priority], [projectId, 500]);
  const { eventIds, ...data } = JSON.parse(told.data) as Record<string, unknown>;
  assert.deepEqual(data, {
    projectId,
    count: 10,
    windowMs: 300_000,
    firstAt: new Date(begin).toISOString(),
    lastAt: new Date(begin + MINUTE).toISOString(),
  });
  const newest = rowsOf<{ id: string }>(prism, "select id from events order by seq desc limit 5").map(({ id }) => id);
  assert.deepEqual(eventIds, newest.reverse());

  const mail = await server.mailTo("uma@example.com");
  const raw = mail.raw.replaceAll("=\r\n", "");
  assert.match(raw, /^Subject: <b>shop<\/b> & co: 10 errors within 5 minutes\r$/m);
  assert.match(raw, /10 errors in the project <b>shop<\/b> & co within 5 minutes\./);
  assert.match(raw, /&lt;b&gt;shop&lt;\/b&gt; &amp; co/);
  assert.match(raw, /&lt;script&gt;x&lt;\/script&gt;/);
  const first = new Date(begin).toISOString();
  assert.ok(raw.includes(`First: ${first.slice(0, 10)} ${first.slice(11, 19)} UTC`));
  assert.equal(server.mails.length, 1);

  await send(world, ...errors(5));
  clock.advance(5 * MINUTE - 1);
  await send(world, ...errors(4));
  clock.advance(2);
  // The five have left the window by now, the four have not.
  await send(world, ...errors(5));
  await send(world, ...errors(1));
  assert.equal(JSON.parse((await alert(world, 2)).data).count, 10);
  assert.deepEqual([alertsOf(world).length, server.mails.length], [2, 2]);
});

test("errors during a cooldown are notified once at its end, without another error, with all of them counted", async (t) => {
  const world = await alertWorld(t);
  const { prism, clock } = world;
  await send(world, ...errors(10));
  await alert(world);
  for (let i = 0; i < 5; i++) await send(world, ...errors(198));
  const waits = "select count(*) from jobs where queue = 'alert' and state = 'scheduled'";
  await eventually("the end of the silence is awaited", () => scalarOf(prism, waits) === 1);
  clock.advance(5 * MINUTE);
  prism.parts.offers.runner.enqueued([]);
  const told = JSON.parse((await alert(world, 2)).data) as { count: number; eventIds: string[] };
  assert.deepEqual([told.count, told.eventIds.length], [990, 5]);
  clock.advance(10 * MINUTE);
  prism.parts.offers.runner.enqueued([]);
  await send(world, ...errors(9));
  assert.equal(alertsOf(world).length, 2, "what was told does not count again");
  assert.equal(scalarOf(prism, waits), 0);
});

test("errors that keep coming do not postpone the alert at the end of a cooldown", async (t) => {
  const world = await alertWorld(t);
  const { prism, clock } = world;
  await send(world, ...errors(10));
  await alert(world);
  await send(world, ...errors(15));
  const waits = "select count(*) from jobs where queue = 'alert' and state = 'scheduled'";
  await eventually("the end of the silence is awaited", () => scalarOf(prism, waits) === 1);
  await send(world, ...errors(1));
  clock.advance(5 * MINUTE);
  // As if it had come just now and its rules were at work.
  openBeside(t, prism.parts.base.config.databaseFile)
    .prepare("update events set processedAt = null, receivedAt = ? where seq = (select max(seq) from events)")
    .run(clock.now());
  prism.parts.offers.runner.enqueued([]);
  assert.equal(JSON.parse((await alert(world, 2)).data).count, 15);
});

test("the end of a cooldown is notified after a restart as well, and few errors in a cooldown are not", async (t) => {
  const world = await alertWorld(t);
  const { prism, clock } = world;
  await send(world, ...errors(10));
  await alert(world);
  const waits = "select count(*) from jobs where queue = 'alert' and state = 'scheduled'";
  await send(world, ...errors(9));
  assert.equal(scalarOf(prism, waits), 0);
  await send(world, ...errors(3));
  await eventually("the end of the silence is awaited", () => scalarOf(prism, waits) === 1);
  await prism.restart();
  clock.advance(5 * MINUTE);
  prism.parts.offers.runner.enqueued([]);
  const { count } = JSON.parse((await alert(world, 2)).data) as { count: number };
  assert.ok(count >= 10, `${count} errors`);
  assert.equal(alertsOf(world).length, 2);
});

test("a clock that was set back after an alert does not extend its cooldown", async (t) => {
  const world = await alertWorld(t);
  await send(world, ...errors(10));
  await alert(world);
  world.clock.set(-60 * MINUTE);
  await send(world, ...errors(10));
  await alert(world, 2);
  await send(world, ...errors(10));
  await world.prism.restart();
  world.clock.set(-60 * MINUTE);
  await send(world, ...errors(10));
  await alert(world, 3);
  assert.equal(alertsOf(world).length, 3);
});

test("S1-44 while an alert waits, the project's further errors make no other: its job is one, by the key alert:<projectId>", async (t) => {
  keepsPromise(t, "S1-44");
  const world = await alertWorld(t);
  const { prism, projectId } = world;
  await join(world, "uma", "uma@example.com");
  await prism.parts.offers.queueControl.pause("alert");
  const jobs = () => rowsOf<{ dedupeKey: string }>(prism, "select dedupeKey from jobs where queue = 'alert'");
  await send(world, ...errors(15));
  await eventually("its job is there", () => jobs().length === 1);
  for (let i = 0; i < 5; i++) await send(world, ...errors(30));
  const again = { queue: "alert", kind: "alert", payload: {}, runAt: 0, dedupeKey: `alert:${projectId}` } as const;
  const held = await prism.parts.offers.jobs.enqueue(again);
  assert.deepEqual(
    [jobs(), held.jobId],
    [[{ dedupeKey: `alert:${projectId}` }], scalarOf(prism, "select id from jobs where queue = 'alert'")],
  );
  await prism.parts.offers.queueControl.resume("alert");
  await alert(world);
  assert.deepEqual([alertsOf(world).length, world.server.mails.length], [1, 1]);
});

for (const { name, wait } of [
  { name: "does not keep the project silent for ever", wait: (clock: FakeClock) => clock.advance(5 * MINUTE) },
  { name: "does not keep it silent when the clock is set back", wait: (clock: FakeClock) => clock.set(-60 * MINUTE) },
])
  test(`an alert with its job cancelled ${name}`, async (t) => {
    const world = await alertWorld(t);
    const { prism, clock } = world;
    const { queueControl, jobControl } = prism.parts.offers;
    await queueControl.pause("alert");
    await send(world, ...errors(10));
    const id = await eventually("its job is there", () =>
      scalarOf<string>(prism, "select id from jobs where queue = 'alert'"),
    );
    await jobControl.cancel(id);
    await queueControl.resume("alert");
    wait(clock);
    await send(world, ...errors(10));
    await alert(world);
    assert.equal(alertsOf(world).length, 1);
  });

test("a storm is one alert over restarts: earlier counts are kept, and notified errors are not notified again", async (t) => {
  const world = await alertWorld(t);
  const { prism, clock } = world;
  await send(world, ...errors(6));
  await prism.restart();
  await send(world, ...errors(4));
  const first = await alert(world);
  assert.equal(JSON.parse(first.data).count, 10);
  await prism.restart();
  await send(world, ...errors(20));
  await prism.restart();
  await send(world, ...errors(20));
  clock.advance(6 * MINUTE);
  await send(world, ...errors(9));
  await prism.restart();
  await send(world, ...errors(1));
  await alert(world, 2);
  assert.equal(alertsOf(world).length, 2);
});

test("a project has a threshold of its own, and errors of another count for that one alone", async (t) => {
  const world = await alertWorld(t, {
    "alert.errorThreshold": "3",
    "alert.windowMs": "60000",
    "alert.cooldownMs": "0",
  });
  const { prism, clock, projectId } = world;
  const other = await makeProject(prism, "other");
  const set = { settings: { alertThreshold: 2 } };
  assert.equal((await prism.patch(`/api/v1/projects/${projectId}`, set)).status, 200);
  await send({ ...world, apiKey: other.apiKey }, ...errors(2));
  await send(world, ...errors(1));
  clock.advance(MINUTE);
  await send(world, ...errors(1));
  clock.advance(MINUTE - 1);
  await send(world, ...errors(1));
  assert.equal((await alert(world)).title, "shop: 2 errors within 1 minute");
  await send({ ...world, apiKey: other.apiKey }, ...errors(3));
  const second = await alert(world, 2);
  assert.deepEqual([second.title, second.projectId], ["other: 3 errors within 1 minute", other.id]);
  assert.equal(alertsOf(world).length, 2);
});

test("a project may do without alert mails; the default project without members notifies the administrators", async (t) => {
  const world = await alertWorld(t);
  const { prism, projectId, server } = world;
  await join(world, "uma", "uma@example.com");
  await prism.patch(`/api/v1/projects/${projectId}`, { settings: { emailAlerts: false } });
  await send(world, ...errors(10));
  assert.equal(toldBy(world, await alert(world)).length, 2);
  assert.equal(server.mails.length, 0);
  assert.equal((await prism.post("/api/v1/events", errors(10))).status, 202);
  const second = await alert(world, 2);
  assert.deepEqual(toldBy(world, second), [prism.parts.offers.devUserId]);
});

test("a refused address is given up at once, and others still get the mail", async (t) => {
  const refusing = {
    onRcptTo(
      { address }: { address: string },
      _session: unknown,
      callback: (error?: Error & { responseCode?: number }) => void,
    ): void {
      if (address === "uma@example.com") callback(Object.assign(new Error("no such mailbox"), { responseCode: 550 }));
      else callback();
    },
  };
  const world = await alertWorld(t, {}, refusing);
  await join(world, "uma", "uma@example.com");
  await join(world, "vera", "vera@example.com");
  await send(world, ...errors(10));
  await alert(world);
  await world.server.mailTo("vera@example.com");
  const mails = rowsOf(world.prism, "select state, attempts from jobs where kind = 'delivery.attempt' order by state");
  assert.deepEqual(mails, [
    { state: "dead", attempts: 1 },
    { state: "succeeded", attempts: 1 },
  ]);
});

test("without a mail server an alert is notified in the app only", async (t) => {
  const world = await alertWorld(t, {}, null);
  const { prism } = world;
  await prism.patch(`/api/v1/projects/${world.projectId}`, { settings: { alertThreshold: 1 } });
  await join(world, "uma", "uma@example.com");
  await send(world, ...errors(1));
  assert.equal((await alert(world)).title, "shop: 1 error within 5 minutes");
  assert.deepEqual([countOf(prism, "notification_recipients"), world.server.mails.length], [2, 0]);
});

test("a stop gives the mail of an alert back when the mail server stalls, long before shutdownMs", async (t) => {
  let stalled = 0;
  const mail = {
    // Answers never.
    onRcptTo: () => {
      stalled++;
    },
  };
  const world = await alertWorld(t, { shutdownMs: "600000" }, mail);
  const { prism } = world;
  await join(world, "uma", "uma@example.com");
  await send(world, ...errors(10));
  await eventually("the mail is in hand", () => stalled === 1);
  await within(60_000, prism.stop());
  const left = openBeside(t, prism.parts.base.config.databaseFile)
    .prepare("select state, attempts from jobs where kind = 'delivery.attempt'")
    .all();
  assert.deepEqual(left, [{ state: "ready", attempts: 0 }]);
});

const critical = (count: number, more: object = {}) =>
  Array.from({ length: count }, (_, i) => ({
    type: "job.failed",
    level: "error",
    payload: { title: "Backup failed", n: i },
    ...more,
  }));

test("the text says what happened how often and where, not ids", async (t) => {
  const world = await alertWorld(t);
  await send(
    world,
    ...critical(6, { source: "nas" }),
    ...critical(4, { source: "db", payload: { message: "disk full" } }),
  );
  const told = await alert(world);
  const [first, second] = told.message.split("\n");
  assert.deepEqual([first, second], ["6 × Backup failed (nas)", "4 × Job failed: disk full (db)"]);
  const { eventIds } = JSON.parse(told.data) as { eventIds: string[] };
  assert.ok(!told.message.includes(eventIds[0] ?? "-"));
});

test("Prism's own events, and errors that an alert pages for, are not counted", async (t) => {
  const world = await alertWorld(t);
  const { prism, projectId } = world;
  const rule = {
    name: "Jobs",
    condition: "event.type == 'job.failed'",
    alert: { key: "{{event.payload.title}}" },
    projectId,
  };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await send(world, ...critical(15));
  const labels = (i: number) => ({ alertname: `Down ${i}`, severity: "critical" });
  const alerts = Array.from({ length: 15 }, (_, i) => ({ key: `k${i}`, labels: labels(i) }));
  const posted = await prism.post("/api/v1/alerts", { projectId, alerts });
  assert.equal(posted.status, 200, posted.text);
  await eventually("they are open", () => scalarOf(prism, "select count(*) from alerts where state = 'firing'") === 16);
  const { body } = await prism.post<{ url: string }>("/api/v1/receivers", {
    name: "NAS",
    preset: "generic",
    projectId,
  });
  for (let i = 0; i < 12; i++)
    await fetch(`${prism.url}${new URL(body.url).pathname}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ title: `Disk ${i}`, key: `disk${i}`, status: "firing", level: "error" }),
    });
  const undecided = "select count(*) from events where processedAt is null";
  await eventually("all is decided", () => scalarOf(prism, undecided) === 0);
  const waiting = "select count(*) from jobs where queue = 'alert' and state in ('ready', 'scheduled', 'active')";
  await eventually("no alert waits", () => {
    world.clock.advance(2000);
    prism.parts.offers.runner.enqueued([]);
    return scalarOf(prism, waiting) === 0;
  });
  assert.deepEqual(alertsOf(world), []);
  await send(world, ...errors(10));
  assert.equal(JSON.parse((await alert(world)).data).count, 10, "others count");
});

test("a silence holds the errors of a source, and others are still reported", async (t) => {
  const world = await alertWorld(t);
  const { prism, projectId, clock } = world;
  const silence = await prism.post("/api/v1/silences", {
    matchers: [
      { name: "alertname", operator: "=", value: "ErrorBurst" },
      { name: "source", operator: "=", value: "nas" },
    ],
    ...{ projectId, comment: "known", endsAt: new Date(clock.now() + 60 * MINUTE).toISOString() },
  });
  assert.equal(silence.status, 201, silence.text);
  await send(world, ...critical(20, { source: "nas" }));
  await send(world, ...critical(10, { source: "db" }));
  const told = await alert(world);
  assert.equal(JSON.parse(told.data).count, 10);
  assert.match(told.message, /^10 × Backup failed \(db\)\n/);
});
