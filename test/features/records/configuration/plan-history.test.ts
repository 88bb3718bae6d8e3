import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { join, makeServiceToken } from "../../../http/support/access/makers.ts";
import { IncidentWorld, MINUTE } from "../../alerts/incidents/support.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

const DAY = 24 * 60 * MINUTE;
const HISTORY = { historyMs: 7 * DAY };

const policy = (name: string, steps: unknown): FileObject => ["policies", "default", { name, steps }];
const routes = (route: object, more: object = {}): FileObject => [
  "routes",
  "default",
  { route: { groupWait: "0s", groupBy: ["alertname"], ...route }, ...more },
];
const notify = (...users: string[]) => ({ type: "notify", users });
const NIGHT = policy("Night", [notify("ada"), { type: "wait", for: "5m" }, notify("ben")]);

/** Incidents of the policy Night: 1 DiskFull and 2 HostDown, which a switch inhibits or an interval mutes. */
async function startNight(t: TestContext) {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d", "rateLimit.enabled": "false" });
  const { prism } = world;
  for (const name of ["ada", "ben"]) await world.member(name);
  const cy = await world.member("cy");
  const first = await configure(prism, "apply", [NIGHT, routes({ policy: "Night" })]);
  assert.equal(first.status, 200, JSON.stringify(first.body));
  await world.fire("SwitchDown", { labels: { alertname: "SwitchDown", site: "fra" } });
  world.clock.advance(10 * MINUTE);
  await world.fire("HostDown", { labels: { alertname: "HostDown", site: "fra" } });
  world.clock.advance(MINUTE);
  await world.resolveAlert("HostDown", { labels: { alertname: "HostDown", site: "fra" } });
  await world.resolveAlert("SwitchDown", { labels: { alertname: "SwitchDown", site: "fra" } });
  await world.pass(DAY);
  const plan = async (files: readonly FileObject[], options: object = HISTORY) => {
    const { status, body } = await configure(prism, "plan", files, options as Record<string, unknown>);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(problemsOf(body), []);
    const { history } = body;
    const differing = history?.differing.map(
      ({ number, changes, before, after }) => `#${number} ${changes.join()}: ${shown(before)} -> ${shown(after)}`,
    );
    return { body, history, differing };
  };
  return { world, prism, plan, cy };
}

interface Outcome {
  readonly withheld: readonly string[];
  readonly people: readonly string[];
  readonly afterMs: number | null;
  readonly later: readonly string[];
}

const shown = ({ withheld, people, afterMs, later }: Outcome) =>
  [...withheld, people.join("+"), afterMs === null ? "never" : afterMs / MINUTE, later.join("+")].join(" ");

