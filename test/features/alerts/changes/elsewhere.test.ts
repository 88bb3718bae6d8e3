import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Incidents } from "../../../../src/features/alerts/incidents/engine.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { ChangeWorld, MINUTE } from "./support.ts";

/* Alerts that get worse on their way to another incident, and others that stay or were there before. */

const alert = (host: string, severity: string) => ({ key: host, labels: { alertname: "Disk", host, severity } });

/** Critical alerts ask ann and the room, then ben; all others ben, the room and webhooks. */
async function routed(t: TestContext): Promise<ChangeWorld> {
  const world = await ChangeWorld.start(t);
  const [, room, am, hook] = world.steps;
  const steps = [{ type: "notify", users: ["ben"] }, room, am, hook];
  const low = { name: "Low", steps, renotifyOnNew: false };
  await answered(201, world.world.prism.post("/api/v1/policies", low));
  const high = [
    { type: "notify", users: ["ann"] },
    // It reaches someone, so that the wait is not shortened.
    room,
    { type: "wait", ms: 10 * MINUTE },
    { type: "notify", users: ["ben"] },
  ];
  const policy = { name: "High", steps: high, renotifyOnNew: false };
  await answered(201, world.world.prism.post("/api/v1/policies", policy));
  await world.route({ policy: "Low", routes: [{ matchers: ['severity="critical"'], policy: "High" }] });
  return world;
}

async function post(world: ChangeWorld, ...alerts: object[]): Promise<void> {
  await answered(200, world.world.prism.post("/api/v1/alerts", { alerts }));
  await world.settle();
}

test("a rise into an incident that was open before is told to those of the old one, though the new one has notified them", async (t) => {
  const world = await routed(t);
  await post(world, alert("a", "critical"));
  await world.pass(11 * MINUTE);
  assert.deepEqual(await world.notices(), ["ann: Critical: Disk (a)", "ben: Critical: Disk (a)"]);
  await post(world, alert("b", "warning"));
  await world.pass(MINUTE);
  assert.deepEqual((await world.notices()).slice(2), ["ben: Warning: Disk (b)"]);
  await post(world, alert("b", "critical"));
  // Within the group wait, as the urgency rises.
  await world.pass(30_000);
  assert.deepEqual((await world.notices()).slice(3), ["ben: Moved to #1, now critical: Disk (b)"]);
  const [into, old] = await world.rows();
  assert.deepEqual([into?.firing, old?.state, old?.resolvedBy], [2, "resolved", "moved"]);
});

test("a rise into another incident is told where others stay, without new steps there", async (t) => {
  const world = await routed(t);
  await post(world, alert("a", "warning"), alert("b", "warning"));
  await world.pass(MINUTE);
  assert.deepEqual(await world.notices(), ["ben: Warning: Disk, 2 alerts"]);
  await world.act("acknowledge");
  await world.settle();
  const before = { room: world.room.posts.length, am: world.posts("/am").length, prism: world.posts("/prism").length };
  await post(world, alert("b", "critical"));
  await world.pass(MINUTE);

  assert.deepEqual((await world.notices()).slice(1).sort(), [
    "ann: Critical: Disk (b)",
    "ben: Critical (was warning): Disk",
  ]);
  const messages = await world.world.db.read.selectFrom("notifications").select(["title", "message"]).execute();
  const told = messages.find(({ title }) => title.includes("was warning"))?.message ?? "";
  assert.match(told, /host=b.*, was warning/);
  assert.match(told, /1 alert got worse; moved to incident 2\. The incident is acknowledged\./);
  const [old] = await world.rows();
  assert.deepEqual([old?.state, old?.firing], ["acknowledged", 1]);
  assert.match(JSON.stringify(world.room.posts.slice(before.room)), /was warning/);
  assert.equal(world.posts("/prism").length, before.prism + 1);
  const { reason, incident } = world.posts("/prism").at(-1) ?? {};
  const { number, severityBefore, movedTo } = incident ?? {};
  assert.deepEqual([reason, number, severityBefore, movedTo], ["severity-raised", 1, "warning", 2]);
  // The end of the old labels comes before the other incident is looked at.
  assert.deepEqual(world.entries().slice(before.am), [["firing warning", "resolved warning"], ["firing warning"]]);
  const kinds = old ? (await world.log(old)).map(({ kind }) => kind) : [];
  assert.ok(!kinds.includes("steps-restarted"), kinds.join());

  // Once: later looks, and what becomes of it elsewhere, are news there only.
  const count = (await world.notices()).length;
  await world.pass(8 * MINUTE);
  assert.equal((await world.notices()).length, count);
});

