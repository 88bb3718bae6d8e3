import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { ChangeWorld, MINUTE } from "./support.ts";

/* Alerts that are in another incident now: what the one that they have left still says of them. */

const alert = (host: string, severity: string) => ({
  key: host,
  labels: { alertname: "Disk", team: "db", host, severity },
});

/** An incident of two alerts of which one has left for the policy `High`. */
async function oneHasLeft(t: TestContext): Promise<ChangeWorld> {
  const world = await ChangeWorld.start(t);
  const policy = { name: "High", steps: [{ type: "notify", users: ["ben"] }] };
  await answered(201, world.world.prism.post("/api/v1/policies", policy));
  await world.route({ routes: [{ matchers: ['severity="critical"'], policy: "High" }] });
  const post = (...alerts: object[]) => answered(200, world.world.prism.post("/api/v1/alerts", { alerts }));
  await post(alert("stays", "warning"), alert("goes", "warning"));
  await world.pass(MINUTE);
  await post(alert("goes", "critical"));
  await world.pass(MINUTE);
  return world;
}

test("an incident is shown as silenced if all its own alerts are, whatever those do that have left", async (t) => {
  const world = await oneHasLeft(t);
  const { prism } = world.world;
  const silence = { matchers: ['host="stays"'], durationMs: 60 * MINUTE, comment: "test" };
  await answered(201, prism.post("/api/v1/silences", silence));
  type List = { data: { number: number; isWithheld: boolean; withheldAs: string | null }[] };
  const { data } = (await prism.get<List>("/api/v1/incidents")).body;
  assert.deepEqual(
    data.map(({ number, withheldAs }) => [number, withheldAs]),
    [
      [2, null],
      [1, "silenced"],
    ],
  );
});

test("a silence from an incident has the labels of the alerts that are still there", async (t) => {
  const world = await oneHasLeft(t);
  const { prism } = world.world;
  const [row] = await world.rows();
  type Preview = { text: string };
  const { body } = await answered(200, prism.post<Preview>("/api/v1/silences/preview", { incidentId: row?.id }));
  assert.match(body.text, /host="stays"/);
});

test("the end of a moved incident reaches webhooks of the format prism, though its alerts go on elsewhere", async (t) => {
  const world = await ChangeWorld.start(t);
  const { prism } = world.world;
  const hook = world.steps[3];
  await answered(201, prism.post("/api/v1/policies", { name: "First", steps: [hook] }));
  await answered(201, prism.post("/api/v1/policies", { name: "Second", steps: [hook] }));
  await world.route({ policy: "First" });
  await world.report("warning");
  await world.pass(MINUTE);
  await world.route({ policy: "Second" });
  await eventually("the alert has moved", async () => (await world.rows()).length === 2);
  await world.pass(6 * MINUTE);
  const posts = world.posts("/prism").map(({ reason, incident, alerts }) => {
    const { number, movedTo } = incident ?? {};
    return [reason, number, movedTo, alerts.length];
  });
  assert.deepEqual(posts, [
    ["step", 1, null, 1],
    ["step", 2, null, 1],
    ["resolved", 1, 2, 0],
  ]);
});

test("moves that failed follow with the next change of the project's policies", async (t) => {
  const world = await ChangeWorld.start(t);
  const { prism, projectId } = world.world;
  const policy = { name: "Low", steps: [{ type: "notify", users: ["ben"] }] };
  await answered(201, prism.post("/api/v1/policies", policy));
  await world.report("warning");
  await world.pass(MINUTE);
  const { mock } = t.mock.method(prism.parts.offers.alerts, "find", () => {
    throw new Error("not now");
  });
  await world.route({ policy: "Low" });
  await eventually("the moves have failed", () => mock.callCount() > 0);
  mock.restore();
  await world.pass(6 * MINUTE);
  assert.equal((await world.rows()).length, 1);
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { renotifyOnNew: true }));
  await eventually("the alert has moved", async () => (await world.rows()).length === 2);
});
