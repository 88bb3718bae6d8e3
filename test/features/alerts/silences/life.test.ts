import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { HOUR, PATH, type SilenceBody, silenceWorld } from "./support.ts";

const DAY = 24 * HOUR;

test("a silence withholds matching alerts from its start to its end, and both are events", async (t) => {
  const { create, get, open, silencing, silenceEvents, after, clock } = await silenceWorld(t);
  const alert = await open({ alertname: "A", team: "db" });
  const other = await open({ alertname: "A", team: "web" });
  const startsAt = new Date(clock.now() + HOUR).toISOString();
  const { status, body, text } = await create({ startsAt });
  assert.deepEqual([status, body.state, body.text], [201, "pending", '{team="db"}'], text);
  assert.deepEqual([silencing(alert), await silenceEvents()], [[], []]);
  await after(HOUR);
  assert.deepEqual([silencing(alert), silencing(other)], [[body.id], []]);
  assert.deepEqual([(await get(body.id)).state, await silenceEvents()], ["active", ["silence.started"]]);
  await after(HOUR - 1);
  assert.deepEqual(silencing(alert), [body.id]);
  await after(1);
  assert.deepEqual([silencing(alert), (await get(body.id)).state], [[], "expired"]);
  assert.deepEqual(await silenceEvents(), ["silence.started", "silence.ended"]);
  await after(DAY);
  assert.deepEqual(await silenceEvents(), ["silence.started", "silence.ended"], "once");
});

test("the events say what the silence is, and rules receive them", async (t) => {
  const { create, prism, after } = await silenceWorld(t);
  const rule = { name: "r", condition: "event.type == 'silence.started'", targetUsers: ["me"] };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const { body } = await create();
  await after(0);
  const [event] = rowsOf<{ payload: string; level: string; source: string }>(
    prism,
    "select payload, level, source from events where type = 'silence.started'",
  );
  const { startsAt, endsAt, ...payload } = JSON.parse(event?.payload ?? "{}");
  assert.deepEqual(
    [event?.level, event?.source, startsAt, endsAt],
    ["info", "prism:alerts", body.startsAt, body.endsAt],
  );
  assert.deepEqual(payload, {
    silenceId: body.id,
    kind: "silence",
    matchers: '{team="db"}',
    comment: "disks",
    createdBy: body["createdBy"],
    isRecurring: false,
    hits: 0,
  });
  await eventually("the rule has notified", () => countOf(prism, "notifications") === 1);
});

test("comment and end of an active silence change in place; another change needs a new silence", async (t) => {
  const { create, get, prism, silencing, open, silenceEvents, after } = await silenceWorld(t);
  const alert = await open({ team: "db" });
  const { body } = await create();
  const patch = (change: object, id = body.id) => prism.patch<SilenceBody>(`${PATH}/${id}`, change);
  const longer = await patch({ durationMs: 2 * HOUR, comment: "still" });
  assert.deepEqual([longer.status, longer.body.id, longer.body.version], [200, body.id, 2], longer.text);
  assert.equal(Date.parse(longer.body.endsAt ?? ""), Date.parse(body.startsAt) + 2 * HOUR);
  await after(HOUR + 1);
  assert.deepEqual(silencing(alert), [body.id]);
  const moved = await patch({ matchers: ['team="db"', 'env="prod"'] });
  assert.notEqual(moved.body.id, body.id);
  assert.deepEqual([moved.body.state, (await get(body.id)).state, silencing(alert)], ["active", "expired", []]);
  assert.deepEqual(await silenceEvents(), ["silence.started", "silence.ended", "silence.started"]);
  const over = await patch({ comment: "again" });
  assert.deepEqual([over.status, over.body.error.code], [400, "VALIDATION_FAILED"], "an expired one is not reopened");
  const again = await patch({ startsAt: new Date().toISOString(), endsAt: moved.body.endsAt });
  assert.deepEqual([again.status, again.body.id === body.id], [200, false], again.text);
});

test("the start of a pending silence changes in place if it is in the future", async (t) => {
  const { create, prism, clock } = await silenceWorld(t);
  const at = (ms: number): string => new Date(clock.now() + ms).toISOString();
  const { body } = await create({ startsAt: at(HOUR) });
  const later = await prism.patch<SilenceBody>(`${PATH}/${body.id}`, { startsAt: at(2 * HOUR), endsAt: at(3 * HOUR) });
  assert.deepEqual([later.body.id, later.body.startsAt], [body.id, at(2 * HOUR)]);
  const now = await prism.patch<SilenceBody>(`${PATH}/${body.id}`, { startsAt: at(-HOUR) });
  assert.deepEqual([now.body.id === body.id, now.body.startsAt, now.body.state], [false, at(0), "active"]);
});

