import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "../../alerts/incidents/support.ts";
import { configure, type FileObject, problemsOf } from "./configuration.ts";

const policy = (name: string, ...users: string[]): FileObject => [
  "policies",
  "default",
  { name, steps: [{ type: "notify", users }] },
];
const routes = (route: object, more: object = {}): FileObject => [
  "routes",
  "default",
  { route: { groupWait: "0s", groupBy: ["alertname"], ...route }, ...more },
];

/** An open incident of the policy Night, which has paged ada. */
async function startOpen(t: TestContext, more: readonly FileObject[] = [routes({ policy: "Night" })]) {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  const { prism } = world;
  for (const name of ["ada", "ben", "cy"]) await world.member(name);
  const ask = async (mode: "plan" | "apply", files: readonly FileObject[], options = {}) => {
    const { status, body } = await configure(prism, mode, files, options);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(problemsOf(body), []);
    return body;
  };
  await ask("apply", [policy("Night", "ada"), ...more]);
  await world.fire("DiskFull");
  return { world, prism, ask };
}

test("a changed policy or schedule pages nobody of an open incident: it follows its version", async (t) => {
  const { world, ask } = await startOpen(t);
  assert.deepEqual(await world.notified(), ["step ada"]);
  const files = [policy("Night", "ben")];
  const { open } = await ask("plan", files);
  // Without a way outside of the app the steps have reached no one: those are asked again, as by any change of ways.
  assert.ok(
    open.every(({ pages }) => !pages),
    JSON.stringify(open),
  );
  await ask("apply", files);
  await world.pass(2 * MINUTE);
  assert.ok(
    (await world.notified()).every((each) => !each.includes("ben")),
    (await world.notified()).join("\n"),
  );
});

test("a changed route moves the alerts of open incidents, and the plan says whom that pages", async (t) => {
  const { world, ask } = await startOpen(t);
  const files = [policy("Night", "ada"), policy("Disks", "ben"), routes({ policy: "Disks" })];
  const { open } = await ask("plan", files);
  assert.deepEqual(
    open.map(({ project, number, effect, policy: to, people, pages }) => [project, number, effect, to, people, pages]),
    [["default", 1, "moves", "Disks", ["ben"], true]],
  );
  assert.deepEqual(await world.notified(), ["step ada"]);
  await ask("apply", files);
  await eventually("its alert has moved", async () => (await world.rows()).length === 2);
  await world.incidents.check();
  assert.ok((await world.notified()).includes("step ben"));
  assert.deepEqual((await ask("plan", files)).open, []);
});

test("an incident that routes no longer withhold begins, and one that they withhold is said", async (t) => {
  const always = { name: "always", intervals: [{ times: [{ start_time: "00:00", end_time: "24:00" }] }] };
  const never = { name: "always", intervals: [{ years: ["2001"] }] };
  const muting = { policy: "Night", routes: [{ matchers: ['alertname="DiskFull"'], muteIntervals: ["always"] }] };
  const muted = routes(muting, { timeIntervals: [always] });
  const { world, ask } = await startOpen(t, [muted]);
  assert.deepEqual(await world.notified(), []);
  const files = [routes(muting, { timeIntervals: [never] })];
  const { open } = await ask("plan", files);
  assert.deepEqual(
    open.map(({ effect, people, pages }) => [effect, people, pages]),
    [["begins", ["ada"], true]],
  );
  await ask("apply", files);
  await eventually("it begins", async () => {
    await world.incidents.check();
    return (await world.notified()).join() === "step ada";
  });
  const again = await ask("plan", [muted]);
  assert.deepEqual(
    again.open.map(({ effect, pages }) => [effect, pages]),
    [["withheld", false]],
  );
  // A silence withholds it on both sides.
  const ends = new Date(world.clock.now() + 60 * MINUTE).toISOString();
  const silence = { matchers: ['alertname="DiskFull"'], endsAt: ends, comment: "known" };
  await answered(201, world.prism.post("/api/v1/silences", silence));
  assert.deepEqual((await ask("plan", [muted])).open, []);
});

test("a heartbeat that is down and is deleted resolves its alert, which the plan says", async (t) => {
  const { prism, ask } = await startOpen(t);
  const beat: FileObject = ["heartbeats", "default", { name: "Nightly", timeout: "1d" }];
  await ask("apply", [beat]);
  const { body } = await prism.get<{ data: { pingUrl: string }[] }>("/api/v1/heartbeats?projectId=default");
  const url = new URL(body.data[0]?.pingUrl ?? "");
  await prism.get(`${url.pathname}/fail`);
  await eventually("it is down", async () => {
    const listed = await prism.get<{ data: { status: string }[] }>("/api/v1/heartbeats?projectId=default");
    return listed.body.data[0]?.status === "down";
  });
  const { changes } = await ask("plan", [policy("Night", "ada")], { prune: true });
  assert.deepEqual(
    changes.map(({ op, name, notes }) => [op, name, notes]),
    [
      ["delete", "Nightly", ["its alert is resolved"]],
      ["delete", "routes", []],
    ],
  );
});
