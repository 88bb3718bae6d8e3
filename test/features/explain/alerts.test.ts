import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { AlertExplanation, AlertTrial } from "../../../src/features/explain/alert-schema.ts";
import type { ExplainView } from "../../../src/features/explain/schema.ts";
import { answered } from "../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

const HOUR_MS = 60 * MINUTE;

class ExplainWorld {
  readonly world: IncidentWorld;

  constructor(world: IncidentWorld) {
    this.world = world;
  }

  static async start(t: TestContext, settings: Readonly<Record<string, string>> = {}): Promise<ExplainWorld> {
    return new ExplainWorld(await IncidentWorld.start(t, settings));
  }

  async made<T = { id: string }>(path: string, body: unknown, method: "post" | "put" = "post"): Promise<T> {
    const { status, body: answer, text } = await this.world.prism[method]<T>(`/api/v1${path}`, body);
    assert.ok(status < 300, text);
    return answer;
  }

  async explain<T = AlertExplanation>(path: string, token?: string): Promise<T> {
    const { status, body, text } = await this.world.prism.get<T>(
      `/api/v1/explain/${path}`,
      token === undefined ? {} : { token },
    );
    assert.equal(status, 200, text);
    return body;
  }

  /** A policy whose first step asks a schedule, and the route that leads everything to it. */
  async nightPolicy(users: readonly string[]): Promise<{ policy: string; schedule: string }> {
    const schedule = await this.made("/oncall/schedules", { name: "Database", timezone: "UTC" });
    if (users.length > 0)
      await this.made(`/oncall/schedules/${schedule.id}/shifts`, {
        name: "Weeks",
        start: new Date(this.world.clock.now() - HOUR_MS).toISOString().slice(0, 19),
        durationMs: 7 * 24 * HOUR_MS,
        turns: [users],
      });
    const policy = await this.made("/policies", {
      name: "Night",
      steps: [
        { type: "notify", schedules: [{ id: schedule.id }] },
        { type: "wait", ms: 5 * MINUTE },
        { type: "notify", members: true, urgency: "low" },
      ],
    });
    await this.made("/routes", { route: { policy: "Night", groupBy: ["alertname"], groupWaitMs: 0 } }, "put");
    return { policy: policy.id, schedule: schedule.id };
  }
}

const texts = (lines: readonly { text: string }[]): string => lines.map(({ text }) => text).join("\n");