test("an active silence that is ended is expired at once, a pending one has never been active", async (t) => {
  const { create, get, prism, clock, silenceEvents, after } = await silenceWorld(t);
  const { body: active } = await create();
  const { body: pending } = await create({ startsAt: new Date(clock.now() + HOUR).toISOString() });
  await after(1000);
  for (const { id } of [active, pending]) assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  const now = new Date(clock.now()).toISOString();
  const shown = [await get(active.id), await get(pending.id)].map(({ state, startsAt, endsAt }) => [
    state,
    startsAt,
    endsAt,
  ]);
  assert.deepEqual(shown, [
    ["expired", active.startsAt, now],
    ["expired", now, now],
  ]);
  assert.equal((await prism.delete(`${PATH}/${active.id}`)).status, 204, "an expired one stays as it is");
  await after(DAY);
  assert.deepEqual(await silenceEvents(), ["silence.started", "silence.ended"]);
  assert.equal((await get(active.id)).version, 2);
});

test("a maintenance window starts and ends on each occurrence; one window can be skipped", async (t) => {
  const { create, get, open, silencing, prism, after, clock, silenceEvents } = await silenceWorld(t);
  const alert = await open({ team: "db" });
  clock.advance(DAY - (clock.now() % DAY));
  const recurrence = { cron: "0 22 * * *", durationMs: 8 * HOUR, timezone: "UTC" };
  const { status, body, text } = await create({ recurrence, durationMs: undefined });
  assert.deepEqual([status, body["kind"], body.state, body.endsAt], [201, "maintenance", "pending", null], text);
  await after(22 * HOUR);
  assert.deepEqual([silencing(alert), (await get(body.id)).state], [[body.id], "active"]);
  await after(8 * HOUR);
  assert.deepEqual([silencing(alert), (await get(body.id)).state], [[], "pending"]);
  await after(16 * HOUR);
  assert.deepEqual(silencing(alert), [body.id]);
  assert.equal((await prism.delete(`${PATH}/${body.id}?only=window`)).status, 204);
  assert.deepEqual([silencing(alert), (await get(body.id)).state], [[], "pending"]);
  const events = ["silence.started", "silence.ended", "silence.started", "silence.ended"];
  assert.deepEqual(await silenceEvents(), events);
  assert.equal((await prism.delete(`${PATH}/${body.id}?only=window`)).status, 204);
  await after(24 * HOUR);
  assert.deepEqual([silencing(alert), await silenceEvents()], [[], events], "the next window was skipped");
  await after(24 * HOUR);
  assert.deepEqual(silencing(alert), [body.id]);
  await prism.delete(`${PATH}/${body.id}`);
  assert.deepEqual([silencing(alert), (await get(body.id)).state], [[], "expired"]);
});

test("a client that knows no recurrence changes the current window only", async (t) => {
  const { create, get, open, silencing, after, clock, silences, projectId } = await silenceWorld(t);
  const alert = await open({ team: "db" });
  clock.advance(DAY - (clock.now() % DAY));
  const recurrence = { cron: "0 22 * * *", durationMs: 8 * HOUR, timezone: "UTC" };
  const { body } = await create({ recurrence, durationMs: undefined });
  await after(23 * HOUR);
  const window = { startsAt: clock.now() - HOUR, endsAt: clock.now() + 7 * HOUR };
  const matchers = [{ name: "team", operator: "=", value: "db" }] as const;
  const texts = { comment: "by amtool", createdBy: "amtool", annotations: {} };
  const draft = { projectId, kind: "silence", matchers, recurrence: null, ...texts } as const;
  const asClient = { id: body.id, mayBeBroad: true, seesWindow: true };
  const same = await silences().set({ ...draft, ...window }, asClient);
  assert.equal(same.silence.id, body.id, "the same window: its texts change");
  assert.deepEqual((await get(body.id))["recurrence"], recurrence);
  const longer = await silences().set({ ...draft, ...window, endsAt: window.endsAt + HOUR }, asClient);
  assert.notEqual(longer.silence.id, body.id);
  assert.deepEqual([silencing(alert), (await get(body.id)).state], [[longer.silence.id], "pending"]);
  await after(23 * HOUR);
  assert.deepEqual(silencing(alert), [body.id], "the next window is as it was");
});

test("the creator of a long silence is notified a day and an hour before its end", async (t) => {
  const { create, prism, after, silenceEvents } = await silenceWorld(t);
  const { body } = await create({ durationMs: 3 * DAY });
  await after(2 * DAY - 1);
  assert.equal(countOf(prism, "notifications"), 0);
  await after(1);
  await after(23 * HOUR);
  assert.deepEqual(await silenceEvents(), ["silence.started", "silence.expiring", "silence.expiring"]);
  const titles = rowsOf<{ title: string }>(prism, "select title from notifications order by createdAt");
  assert.deepEqual(titles, [{ title: "Silence ends in 24 hours: disks" }, { title: "Silence ends in 1 hour: disks" }]);
  const recipients = rowsOf<{ userId: string }>(prism, "select distinct userId from notification_recipients");
  assert.deepEqual(recipients, [{ userId: String(body["createdBy"]) }]);
});