test("a rise of an alert that is silenced on its way is told when the silence ends, also after a restart", async (t) => {
  const world = await routed(t);
  await post(world, alert("a", "warning"), alert("b", "warning"));
  await world.pass(MINUTE);
  const silence = { matchers: ['host="b"'], durationMs: 600 * MINUTE, comment: "test" };
  const { body } = await answered(201, world.world.prism.post<{ id: string }>("/api/v1/silences", silence));
  await post(world, alert("b", "critical"));
  await world.pass(11 * MINUTE);
  assert.equal((await world.notices()).length, 1);
  await world.world.prism.restart();
  await world.settle();
  assert.equal((await world.world.prism.delete(`/api/v1/silences/${body.id}`)).status, 204);
  await eventually("those of the old incident are told", async () => {
    await world.settle();
    return (await world.notices()).includes("ben: Critical (was warning): Disk");
  });
});

test("a webhook is told the end of an alert that another incident has not told it, and no end of one that it has", async (t) => {
  const world = await ChangeWorld.start(t);
  const [, room, am] = world.steps;
  const policies = { First: [am], AtOnce: [am], Later: [room, { type: "wait", ms: 60 * MINUTE }, am] };
  for (const [name, steps] of Object.entries(policies))
    await answered(201, world.world.prism.post("/api/v1/policies", { name, steps }));
  await world.route({ policy: "First" });
  await world.report("warning");
  await world.pass(MINUTE);
  const moveTo = async (policy: string, count: number): Promise<void> => {
    await world.route({ policy });
    await eventually("the alert has moved", async () => (await world.rows()).length === count);
    await world.pass(6 * MINUTE);
  };
  await moveTo("AtOnce", 2);
  assert.deepEqual(world.entries(), [["firing warning"], ["firing warning"]], "it goes on");
  await moveTo("Later", 3);
  assert.deepEqual(world.entries().slice(2), [["resolved warning"]]);
});

test("alerts whose routes changed when the process ended move at its next start", async (t) => {
  const world = await ChangeWorld.start(t);
  const steps = [{ type: "notify", users: ["ben"] }];
  await answered(201, world.world.prism.post("/api/v1/policies", { name: "Low", steps }));
  await world.report("warning");
  await world.pass(MINUTE);
  const moves = t.mock.method(Incidents.prototype, "reroute", () => undefined);
  await world.route({ policy: "Low" });
  await world.pass(6 * MINUTE);
  assert.equal((await world.rows()).length, 1);
  moves.mock.restore();
  await world.world.prism.restart();
  await eventually("the alert has moved", async () => (await world.rows()).length === 2);
  await world.pass(6 * MINUTE);
  assert.deepEqual((await world.notices()).slice(1), ["ben: Warning: Disk (db-1)", "ann: Moved to #2: Disk (db-1)"]);
});

test("where no document was edited an incident stays, whatever policies become known", async (t) => {
  const world = await ChangeWorld.start(t);
  const { prism } = world.world;
  const { id: projectId } = (await answered(201, prism.post<{ id: string }>("/api/v1/projects", { name: "Plain" })))
    .body;
  await world.world.fire("Job", { projectId, labels: { alertname: "Job", channels: "Later" } });
  const policy = { projectId, name: "Later", steps: [{ type: "webhook", url: `${world.hook.url}/am` }] };
  await answered(201, prism.post("/api/v1/policies", policy));
  await prism.restart();
  await world.pass(MINUTE);
  await answered(201, prism.post("/api/v1/policies", { ...policy, name: "Other" }));
  await world.pass(MINUTE);
  const own = (await world.rows()).filter((row) => row.projectId === projectId);
  assert.deepEqual(
    own.map(({ policyId, state }) => [policyId, state]),
    [[projectId, "open"]],
  );
});

test("an incident lists an alert that has left it as such, after its own, and Opsgenie's API shows the state where it is", async (t) => {
  const world = await routed(t);
  const { prism } = world.world;
  const made = await answered(
    201,
    prism.post<{ key: string }>("/api/v1/integrations", { kind: "opsgenie", name: "og", labels: {} }),
  );
  const options = { token: null, headers: { Authorization: `GenieKey ${made.body.key}` } };
  for (const alias of ["stays", "goes"])
    await answered(202, prism.request("POST", "/v2/alerts", { message: "Disk", alias, priority: "P3" }, options));
  await world.settle();
  await world.pass(MINUTE);
  await world.act("acknowledge");
  const priority = { priority: "P1" };
  await answered(202, prism.request("PUT", "/v2/alerts/goes/priority?identifierType=alias", priority, options));
  await world.pass(MINUTE);
  const [old] = await world.rows();
  type Listed = { alertList: { labels: Record<string, string>; leftAt: string | null; withheld: unknown }[] };
  const { alertList } = (await prism.get<Listed>(`/api/v1/incidents/${old?.id}`)).body;
  assert.deepEqual(
    alertList.map(({ labels, leftAt }) => [labels["priority"], leftAt === null]),
    [
      ["P3", true],
      ["P1", false],
    ],
  );
  const shown = async (alias: string): Promise<boolean> => {
    type View = { data: { acknowledged: boolean } };
    const path = `/v2/alerts/${alias}?identifierType=alias`;
    return (await answered(200, prism.request<View>("GET", path, undefined, options))).body.data.acknowledged;
  };
  assert.deepEqual([await shown("stays"), await shown("goes")], [true, false]);
});
