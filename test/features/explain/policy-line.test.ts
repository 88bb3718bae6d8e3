import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { PolicyTrial } from "../../../src/features/explain/alert-schema.ts";
import { makeUser } from "../../helpers/people.ts";
import { answered } from "../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

const DAY_MS = 24 * 60 * MINUTE;
const EXPLAIN = "/api/v1/explain/policy";

/** Ada and Ben in turn from Thursday to Thursday at 03:00 in Berlin; Cy is named after 5 minutes, and again. */
async function startNight(t: TestContext) {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism } = world;
  for (const name of ["ada", "ben", "cy"]) await world.member(name);
  const made = async (path: string, body: unknown) =>
    (await answered(201, prism.post<{ id: string }>(`/api/v1${path}`, body))).body.id;
  const schedule = await made("/oncall/schedules", { name: "Duty", timezone: "Europe/Berlin" });
  await made(`/oncall/schedules/${schedule}/shifts`, {
    ...{ name: "Weeks", start: "2026-12-10T03:00:00", durationMs: 7 * DAY_MS },
    ...{ recurrence: { frequency: "weekly" }, turns: [["ada"], ["ben"]] },
  });
  const steps = [
    { type: "notify", schedules: [{ id: schedule }] },
    { type: "wait", ms: 5 * MINUTE },
    { type: "notify", users: ["cy"], urgency: "low" },
    { type: "wait", ms: 15 * MINUTE },
  ];
  const policy = await made("/policies", { name: "Night", steps, repeat: 2 });
  await answered(200, prism.put("/api/v1/routes", { route: { policy: "Night", groupWaitMs: 30_000 } }));
  const explain = async (body: object, token?: string): Promise<PolicyTrial> =>
    (await answered(200, prism.post<PolicyTrial>(EXPLAIN, body, token === undefined ? {} : { token }))).body;
  return { world, prism, policy, steps, explain };
}

const pagesOf = ({ next }: PolicyTrial) =>
  next.flatMap(({ afterMs, step, users }) =>
    users ? [[afterMs / MINUTE, step, users.map(({ username }) => username).join()]] : [],
  );

test("a policy says whom it notifies at a time, round by round, without the wait of a route", async (t) => {
  const { explain, policy } = await startNight(t);
  const before = await explain({ policy: "Night", at: "2026-12-24T02:59:00+01:00" });
  assert.deepEqual(pagesOf(before), [
    [0, 0, "ben"],
    [5, 2, "cy"],
    [20, 0, "ada"],
    [25, 2, "cy"],
    [40, 0, "ada"],
    [45, 2, "cy"],
  ]);
  const after = await explain({ policy, at: "2026-12-24T03:00:00+01:00" });
  assert.deepEqual(pagesOf(after).slice(0, 2), [
    [0, 0, "ada"],
    [5, 2, "cy"],
  ]);
  assert.equal(Date.parse(after.at), Date.parse("2026-12-24T03:00:00+01:00"));
  const cy = after.next.find(({ step }) => step === 2);
  assert.equal(cy?.urgency, "low");
  assert.equal(cy?.unreachable?.[0]?.name, "cy");
  assert.equal(cy?.unreachable?.[0]?.code, "no-channel");
});

test("a draft is explained as it would be stored, to those who may store it", async (t) => {
  const { world, prism, explain, steps } = await startNight(t);
  const at = "2026-12-24T03:00:00+01:00";
  const draft = { steps: [{ type: "notify", users: ["ben"] }, ...steps.slice(1)], repeat: 0 };
  assert.deepEqual(pagesOf(await explain({ policy: "Night", draft, at })), [
    [0, 0, "ben"],
    [5, 2, "cy"],
  ]);
  assert.deepEqual(pagesOf(await explain({ draft: { steps: [{ type: "notify", members: true }] }, at })), [
    [0, 0, "ada,ben,cy"],
  ]);
  const listed = await explain({ policy: "Night", draft: { opensIncidents: false } });
  assert.deepEqual([listed.opensIncidents, listed.next], [false, []]);
  assert.equal((await explain({ policy: "Night" })).opensIncidents, true, "nothing was stored");

  const { id: userId, token } = await makeUser(prism, "eve");
  await answered(201, prism.post(`/api/v1/projects/${world.projectId}/members`, { userId, role: "viewer" }));
  assert.equal(pagesOf(await explain({ policy: "Night", at }, token)).length, 6);
  const refused = await prism.post<{ error: { code: string } }>(EXPLAIN, { policy: "Night", draft }, { token });
  assert.deepEqual([refused.status, refused.body.error.code], [403, "UNAUTHORIZED_ROLE"]);
  assert.equal(
    (await explain({ policy: "Night", at }, token)).next.some(({ unreachable }) => unreachable),
    false,
    "who may not read what reaches others is not told",
  );
});

test("what cannot be explained is refused with its place", async (t) => {
  const { prism } = await startNight(t);
  const codeOf = async (body: object) =>
    (await prism.post<{ error: { code: string; details?: { path: string }[] } }>(EXPLAIN, body)).body.error;
  assert.equal((await codeOf({ policy: "Day" })).code, "POLICY_NOT_FOUND");
  assert.equal((await codeOf({ projectId: "none", policy: "Night" })).code, "PROJECT_NOT_FOUND");
  const role = await codeOf({ draft: { steps: [{ type: "notify", roles: ["Nobody"] }] } });
  assert.deepEqual([role.code, role.details?.[0]?.path], ["ROLE_NOT_FOUND", "steps.0.roles.0"]);
  const interval = await codeOf({ draft: { steps: [{ type: "onlyIn", interval: "nights" }] } });
  assert.equal(interval.code, "VALIDATION_FAILED");
});