test("a creator who left the project, and a name that is no user, are not notified", async (t) => {
  const { create, prism, after, projectId, silences, clock, silenceEvents } = await silenceWorld(t);
  await makeUser(prism, "karma");
  const long = { endsAt: clock.now() + 3 * DAY, startsAt: null, recurrence: null, comment: "", annotations: {} };
  const matchers = [{ name: "team", operator: "=", value: "db" }] as const;
  const draft = { ...long, projectId, kind: "silence", matchers } as const;
  await silences().set({ ...draft, createdBy: "karma" }, { mayBeBroad: true });
  await silences().set({ ...draft, createdBy: "0198c0de-0000-7000-8000-000000000000" }, { mayBeBroad: true });
  await create({ durationMs: HOUR });
  await after(3 * DAY);
  assert.equal((await silenceEvents()).filter((type) => type === "silence.expiring").length, 4);
  assert.equal(countOf(prism, "notifications"), 0);
});

test("changes, starts and ends make the incidents of matching alerts looked at again", async (t) => {
  const { create, prism, open, silences, after, alerts, projectId } = await silenceWorld(t);
  const { LiveSilences } = await import("../../../../src/features/alerts/silences/withholding.ts");
  const alert = await open({ team: "db", alertname: "A" });
  await open({ team: "web", alertname: "A" });
  const found: string[] = [];
  const live = new LiveSilences({
    reader: prism.parts.base.reader,
    log: prism.parts.base.log,
    alertsOf: (id) => alerts().list(id),
    reconsider: (id, ids) => found.push(`${id === projectId} ${ids.map((each) => each === alert.id)}`),
  });
  const { body } = await create();
  const row = await silences().find(body.id);
  assert.ok(row);
  live.changed([row]);
  await live.idle();
  assert.deepEqual(found, ["true true"], "a new silence");
  live.changed([{ ...row, comment: "other", version: 2 }]);
  await live.idle();
  assert.equal(found.length, 1, "its comment withholds nothing");
  live.changed([{ ...row, reportedUntil: row.endsAt }]);
  await live.idle();
  assert.equal(found.length, 2, "its end");
  const windows = [1, 2, 3].map((n) => ({ ...row, id: `${n}` }));
  live.changed(windows);
  await live.idle();
  assert.equal(found.length, 3, "many at once are one search");
  await after(0);
});

test("expired silences are kept for retention.silenceDays", async (t) => {
  const { create, prism, clock, after } = await silenceWorld(t);
  const { body } = await create();
  const { silences: service } = prism.parts.offers;
  await prism.parts.base.database.write((trx) =>
    service.recordHits(trx, [{ silenceId: body.id, alertId: "a", incidentId: "i" }], clock.now()),
  );
  const { silenceSweep } = await import("../../../../src/features/alerts/retention.ts");
  const sweep = (days: number) => silenceSweep(() => days).sweep(prism.parts.base.database, clock.now(), () => false);
  await after(HOUR + 5 * DAY - 1);
  assert.equal(await sweep(5), 0);
  await after(1);
  assert.equal(await sweep(0), 0, "0 keeps all");
  assert.equal(await sweep(5), 1);
  assert.deepEqual([countOf(prism, "silences"), countOf(prism, "silence_hits")], [0, 0]);
});

test("a restart keeps silences, and reports what happened meanwhile once", async (t) => {
  const { create, open, silencing, silenceEvents, prism, clock, after, silences } = await silenceWorld(t);
  const alert = await open({ team: "db" });
  const { body: short } = await create();
  const { body: long } = await create({ durationMs: 5 * HOUR });
  await prism.stop();
  clock.advance(2 * HOUR);
  await prism.restart();
  await silences().flush();
  assert.deepEqual(silencing(alert), [long.id]);
  assert.deepEqual(await silenceEvents(), ["silence.started", "silence.started", "silence.ended"]);
  await prism.restart();
  await after(0);
  assert.equal((await silenceEvents()).length, 3);
  assert.equal((await silences().find(short.id))?.endsAt, Date.parse(short.endsAt ?? ""));
});

test("a silence follows the wall clock when it is set back", async (t) => {
  const { create, open, silencing, after, clock, silenceEvents } = await silenceWorld(t);
  const alert = await open({ team: "db" });
  const { body } = await create({ durationMs: 2 * HOUR });
  clock.set(-HOUR);
  await after(2 * HOUR);
  assert.deepEqual(await silenceEvents(), ["silence.started"]);
  assert.deepEqual(silencing(alert), [body.id]);
  await after(HOUR);
  assert.deepEqual([silencing(alert), await silenceEvents()], [[], ["silence.started", "silence.ended"]]);
});

test("a silence of a deleted project ends without events", async (t) => {
  const { create, after, prism, silenceEvents } = await silenceWorld(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  await create({ projectId: shop.id, durationMs: 5 * HOUR });
  await create({ durationMs: 2 * HOUR });
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}`)).status, 204);
  await after(4 * HOUR);
  await after(HOUR);
  const started = ["silence.started", "silence.started"];
  assert.deepEqual(await silenceEvents(), [...started, "silence.ended"]);
  assert.equal(countOf(prism, "notifications"), 0);
});