test("explain says why people were notified of an incident: schedule, shift, step, delivery", async (t) => {
  const at = await ExplainWorld.start(t);
  const { world } = at;
  const anna = await world.member("anna");
  await world.member("ben");
  await at.nightPolicy(["anna"]);
  await world.fire("DiskFull");
  const incident = await world.only();

  await t.test("the incident, with what follows", async () => {
    const { answer, alerts, incidents } = await at.explain(`incident/${incident.id}`);
    assert.match(answer, /^1 person was notified: anna\. It is open; next, at .*: Step 3 notifies with low urgency/);
    const [story] = incidents;
    assert.ok(story);
    assert.match(texts(story.lines), /The root route led it to the policy Night \(version 1\)\./);
    assert.match(
      texts(story.lines),
      /Step 1 notified with high urgency: anna \(is on call on Database, shift Weeks \(single\)\)\./,
    );
    const reasons = story.people[0]?.reasons ?? [];
    assert.ok(reasons.includes("Step 1: is on call on Database, shift Weeks (single)"), reasons.join());
    assert.match(story.next[0]?.text ?? "", /^Step 3 notifies with low urgency: .*ben \(is a member of the project\)/);
    assert.equal(Date.parse(story.next[0]?.at ?? ""), world.clock.now() + 5 * MINUTE);
    assert.match(texts(alerts[0]?.lines ?? []), /A client of the native API sent it\. Labels: \{.*DiskFull/);
  });

  await t.test("the notification", async () => {
    const { id } = await world.db.read
      .selectFrom("notifications")
      .select("id")
      .where("incidentId", "=", incident.id)
      .executeTakeFirstOrThrow();
    const view = await at.explain<ExplainView>(`notification/${id}`);
    assert.match(
      view.answer,
      /^Step 1 notified with high urgency: anna .* It is of incident 1, and it went to 1 person/,
    );
    assert.match(texts(view.incident?.lines ?? []), /Labels: .*\nThe route .*\nIt was opened as incident 1/);
    const own = await at.explain<ExplainView>(`notification/${id}`, anna.token);
    assert.equal(own.scope, "own");
    assert.match(own.user?.reasons.join() ?? "", /^Firing: DiskFull: /);
  });

  await t.test("an acknowledgement and its end", async () => {
    await world.incidents.acknowledge(incident.id, { id: anna.id, via: "api" });
    const { answer } = await at.explain(`incident/${incident.id}`);
    assert.match(answer, /anna acknowledged it: the steps stop\.$/);
    await world.resolveAlert("DiskFull");
    await world.pass(10 * MINUTE);
    const ended = await at.explain(`incident/${incident.id}`);
    assert.match(ended.answer, /Resolved: all its alerts are resolved\.$/);
    assert.deepEqual(ended.incidents[0]?.next, []);
  });
});

test("explain says why no one was notified", async (t) => {
  const at = await ExplainWorld.start(t);
  const { world } = at;
  await world.member("anna");
  const { schedule } = await at.nightPolicy([]);

  await t.test("a schedule without anyone on call", async () => {
    await world.fire("DiskFull");
    const [incident] = await world.rows();
    const { answer } = await at.explain(`incident/${incident?.id}`);
    assert.match(
      answer,
      /^No one was notified\. Step 1 had targets without users: no active member is on call on Database\./,
    );
    assert.ok(schedule);
  });

  await t.test("a silence, with its comment, of the incident and of the alert", async () => {
    await at.made("/silences", {
      matchers: ['alertname="Quiet"'],
      durationMs: HOUR_MS,
      comment: "Disks are exchanged",
    });
    await world.fire("Quiet");
    const incident = (await world.rows()).at(-1);
    const { answer, alerts } = await at.explain(`incident/${incident?.id}`);
    const expected = 'silenced by "Disks are exchanged" of Developer';
    assert.ok(answer.startsWith(`No one was notified of 1 alert: ${expected}`), answer);
    const alert = await at.explain(`alert/${alerts[0]?.id}`);
    assert.ok(texts(alert.alerts[0]?.lines ?? []).includes(expected));
    assert.equal(alert.incidents[0]?.number, incident?.number);
  });

  await t.test("an alert that inhibits it, and a snooze", async () => {
    const inhibitRules = [
      { sourceMatchers: ['alertname="NodeDown"'], targetMatchers: ['alertname="Slow"'], equal: [] },
    ];
    const { version } = (await world.prism.get<{ version: number }>("/api/v1/routes")).body;
    const document = { route: { policy: "Night", groupBy: ["alertname"], groupWaitMs: 0 }, inhibitRules };
    await answered(200, world.prism.put("/api/v1/routes", document, { headers: { "If-Match": `"${version}"` } }));
    await world.fire("NodeDown");
    await world.fire("Slow");
    const slow = (await world.rows()).at(-1);
    const { answer } = await at.explain(`incident/${slow?.id}`);
    assert.match(answer, /of 1 alert: inhibited by the firing alert \{.*alertname="NodeDown".*\}\./);
    await world.incidents.snooze(slow?.id ?? "", world.clock.now() + HOUR_MS, { id: "operator", via: "api" });
    const snoozed = await at.explain(`incident/${slow?.id}`);
    assert.match(snoozed.answer, /It is snoozed until /);
    assert.match(texts(snoozed.incidents[0]?.lines ?? []), /The operator snoozed it until/);
  });

  await t.test("unknown ids", async () => {
    for (const [path, code] of [
      ["incident/0198c0de-0000-7000-8000-000000000000", "INCIDENT_NOT_FOUND"],
      ["alert/x", "ALERT_NOT_FOUND"],
    ] as const) {
      const { status, body } = await world.prism.get<{ error: { code: string } }>(`/api/v1/explain/${path}`);
      assert.deepEqual([status, body.error.code], [404, code]);
    }
  });
});

test("explain shows what would happen to labels, and stores nothing", async (t) => {
  const at = await ExplainWorld.start(t);
  const { world } = at;
  await world.member("anna");
  await at.nightPolicy(["anna"]);
  const labels = { alertname: "DiskFull", instance: "db-2" };
  const explain = () => at.made<AlertTrial>("/explain/alert", { labels });
  const count = async () => (await world.db.read.selectFrom("alerts").select("id").execute()).length;

  const fresh = await explain();
  assert.match(
    fresh.answer,
    /^The alert would open an incident of the policy Night\. Step 1 notifies with high urgency: anna/,
  );
  const [route] = fresh.routes;
  assert.deepEqual([route?.route, route?.groupKey, route?.incident], [["{}"], '{}:{alertname="DiskFull"}', null]);
  const steps = route?.next.map(
    ({ at: time, kind }) => `${(Date.parse(time ?? "") - world.clock.now()) / MINUTE} ${kind}`,
  );
  assert.deepEqual(steps, ["0 notified", "5 notified", "6 exhausted", "245 repeat"]);
  assert.equal(await count(), 0);

  await at.made("/silences", { matchers: ['instance="db-2"'], durationMs: HOUR_MS, comment: "Move" });
  assert.match((await explain()).answer, /No one would be notified: it is silenced by "Move" of [^.]+\.$/);

  await world.fire("DiskFull");
  const joining = await explain();
  assert.equal(joining.routes[0]?.incident?.number, 1);
  assert.equal(await count(), 1);
  await answered(400, world.prism.post("/api/v1/explain/alert", { labels: {} }));
});

test("explain says that a snooze or an acknowledgement keeps an alert that joins from notifying", async (t) => {
  const at = await ExplainWorld.start(t);
  const { world } = at;
  await world.member("anna");
  await at.nightPolicy(["anna"]);
  const labels = { alertname: "DiskFull", instance: "db-2" };
  const explain = (severity: string) => at.made<AlertTrial>("/explain/alert", { labels: { ...labels, severity } });
  await world.fire("DiskFull", { labels: { alertname: "DiskFull", severity: "warning" } });
  const { id } = await world.only();
  const by = { id: "operator", via: "api" } as const;
  const until = world.clock.now() + HOUR_MS;
  await world.incidents.snooze(id, until, by);

  const snoozed = await explain("warning");
  assert.equal(snoozed.routes[0]?.incident?.snoozedUntil, new Date(until).toISOString());
  assert.match(snoozed.answer, /would join incident 1 of .* It is snoozed until \S+: no one would be notified before,/);
  const ended = /which this alert ends: it is more urgent than those before\. Step 1 notifies .* anna/;
  assert.match((await explain("critical")).answer, ended);

  await world.incidents.unsnooze(id, by);
  await at.made(`/incidents/${id}/acknowledge`, {});
  const acknowledged = await explain("warning");
  assert.equal(acknowledged.routes[0]?.incident?.snoozedUntil, null);
  assert.match(
    acknowledged.answer,
    /It is acknowledged\. Those notified before are notified of the new alert\. Those who acknowledged it are not\.$/,
  );
  assert.match((await explain("critical")).answer, ended);
});

test("explain says that no channel reaches a user without address, device and login", async (t) => {
  const at = await ExplainWorld.start(t);
  const { world } = at;
  const anna = await world.member("anna");
  await at.nightPolicy(["anna"]);
  const trial = await at.made<AlertTrial>("/explain/alert", { labels: { alertname: "DiskFull" } });
  const [step] = trial.routes[0]?.next ?? [];
  const lacks = ["address", "device", "webhook", "login"];
  assert.deepEqual(
    step?.unreachable?.map((each) => [each.name, each.code, each.lacks]),
    [["anna", "no-channel", lacks]],
  );
  assert.match(step?.text ?? "", /anna: No channel reaches this user: no mail address, no active device/);

  await world.fire("DiskFull");
  const { id } = await world.only();
  const person = async (token?: string) => (await at.explain(`incident/${id}`, token)).incidents[0]?.people[0];
  const seen = await person();
  assert.deepEqual(seen?.unreachable?.lacks, lacks);
  assert.ok(seen?.reasons.some((text) => text.startsWith("No channel reaches this user")));
  const viewer = await world.member("ben");
  assert.equal((await person(viewer.token))?.unreachable, null, "not for others");

  const notices = await world.db.read.selectFrom("notifications").select("id").where("incidentId", "=", id).execute();
  const path = `notification/${notices[0]?.id}?userId=anna`;
  const view = await at.explain<ExplainView>(path);
  assert.equal(view.notifications[0]?.recipients[0]?.unreachable?.code, "no-channel");
  assert.ok(view.user?.reasons.some((text) => text.startsWith("No channel reaches this user")));

  await world.db.write((trx) =>
    trx.updateTable("users").set({ email: "anna@example.org" }).where("id", "=", anna.id).execute(),
  );
  assert.equal((await person())?.unreachable, null);
  assert.equal((await at.explain<ExplainView>(path)).notifications[0]?.recipients[0]?.unreachable, null);
});

test("explain of an incident answers for a named user, and puts the silence first", async (t) => {
  const at = await ExplainWorld.start(t);
  const { world } = at;
  const ann = await world.member("ann");
  const bert = await world.member("bert");
  await at.made("/policies", { name: "One", steps: [{ type: "notify", users: ["ann"] }] });
  await at.made("/routes", { route: { policy: "One", groupBy: ["alertname"], groupWaitMs: 0 } }, "put");
  await world.fire("Disk");
  const [incident] = await world.rows();
  const path = `incident/${incident?.id}?userId=bert`;
  const { incidents } = await at.explain(path);
  assert.deepEqual(incidents[0]?.user, {
    ...{ id: bert.id, name: "bert", notified: false },
    lines: ["Step 1 notified ann, not bert: bert is not named in it."],
  });
  const paged = await at.explain(`incident/${incident?.id}?userId=${ann.id}`);
  assert.equal(paged.incidents[0]?.user?.notified, true);
  await answered(403, world.prism.get(`/api/v1/explain/${path}`, { token: ann.token }));

  await at.made("/silences", { matchers: ['alertname="Quiet"'], durationMs: HOUR_MS, comment: "Disks are exchanged" });
  await world.fire("Quiet");
  const quiet = (await world.rows()).at(-1);
  const silenced = await at.explain(`incident/${quiet?.id}?userId=bert`);
  assert.match(silenced.incidents[0]?.user?.lines[0] ?? "", /silenced by "Disks are exchanged" of /);
});

test("explain of an incident that fell back names those whom the fallback notified", async (t) => {
  // With a way outside of the app an incident that reaches no one falls back.
  const at = await ExplainWorld.start(t, { "smtp.host": "127.0.0.1", "smtp.port": "9" });
  const { world } = at;
  const gone = await world.member("gone");
  const ann = await world.member("ann");
  await world.db.write((trx) =>
    trx.updateTable("users").set({ email: "ann@example.org" }).where("id", "=", ann.id).execute(),
  );
  await at.made("/policies", { name: "Second", steps: [{ type: "notify", users: ["ann"] }] });
  const fallback = "Second";
  await at.made("/policies", { name: "First", steps: [{ type: "notify", users: ["gone"] }], fallback });
  await at.made("/routes", { route: { policy: "First", groupBy: ["alertname"], groupWaitMs: 0 } }, "put");
  assert.equal((await world.prism.patch(`/api/v1/users/${gone.id}`, { status: "disabled" })).status, 200);
  await world.fire("Disk");
  const { id } = await world.only();
  const { incidents } = await at.explain(`incident/${id}?userId=${ann.id}`);
  assert.equal(incidents[0]?.user?.notified, true, JSON.stringify(incidents[0]));
  assert.ok(incidents[0]?.people.some(({ userId }) => userId === ann.id));
  const other = await at.explain(`incident/${id}?userId=${gone.id}`);
  assert.equal(other.incidents[0]?.user?.notified, false);
});
