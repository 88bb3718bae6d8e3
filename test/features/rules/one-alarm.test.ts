import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered } from "../../helpers/prism.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { slackWebhook } from "../channels/presets/slack.ts";
import { type StandIn, startStandIn } from "../channels/support/stand-in.ts";
import { ReceiverTest } from "../intake/receivers/support.ts";

const PEOPLE = ["ann", "bob"] as const;

interface World {
  readonly it: ReceiverTest;
  readonly ids: ReadonlyMap<string, string>;
  readonly chats: ReadonlyMap<string, StandIn>;
}

/** Two people, each with a chat of their own. */
async function worldOf(t: TestContext): Promise<World> {
  const limits = { "delivery.perUser": "100000", "delivery.perUserBurst": "100000", "rateLimit.enabled": "false" };
  const it = await ReceiverTest.start(t, { settings: { ...limits, "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const ids = new Map<string, string>();
  const chats = new Map<string, StandIn>();
  for (const name of PEOPLE) {
    const { id, token } = await makeUser(it.prism, name);
    const chat = await startStandIn(t, slackWebhook());
    const body = { name, preset: "slack", fields: chat.service.fields(chat.url) };
    await answered(201, it.prism.post("/api/v1/channels", body, { token }));
    ids.set(name, id);
    chats.set(name, chat);
  }
  return { it, ids, chats };
}

/** A project of its own, of which both are members. */
async function projectOf({ it: { prism }, ids }: World, name: string): Promise<string> {
  const { id } = await makeProject(prism, name);
  await prism.services.db.write((trx) =>
    trx
      .insertInto("project_members")
      .values([...ids.values()].map((userId) => ({ projectId: id, userId, role: "editor", createdAt: 1 })))
      .execute(),
  );
  prism.rightsChanged();
  return id;
}

/** Everything that the events cause has happened: incidents, deliveries and pages. */
async function settle({ it: { prism } }: World): Promise<void> {
  await eventually("all is sent", () => {
    const soon = Date.now() + 1000;
    const open = [
      "events where processedAt is null",
      "alert_signals",
      `incidents where state <> 'resolved' and flushAt <= ${soon}`,
      "jobs where state in ('ready', 'running', 'retrying')",
      `jobs where state = 'scheduled' and runAt <= ${soon}`,
      "pages where outcome in ('queued', 'trying')",
    ];
    return open.every((table) => countOf(prism, table) === 0);
  });
}

/** What the server has done about the alarms of a project. */
function historyOf({ it: { prism } }: World, projectId: string): readonly object[] {
  const ofProject = `projectId = '${projectId}'`;
  return [
    `l.* from incident_log l join incidents i on i.id = l.incidentId where i.${ofProject} order by l.at, l.seq`,
    `* from pages where ${ofProject} order by createdAt`,
    `* from alerts where ${ofProject}`,
  ].flatMap((query) => rowsOf<object>(prism, `select ${query}`));
}

/** The titles that each person got since the last call. */
function messagesOf({ chats }: World): { readonly ann: string[]; readonly bob: string[] } {
  const of = (name: string): string[] => (chats.get(name)?.seen.splice(0) ?? []).map(({ text }) => titleOf(text));
  return { ann: of("ann"), bob: of("bob") };
}

function titleOf(text: string): string {
  return /\*(.+?)\*/.exec(text)?.[1] ?? text;
}

interface Combination {
  /** Rules that name Ann, and whether one names Bob. */
  readonly forAnn: 0 | 1 | 2;
  readonly forBob: boolean;
  /** None, one that a receiver opens beside its event, one of a rule, or one of the rule that names Ann. */
  readonly alert: "none" | "beside" | "rule" | "rule for Ann";
  readonly isSilenced: boolean;
}

const COMBINATIONS: readonly Combination[] = ([0, 1, 2] as const).flatMap((forAnn) =>
  [false, true].flatMap((forBob) =>
    (["none", "beside", "rule", "rule for Ann"] as const).flatMap((alert) =>
      [false, true].map((isSilenced) => ({ forAnn, forBob, alert, isSilenced })),
    ),
  ),
);

async function makeRules({ it: { prism } }: World, projectId: string, { forAnn, forBob, alert }: Combination) {
  const post = async (body: object): Promise<void> => {
    await answered(201, prism.post("/api/v1/rules", { projectId, condition: "event.level == 'error'", ...body }));
  };
  const ofAnn = alert === "rule for Ann" ? { alert: { severity: "critical" } } : {};
  for (let n = 0; n < forAnn; n++)
    await post({ name: `Ann ${n} ${projectId}`, targetUsers: ["ann"], priority: n * 10, ...(n === 0 ? ofAnn : {}) });
  if (forBob) await post({ name: `Bob ${projectId}`, targetUsers: ["bob"] });
  if (alert === "rule") await post({ name: `Alert ${projectId}`, alert: { severity: "critical" } });
}

test("one alarm leaves at most once for each person, and not at all while it is silenced: all combinations", async (t) => {
  const world = await worldOf(t);
  const { prism } = world.it;
  for (const [at, combination] of COMBINATIONS.entries()) {
    const { forAnn, forBob, alert, isSilenced } = combination;
    const words = JSON.stringify(combination);
    const projectId = await projectOf(world, `p${at}`);
    const receiver = await world.it.make({ name: `r${at}`, preset: "generic", projectId });
    await makeRules(world, projectId, combination);
    if (isSilenced) {
      const silence = { projectId, matchers: ['alertname=~".+"'], durationMs: 3_600_000, comment: "Known" };
      await answered(201, prism.post("/api/v1/silences", silence));
    }
    const alarm = { title: `Disk of db-${at} is full`, level: "error" };
    const more = alert === "beside" ? { key: `disk-${at}`, status: "firing" } : {};
    assert.equal((await world.it.send(receiver, { ...alarm, ...more })).status, 200);
    await settle(world);
    const got = messagesOf(world);
    const hasAlert = alert === "beside" || alert === "rule" || (alert === "rule for Ann" && forAnn > 0);
    const isTaken = forAnn > 0 || forBob || alert === "rule";
    const expected = hasAlert
      ? { ann: isSilenced ? 0 : 1, bob: isSilenced ? 0 : 1 }
      : // Without a rule the receiver notifies both.
        { ann: forAnn > 0 || !isTaken ? 1 : 0, bob: forBob || !isTaken ? 1 : 0 };
    const said = (): string => `${words}: ${JSON.stringify([got, historyOf(world, projectId)])}`;
    const counts = { ann: got.ann.length, bob: got.bob.length };
    assert.deepEqual(counts, expected, isDeepStrictEqual(counts, expected) ? words : said());
  }
  t.diagnostic(`${COMBINATIONS.length} combinations`);
});

test("the rule with the highest priority speaks; the others are in the inbox, and explain says why", async (t) => {
  const world = await worldOf(t);
  const { prism } = world.it;
  const projectId = await projectOf(world, "shop");
  for (const [name, priority] of [
    ["Low", 1],
    ["High", 90],
  ] as const)
    await prism.post("/api/v1/rules", {
      ...{ projectId, name, condition: "true", targetUsers: ["ann"], priority, titleTemplate: name },
    });
  const receiver = await world.it.make({ name: "r", preset: "generic", projectId });
  await world.it.send(receiver, { title: "Once" });
  await settle(world);
  assert.deepEqual(messagesOf(world).ann, ["High"]);
  const rows = rowsOf<{ title: string; state: string; reason: string | null }>(
    prism,
    "select n.title, d.state, d.reason from deliveries d join notifications n on n.id = d.notificationId where d.channel = 'service' order by n.title",
  );
  assert.deepEqual(rows, [
    { title: "High", state: "delivered", reason: null },
    { title: "Low", state: "skipped", reason: "same alarm" },
  ]);
  const inbox = countOf(prism, `notification_recipients where userId = '${world.ids.get("ann")}'`);
  assert.equal(inbox, 2, "both are listed");
});

test("ten errors of one alert are one message a person; ten loose ones also one of their number, unless that is silenced", async (t) => {
  const world = await worldOf(t);
  const { prism } = world.it;
  for (const [name, isAlert, isSilenced, expected] of [
    ["alert", true, false, 1],
    ["loose", false, false, 1],
    ["quiet", false, true, 0],
  ] as const) {
    const projectId = await projectOf(world, name);
    const receiver = await world.it.make({ name, preset: "generic", projectId, notify: "none" });
    if (isAlert)
      await prism.post("/api/v1/rules", { projectId, name, condition: "event.level == 'error'", alert: { key: "k" } });
    if (isSilenced)
      await prism.post("/api/v1/silences", {
        ...{ projectId, matchers: ['alertname="ErrorBurst"'], durationMs: 3_600_000, comment: "Known" },
      });
    for (let n = 0; n < 10; n++) await world.it.send(receiver, { title: `Request ${n} failed`, level: "error" });
    await settle(world);
    // Errors are counted after the commits that store them.
    if (expected > 0)
      await eventually("both are notified", () => [...world.chats.values()].every(({ seen }) => seen.length > 0));
    const { ann, bob } = messagesOf(world);
    assert.deepEqual([ann.length, bob.length], [expected, expected], `${name}: ${ann} ${bob}`);
  }
  assert.equal(scalarOf(prism, "select count(*) from notifications where kind = 'digest'"), 0);
});

test("explain of an event beside an alert names the incident that notified", async (t) => {
  const world = await worldOf(t);
  const { prism } = world.it;
  const projectId = await projectOf(world, "shop");
  const receiver = await world.it.make({ name: "r", preset: "generic", projectId });
  await world.it.send(receiver, { title: "Disk full", key: "disk", status: "firing", level: "error" });
  await settle(world);
  const [event] = rowsOf<{ id: string }>(prism, "select id from events where source = 'r'");
  assert.ok(event);
  const path = `/api/v1/explain/event/${event.id}`;
  const { body } = await prism.get<{ answer: string; incident: { number: number } }>(path);
  assert.match(body.answer, /Its alert is of incident 1, .*, which has notified \d people\.$/);
  assert.equal(body.incident.number, 1);
  const ofAnn = await prism.get<{ answer: string; user: { told: boolean } }>(`${path}?userId=ann`);
  assert.equal(ofAnn.body.user.told, true, ofAnn.text);
  assert.match(ofAnn.body.answer, /^ann was notified \(the alert of the event is of incident 1/);
});
