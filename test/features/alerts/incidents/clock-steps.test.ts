import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const HOUR = 60 * MINUTE;
const REFUSALS = 50;

/** A server with ann, whose clock is set back by an hour. */
async function setBackWorld(t: TestContext) {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const ann = await world.member("ann");
  world.clock.set(-HOUR);
  return { world, ann };
}

/** The policy notifies ann by these contact rules. */
async function setRules({ prism, projectId }: IncidentWorld, token: string, high: readonly object[]): Promise<void> {
  await answered(200, prism.put("/api/v1/users/me/contact-rules", { high, low: [] }, { token }));
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps: [{ type: "notify", users: ["ann"] }] }));
}

/** A channel that refuses messages. */
async function refusing(
  t: TestContext,
  { prism }: IncidentWorld,
  owner: { readonly projectId?: string; readonly token?: string },
): Promise<string> {
  const standIn = await startStandIn(t, httpServer());
  for (let n = 0; n < REFUSALS; n += 1) standIn.next.push({ status: 404, body: "gone" });
  const { projectId, token } = owner;
  const body = { name: "Way", preset: "http", fields: httpServer().fields(standIn.url), projectId };
  const made = prism.post<{ id: string }>("/api/v1/channels", body, token === undefined ? {} : { token });
  return (await answered(201, made)).body.id;
}

/** How long the scheduled jobs of a kind wait. */
async function waitsOf({ db, clock }: IncidentWorld, kind: string): Promise<number[]> {
  const jobs = db.read.selectFrom("jobs").select("runAt").where("kind", "=", kind).where("state", "=", "scheduled");
  return (await jobs.execute()).map(({ runAt }) => runAt - clock.now());
}

async function logOf(world: IncidentWorld): Promise<string[]> {
  return world.log((await world.only()).id);
}

test("after the clock was set back a contact rule is used when its time has passed", async (t) => {
  const { world, ann } = await setBackWorld(t);
  await setRules(world, ann.token, [{ afterMs: 5 * MINUTE, channels: ["email"] }]);
  await world.fire("A");
  assert.deepEqual(await waitsOf(world, "incident.contact"), [5 * MINUTE]);
  world.clock.advance(5 * MINUTE);
  world.prism.parts.offers.runner.enqueued([]);
  await eventually("it is used", async () => (await logOf(world)).includes("contact-notified"));
});

test("after the clock was set back the next contact rule is used at once when a way fails", async (t) => {
  const { world, ann } = await setBackWorld(t);
  await setRules(world, ann.token, [
    { afterMs: 0, channels: ["service"] },
    { afterMs: 5 * MINUTE, channels: ["email"] },
  ]);
  await refusing(t, world, ann);
  await world.fire("A");
  await eventually("it is used", async () => (await logOf(world)).includes("contact-notified"));
});

test("after the clock was set back a notice of failed ways waits for the end of its 15 minutes", async (t) => {
  const { world } = await setBackWorld(t);
  const { db, prism, projectId } = world;
  for (const [at, name] of ["A", "B"].entries()) {
    world.clock.advance(MINUTE);
    const steps = [{ type: "channel", id: await refusing(t, world, { projectId }) }];
    await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
    await world.fire(name);
    await eventually("its way has failed", async () => {
      const failed = await db.read
        .selectFrom("incident_log")
        .select("kind")
        .where("kind", "=", "page-failed")
        .execute();
      return failed.length > at;
    });
  }
  assert.deepEqual(await waitsOf(world, "incident.ways"), [14 * MINUTE]);
});

test("after the clock was set back the end for a service of a deleted project is looked at again soon", async (t) => {
  const { world } = await setBackWorld(t);
  const { prism } = world;
  const { id: projectId } = await makeProject(prism);
  const steps = [{ type: "channel", id: await refusing(t, world, { projectId }) }];
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
  await world.fire("A", { projectId });
  await answered(204, prism.delete(`/api/v1/projects/${projectId}`));
  await eventually("it waits", async () => (await waitsOf(world, "project.ways.delete")).length === 1);
  assert.deepEqual(await waitsOf(world, "project.ways.delete"), [MINUTE / 2]);
});

test("after the clock was set back a step notifies who is on call now, and explain names the same person", async (t) => {
  const { world } = await setBackWorld(t);
  const { prism, clock, projectId } = world;
  await world.member("bob");
  const fields = { projectId, name: "Night", timezone: "UTC" };
  const schedule = await answered(201, prism.post<{ id: string }>("/api/v1/oncall/schedules", fields));
  const { id } = schedule.body;
  const start = clock.now() - MINUTE;
  for (const [at, name] of ["ann", "bob"].entries()) {
    const shift = { start: new Date(start + at * HOUR).toISOString().slice(0, 19), durationMs: HOUR, turns: [[name]] };
    await answered(201, prism.post(`/api/v1/oncall/schedules/${id}/shifts`, shift));
  }
  const step = { type: "notify", schedules: [{ id }] };
  const steps = [step, { type: "wait", ms: 5 * MINUTE }, step];
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
  await world.fire("A");
  assert.deepEqual(await world.notified(), ["step ann"]);
  const path = `/api/v1/explain/incident/${(await world.only()).id}`;
  const { body } = await answered(200, prism.get<{ answer: string }>(path));
  assert.match(body.answer, /Step 3 notifies with high urgency: ann /);
});