test("the incidents of the last days are compared with planned policies and routes", async (t) => {
  const { plan, world } = await startNight(t);
  const tables = async () =>
    JSON.stringify(await world.db.read.selectFrom("incidents").selectAll().orderBy("number").execute());
  const before = await tables();

  await t.test("other people, another time, and later ones", async () => {
    const others = await plan([policy("Night", [notify("cy"), { type: "wait", for: "5m" }, notify("ben")])]);
    assert.deepEqual([others.history?.incidents, others.history?.differences, others.history?.isCut], [2, 2, false]);
    assert.deepEqual(others.differing, ["#2 people: ada 0 ben -> cy 0 ben", "#1 people: ada 0 ben -> cy 0 ben"]);
    const later = await plan([policy("Night", [{ type: "wait", for: "3m" }, notify("ada")])]);
    assert.deepEqual(later.differing?.[0], "#2 time,later: ada 0 ben -> ada 3 ");
    const next = await plan([policy("Night", [notify("ada"), { type: "wait", for: "5m" }, notify("cy")])]);
    assert.deepEqual(next.differing?.[1], "#1 later: ada 0 ben -> ada 0 cy");
  });

  await t.test("another policy by a route, for its alerts only", async () => {
    const { differing } = await plan([
      NIGHT,
      policy("Hosts", [notify("cy")]),
      routes({ policy: "Night", routes: [{ matchers: ['alertname="HostDown"'], policy: "Hosts" }] }),
    ]);
    assert.deepEqual(differing, ["#2 people,later: ada 0 ben -> cy 0 "]);
  });

  await t.test("alerts that fired then inhibit, and intervals mute", async () => {
    const rule = {
      sourceMatchers: ['alertname="SwitchDown"'],
      targetMatchers: ['alertname="HostDown"'],
      equal: ["site"],
    };
    const inhibited = await plan([routes({ policy: "Night" }, { inhibitRules: [rule] })]);
    assert.deepEqual(inhibited.differing, ["#2 withheld: ada 0 ben -> inhibited  never "]);
    const always = { name: "always", intervals: [{ times: [{ start_time: "00:00", end_time: "24:00" }] }] };
    const child = { matchers: ['alertname="SwitchDown"'], muteIntervals: ["always"] };
    const muted = await plan([routes({ policy: "Night", routes: [child] }, { timeIntervals: [always] })]);
    assert.deepEqual(muted.differing, ["#1 withheld: ada 0 ben -> muted  never "]);
  });

  await t.test("nothing differs, nothing is asked, or nothing changes", async () => {
    const { history } = await plan([routes({ policy: "Night", labels: { team: "db" } })]);
    assert.deepEqual([history?.incidents, history?.differing, history?.rules], [2, [], []]);
    assert.equal((await plan([policy("Night", [notify("cy")])], {})).history, null);
    assert.equal((await plan([NIGHT])).history, null);
    const short = await plan([policy("Night", [notify("cy")])], { historyMs: MINUTE });
    assert.equal(short.history?.incidents, 0);
  });
  assert.equal(await tables(), before);
});

test("who may only read has the history and who is on call differently, without hosts and without a change", async (t) => {
  const { plan, world, prism } = await startNight(t);
  const { id, token } = await makeUser(prism, "eve");
  await join(prism, world.projectId, id, "viewer");
  const other = policy("Night", [notify("cy"), { type: "webhook", url: "https://10.0.0.1/" }]);
  const { body, differing } = await plan([other], { ...HISTORY, token });
  assert.deepEqual(
    body.mayNot.map(({ right }) => right),
    ["policies:write"],
  );
  assert.equal(differing?.[0], "#2 people,later,outside: ada 0 ben -> cy 0 ");
  const start = new Date(world.clock.now() - DAY).toISOString().slice(0, 19);
  const weeks = { name: "Weeks", start, duration: "7d", recurrence: { frequency: "weekly" } };
  const duty = (name: string): FileObject => [
    "oncall",
    "default",
    { name: "Duty", timezone: "UTC", shifts: [{ ...weeks, turns: [[name]] }] },
  ];
  assert.equal((await configure(prism, "apply", [duty("ada")])).status, 200);
  const turned = await plan([duty("ben")], { token });
  assert.deepEqual(
    turned.body.onCall.map(({ before, after }) => [before, after]),
    [[["ada"], ["ben"]]],
  );
  // What needs more than is run for a reader has no forecast, and is no problem of the files.
  const room: FileObject = [
    "channels",
    "default",
    { name: "Room", preset: "ntfy", fields: { topic: { env: "PRISM_SECRET_T" } } },
  ];
  const named = policy("Night", [{ type: "channel", name: "Room" }]);
  const { history } = await plan([room, named], { ...HISTORY, token });
  assert.equal(history, null);
  assert.equal((await configure(prism, "apply", [other], { token })).status, 409);
});

