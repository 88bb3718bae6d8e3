import assert from "node:assert/strict";
import { test } from "node:test";
import { answered } from "../../../helpers/prism.ts";
import { ChangeWorld, MINUTE } from "./support.ts";

test("between severities of one urgency people are told at the next look, and acknowledgements and steps stay", async (t) => {
  const world = await ChangeWorld.start(t);
  await world.report("info");
  await world.pass(MINUTE);
  await world.act("acknowledge");
  const before = (await world.notices()).length;
  await world.report("warning");
  await world.pass(4 * MINUTE);
  assert.equal((await world.notices()).length, before, "not before the look");
  await world.pass(MINUTE);
  assert.deepEqual((await world.notices()).slice(before), ["ann: Warning (was info): Disk (db-1)"]);
  assert.equal((await world.world.only()).state, "acknowledged");
  // From error to critical is no other urgency either.
  await world.report("error");
  await world.pass(5 * MINUTE);
  assert.equal((await world.world.only()).state, "open");
  await world.act("acknowledge");
  await world.report("critical");
  await world.pass(5 * MINUTE);
  assert.equal((await world.notices()).at(-1), "ann: Critical (was error): Disk (db-1)");
  assert.equal((await world.world.only()).state, "acknowledged");
});

test("the same height is told again only after the time of a repetition", async (t) => {
  const world = await ChangeWorld.start(t);
  await world.report("warning");
  await world.pass(MINUTE);
  await world.report("critical");
  await world.pass(MINUTE);
  await world.act("acknowledge");
  const before = (await world.notices()).length;
  await world.report("warning");
  await world.report("critical");
  await world.pass(6 * MINUTE);
  await world.report("warning");
  await world.pass(200 * MINUTE);
  await world.report("critical");
  await world.pass(6 * MINUTE);
  assert.equal((await world.notices()).length, before);
  await world.report("warning");
  await world.pass(60 * MINUTE);
  await world.report("critical");
  await world.pass(MINUTE);
  assert.deepEqual((await world.notices()).slice(before), ["ann: Critical (was warning): Disk (db-1)"]);
  assert.equal((await world.world.only()).state, "open");
});

test("who was told by a later step is told as well, once, and a silenced rise is told when the silence ends", async (t) => {
  const world = await ChangeWorld.start(t);
  await world.report("warning");
  await world.pass(15 * MINUTE);
  assert.deepEqual(await world.notices(), ["ann: Warning: Disk (db-1)", "ben: Warning: Disk (db-1)"]);
  const silence = { matchers: ['host="db-1"'], durationMs: 60 * MINUTE, comment: "test" };
  const { body } = await answered(201, world.world.prism.post<{ id: string }>("/api/v1/silences", silence));
  await world.report("critical");
  await world.pass(20 * MINUTE);
  assert.equal((await world.notices()).length, 2);
  await answered(204, world.world.prism.delete(`/api/v1/silences/${body.id}`));
  await world.settle();
  const told = (await world.notices()).slice(2).sort();
  assert.deepEqual(told, ["ann: Critical (was warning): Disk (db-1)", "ben: Critical (was warning): Disk (db-1)"]);
});

test("after a restart a silenced rise is told when the silence ends, though others were told meanwhile", async (t) => {
  const world = await ChangeWorld.start(t);
  const { prism } = world.world;
  const post = (alerts: object[]) => answered(200, prism.post("/api/v1/alerts", { alerts }));
  const alert = (host: string, severity: string) => ({ key: host, labels: { alertname: "Disk", host, severity } });
  await post([alert("a", "warning"), alert("b", "warning")]);
  await world.pass(MINUTE);
  const silence = { matchers: ['host="b"'], durationMs: 60 * MINUTE, comment: "test" };
  const { body } = await answered(201, prism.post<{ id: string }>("/api/v1/silences", silence));
  await post([alert("b", "critical")]);
  await world.pass(MINUTE);
  await post([alert("a", "error")]);
  await world.pass(MINUTE);
  const before = (await world.notices()).length;
  assert.equal(before, 2);
  await prism.restart();
  await world.settle();
  await answered(204, prism.delete(`/api/v1/silences/${body.id}`));
  await world.settle();
  await world.settle();
  assert.equal((await world.notices()).length, before + 1);
  const rows = await world.world.db.read.selectFrom("notifications").select("message").orderBy("id").execute();
  assert.match(rows.at(-1)?.message ?? "", /host=b.*was warning/);
});

test("an alert among others: the title says the highest, the lines which one got worse", async (t) => {
  const world = await ChangeWorld.start(t);
  const post = (alerts: object[]) => answered(200, world.world.prism.post("/api/v1/alerts", { alerts }));
  const alert = (host: string, severity: string) => ({ key: host, labels: { alertname: "Disk", host, severity } });
  await post([alert("a", "critical"), alert("b", "warning")]);
  await world.pass(MINUTE);
  await post([alert("b", "error")]);
  await world.pass(MINUTE);
  assert.equal((await world.notices()).at(-1), "ann: Critical: Disk, 2 alerts");
  const rows = await world.world.db.read.selectFrom("notifications").select("message").orderBy("id").execute();
  assert.match(rows.at(-1)?.message ?? "", /host=b.*was warning/);
});

