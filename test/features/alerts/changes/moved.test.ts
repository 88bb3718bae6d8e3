import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { opsgenieApi } from "../../channels/presets/on-call.ts";
import { pagerdutyEvents } from "../../channels/presets/pagerduty.ts";
import { type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { ChangeWorld, MINUTE } from "./support.ts";

/** Critical alerts go to ann, ben, the room and webhooks, all others to ben and a webhook. */
async function routed(t: Parameters<typeof ChangeWorld.start>[0]): Promise<ChangeWorld> {
  const world = await ChangeWorld.start(t);
  const steps = [
    { type: "notify", users: ["ben"] },
    { type: "webhook", url: `${world.hook.url}/am`, format: "alertmanager" },
  ];
  await answered(201, world.world.prism.post("/api/v1/policies", { name: "Low", steps }));
  const high = { matchers: ['severity="critical"'], policy: "default", groupWaitMs: 30_000 };
  await world.route({ policy: "Low", groupWaitMs: 3 * MINUTE, routes: [high] });
  return world;
}

test("an incident whose last alert has another route ends as moved after the new one has told of it", async (t) => {
  const world = await routed(t);
  await world.report("critical");
  await world.pass(MINUTE);
  assert.deepEqual(await world.notices(), ["ann: Critical: Disk (db-1)"]);
  await world.report("warning");
  await world.pass(119_000);
  await world.pass(1000);
  const [old, next] = await world.rows();
  assert.deepEqual([old?.firing, next?.firing], [0, 1]);
  await world.pass(15 * MINUTE);
  const [ended] = await world.rows();
  assert.deepEqual([ended?.state, ended?.resolvedBy], ["resolved", "moved"]);
  assert.deepEqual(await world.notices(), [
    "ann: Critical: Disk (db-1)",
    // Nothing of a critical one that is none any more.
    "ben: Warning: Disk (db-1)",
    "ann: Moved to #2: Disk (db-1)",
  ]);
  assert.match(JSON.stringify(world.room.posts.at(-1)), /Moved to #2/);
  const log = ended ? await world.log(ended) : [];
  const end = { by: "moved", incidentId: next?.id, number: 2 };
  assert.deepEqual(log.find(({ kind }) => kind === "resolved")?.data, end);
  assert.ok(log.some(({ kind }) => kind === "alerts-moved"));
  // The same webhook is in both policies: the end of the old labels comes first.
  const entries = world.entries();
  assert.deepEqual(entries.slice(0, 3), [["firing critical"], ["resolved critical"], ["firing warning"]]);
  assert.ok(!entries.slice(3).flat().includes("firing critical"));
});

test("a rise to another route is told to those who knew: people whom the new incident pages get one notice", async (t) => {
  const world = await routed(t);
  await world.report("warning");
  await world.pass(4 * MINUTE);
  assert.deepEqual(await world.notices(), ["ben: Warning: Disk (db-1)"]);
  await world.report("critical");
  await world.pass(6 * MINUTE);
  assert.deepEqual((await world.notices()).slice(1), [
    "ann: Critical: Disk (db-1)",
    "ben: Moved to #2, now critical: Disk (db-1)",
  ]);
});

test("with others left the alert counts as ended there, and an alert that is back before the look has never left", async (t) => {
  const world = await routed(t);
  const post = (alerts: object[]) => answered(200, world.world.prism.post("/api/v1/alerts", { alerts }));
  const alert = (host: string, severity: string) => ({ key: host, labels: { alertname: "Disk", host, severity } });
  await post([alert("a", "critical"), alert("b", "critical")]);
  await world.pass(MINUTE);
  await post([alert("a", "warning")]);
  await world.settle();
  assert.equal((await world.rows())[0]?.firing, 1);
  await post([alert("a", "critical")]);
  await world.pass(20 * MINUTE);
  const rows = await world.rows();
  assert.deepEqual(
    [rows[0]?.firing, rows[0]?.state, rows[1]?.state, rows[1]?.resolvedBy],
    [2, "open", "resolved", "moved"],
  );
  assert.ok(!(await world.notices()).join().includes("Moved"), (await world.notices()).join());
  await post([alert("a", "warning")]);
  await world.pass(11 * MINUTE);
  const kinds = rows[0] ? (await world.log(rows[0])).map(({ kind }) => kind) : [];
  assert.ok(kinds.includes("some-resolved"), kinds.join());
  assert.equal((await world.rows())[0]?.state, "open");
  // Its end is that of the new incident only.
  await post([
    { key: "a", status: "resolved" },
    { key: "b", status: "resolved" },
  ]);
  await world.pass(MINUTE);
  const ended = await world.rows();
  assert.deepEqual(
    ended.map(({ state, resolvedBy, firing }) => [state, resolvedBy, firing]),
    [
      ["resolved", "alerts", 0],
      ["resolved", "moved", 0],
      ["resolved", "alerts", 0],
    ],
  );
});

test("an alert that is only listed from now on ends its incident", async (t) => {
  const world = await ChangeWorld.start(t);
  await answered(201, world.world.prism.post("/api/v1/policies", { name: "Listed", steps: [], opensIncidents: false }));
  await world.route({ routes: [{ matchers: ['severity="info"'], policy: "Listed" }] });
  await world.report("warning");
  await world.pass(MINUTE);
  await world.report("info");
  await world.pass(6 * MINUTE);
  const row = await world.world.only();
  assert.deepEqual([row.state, row.resolvedBy], ["resolved", "moved"]);
  assert.equal((await world.notices()).at(-1), "ann: Moved: Disk (db-1)");
});

test("a changed routing document moves alerts as well; where only the path differs the incident stays", async (t) => {
  const world = await ChangeWorld.start(t);
  const steps = [{ type: "notify", users: ["ben"] }];
  await answered(201, world.world.prism.post("/api/v1/policies", { name: "Low", steps }));
  await world.report("warning");
  await world.pass(MINUTE);
  await world.route({ routes: [{ matchers: ['severity="warning"'], policy: "default" }] });
  await world.pass(6 * MINUTE);
  assert.equal((await world.world.only()).state, "open");
  await world.route({ routes: [{ matchers: ['severity="warning"'], policy: "Low" }] });
  await eventually("the alert has moved", async () => (await world.rows()).length === 2);
  await world.pass(6 * MINUTE);
  const [old, next] = await world.rows();
  assert.deepEqual([old?.state, old?.resolvedBy, next?.state], ["resolved", "moved", "open"]);
  assert.deepEqual((await world.notices()).slice(1), ["ben: Warning: Disk (db-1)", "ann: Moved to #2: Disk (db-1)"]);
});

test("keyed services get the end of an incident that has moved, under its key, and the new one under another", async (t) => {
  const world = await ChangeWorld.start(t);
  const { prism, projectId } = world.world;
  const services: StandIn[] = [];
  const steps: object[] = [];
  for (const service of [pagerdutyEvents(), opsgenieApi()]) {
    const standIn = await startStandIn(t, service);
    const body = { name: service.preset, preset: service.preset, fields: service.fields(standIn.url), projectId };
    const { id } = (await answered(201, prism.post<{ id: string }>("/api/v1/channels", body))).body;
    services.push(standIn);
    steps.push({ type: "channel", id });
  }
  for (const name of ["High", "Low"]) await answered(201, prism.post("/api/v1/policies", { name, steps }));
  const high = { matchers: ['severity="critical"'], policy: "High" };
  await world.route({ policy: "Low", routes: [high] });
  await world.report("critical");
  await world.pass(MINUTE);
  const states = () => services.map(({ seen }) => seen.map(({ state }) => state === "resolved"));
  assert.deepEqual(states(), [[false], [false]]);
  await world.report("warning");
  await world.pass(6 * MINUTE);
  const [old, next] = await world.rows();
  assert.deepEqual([old?.resolvedBy, next?.state], ["moved", "open"]);
  assert.deepEqual(states(), [
    [true, false],
    [true, false],
  ]);
  for (const { seen } of services)
    assert.ok(seen[0]?.id.includes(old?.id ?? "-") && seen[1]?.id.includes(next?.id ?? "-"));
  // The end comes after the new one.
  assert.match(services[0]?.requests.at(-1)?.text ?? "", /"event_action":"resolve"/);
  assert.match(services[1]?.requests.at(-1)?.path ?? "", /\/close$/);
});