test("a changed schedule is compared as if its shifts had always been so, with the overrides of the time", async (t) => {
  const { plan, world, prism, cy } = await startNight(t);
  const start = new Date(world.clock.now() - 10 * DAY).toISOString().slice(0, 19);
  const duty = (turns: string[][]): FileObject => [
    "oncall",
    "default",
    {
      ...{ name: "Duty", timezone: "UTC" },
      shifts: [{ name: "All", start, duration: "90d", recurrence: { frequency: "monthly", interval: 6 }, turns }],
    },
  ];
  const night = policy("Night", [{ type: "notify", schedules: [{ name: "Duty" }] }]);
  const applied = await configure(prism, "apply", [duty([["ada"]]), night]);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const { differing } = await plan([duty([["ben"]]), night]);
  assert.deepEqual(differing, ["#2 people: ada 0  -> ben 0 ", "#1 people: ada 0  -> ben 0 "]);

  const [, second] = await world.rows();
  const iso = (at: number) => new Date(at).toISOString();
  const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/oncall/schedules?projectId=default");
  const override = {
    users: [cy.id],
    ...{ startLocal: iso((second?.openedAt ?? 0) - MINUTE), durationMs: 2 * MINUTE },
  };
  await world.db.write((trx) =>
    trx
      .insertInto("oncall_shifts")
      .columns([
        "id",
        "scheduleId",
        "kind",
        "name",
        "level",
        "startLocal",
        "durationMs",
        "timezone",
        "turns",
        "startTurn",
        "createdAt",
        "updatedAt",
        "version",
      ])
      .values({
        ...{ id: crypto.randomUUID(), scheduleId: body.data[0]?.id ?? "", kind: "override", name: "", level: 0 },
        ...{ startLocal: override.startLocal.slice(0, 19), durationMs: override.durationMs, timezone: "UTC" },
        ...{ turns: JSON.stringify([override.users]), startTurn: 0, createdAt: 0, updatedAt: 0, version: 1 },
      } as never)
      .execute(),
  );
  assert.deepEqual((await plan([duty([["ben"]]), night])).differing, ["#1 people: ada 0  -> ben 0 "]);
});

test("a changed rule says how many events match and notify, and who may not read events has no history", async (t) => {
  const { plan, prism, world } = await startNight(t);
  const rule = (condition: string, more: object = {}): FileObject => [
    "rules",
    "default",
    { name: "Big", condition, targetUsers: ["ada"], ...more },
  ];
  const many = "event.type == 'payment' && event.payload.amount > 10";
  assert.equal((await configure(prism, "apply", [rule(many)])).status, 200);
  for (const amount of [5, 20, 30, 5000])
    await answered(202, prism.post("/api/v1/events", { type: "payment", payload: { amount } }));
  world.clock.advance(MINUTE);
  const few = rule("event.type == 'payment' && event.payload.amount > 1000");
  const { history } = await plan([few]);
  const counts = { project: "default", name: "Big" };
  const [before, after] = [
    { matched: 3, fired: 3 },
    { matched: 1, fired: 1 },
  ];
  assert.deepEqual(history?.rules, [{ ...counts, before, after }]);
  const none = { matched: 0, fired: 0 };
  const added = await plan([["rules", "default", { name: "New", condition: many, targetUsers: ["ada"] }]]);
  assert.deepEqual(added.history?.rules, [{ ...counts, name: "New", before: none, after: before }]);
  assert.deepEqual((await plan([rule(many, { active: false })])).history?.rules, [{ ...counts, before, after: none }]);
  assert.deepEqual((await plan([rule(many, { titleTemplate: "Big" })])).history?.rules, []);

  const { id } = await makeUser(prism, "dan", ["Admin"]);
  await join(prism, world.projectId, id, "viewer");
  const { token } = await makeServiceToken(prism, id, { scopes: ["rules:read", "users:read"] });
  const { body } = await plan([few], { ...HISTORY, token });
  assert.deepEqual(
    body.mayNot.map(({ right }) => right),
    ["rules:write"],
  );
  assert.deepEqual([body.history?.notReadable, body.history?.rules, body.history?.incidents], [["default"], [], 0]);
});