test("a webhook in Alertmanager's form that has the old labels gets their end with the new ones", async (t) => {
  const world = await ChangeWorld.start(t);
  await world.report("warning");
  await world.pass(MINUTE);
  assert.deepEqual(world.entries().at(-1), ["firing warning"]);
  const [old] = world.posts("/am")[0]?.alerts ?? [];
  // What was never sent has no end.
  await world.report("error", { labels: { alertname: "Disk", severity: "error", host: "db-2" } });
  await world.report("critical");
  await world.pass(MINUTE);
  assert.deepEqual(world.entries().at(-1), ["firing critical", "resolved warning"]);
  const ended = world
    .posts("/am")
    .at(-1)
    ?.alerts.find(({ status }) => status === "resolved");
  assert.deepEqual([ended?.labels, ended?.fingerprint], [old?.labels, old?.fingerprint]);
  // A fall is told to webhooks of this form only, with the next look.
  const notices = (await world.notices()).length;
  await world.report("warning");
  await world.pass(6 * MINUTE);
  assert.deepEqual(world.entries().at(-1), ["firing warning", "resolved critical"]);
  assert.equal((await world.notices()).length, notices);
  await world.pass(260 * MINUTE);
  assert.deepEqual(world.entries().at(-1), ["firing warning"]);
  const end = { alerts: [{ key: "k", status: "resolved" }] };
  await answered(200, world.world.prism.post("/api/v1/alerts", end));
  await world.settle();
  assert.deepEqual(world.entries().at(-1), ["resolved warning"]);
});

test("one row says why alerts are not notified, for each action that waits", async (t) => {
  const world = await ChangeWorld.start(t);
  await world.report("critical");
  await world.pass(MINUTE);
  const silence = { matchers: ['host="db-1"'], durationMs: 900 * MINUTE, comment: "test" };
  await answered(201, world.world.prism.post("/api/v1/silences", silence));
  await world.pass(300 * MINUTE);
  const held = (await world.log(await world.world.only())).filter(({ kind }) => kind === "withheld");
  assert.deepEqual(held.map(({ data }) => data["holds"]).sort(), ["repeat", "step"]);
  await world.world.prism.restart();
  await world.pass(60 * MINUTE);
  const later = (await world.log(await world.world.only())).filter(({ kind }) => kind === "withheld");
  assert.equal(later.length, 2);
});

for (const { what, put } of [
  { what: "acknowledged", put: { action: "acknowledge", body: {} } },
  { what: "snoozed", put: { action: "snooze", body: { durationMs: 480 * MINUTE } } },
]) {
  test(`an urgent alert that joins ${what} warnings, as Prometheus sends it, ends that, and the steps start again`, async (t) => {
    const world = await ChangeWorld.start(t);
    const { prism } = world.world;
    const send = (severity: string, host: string) =>
      answered(
        200,
        prism.post("/alertmanager/api/v2/alerts", [
          { labels: { alertname: "Disk", host, severity }, endsAt: "2030-01-01T00:00:00Z" },
        ]),
      );
    await send("warning", "a");
    await world.pass(MINUTE);
    const { id } = await world.world.only();
    await answered(200, prism.post(`/api/v1/incidents/${id}/${put.action}`, put.body));
    const before = (await world.notices()).length;
    // Another warning changes nothing.
    await send("warning", "b");
    await world.pass(6 * MINUTE);
    assert.equal((await world.notices()).length, before);
    await send("critical", "a");
    await world.pass(MINUTE);
    const incident = await world.world.only();
    assert.deepEqual([incident.state, incident.snoozedUntil], ["open", null]);
    assert.deepEqual((await world.notices()).slice(before), ["ann: Critical (was warning): Disk, 3 alerts"]);
    assert.ok(
      (await world.log(incident)).some(({ kind, data }) => kind === "steps-restarted" && data["paused"] === what),
    );
  });
}

test("a new alert that rises no higher than others lately is told, and ends neither acknowledgement nor snooze", async (t) => {
  const world = await ChangeWorld.start(t);
  const { prism } = world.world;
  const report = (key: string, severity: string) =>
    answered(
      200,
      prism.post("/api/v1/alerts", { alerts: [{ key, labels: { alertname: "Disk", host: key, severity } }] }),
    );
  const rise = async (key: string): Promise<void> => {
    await report(key, "info");
    await world.pass(6 * MINUTE);
    await report(key, "critical");
    await world.pass(6 * MINUTE);
  };
  await report("a", "info");
  await world.pass(MINUTE);
  await world.act("acknowledge");
  await rise("b");
  assert.equal((await world.world.only()).state, "open", "it is above what was reported");
  await world.act("acknowledge");
  const before = (await world.notices()).length;
  await rise("c");
  const told = (await world.notices()).slice(before);
  assert.ok(
    told.some((title) => /^(?:ann|ben): Critical/.test(title)),
    told.join(),
  );
  assert.equal((await world.world.only()).state, "acknowledged");
  await world.act("snooze", { durationMs: 12 * 60 * MINUTE });
  await rise("d");
  assert.notEqual((await world.world.only()).snoozedUntil, null);
  await world.pass(240 * MINUTE);
  await rise("e");
  assert.equal((await world.world.only()).snoozedUntil, null, "a repetition later it is news");
});
