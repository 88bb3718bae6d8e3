import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { listening } from "../../../helpers/listening.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { countOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

interface Refused {
  readonly error: { readonly code: string; readonly details?: readonly { readonly path: string }[] };
}

async function putPolicy(world: IncidentWorld, body: object): Promise<{ id: string; version: number }> {
  const reply = await answered(201, world.prism.post<{ id: string; version: number }>("/api/v1/policies", body));
  return reply.body;
}

async function putRoutes(world: IncidentWorld, body: object): Promise<void> {
  await answered(200, world.prism.put("/api/v1/routes", body));
}

test("routes lead alerts to policies with groups, waits and inheritance as in Alertmanager", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  const bob = await world.member("bob");
  await putPolicy(world, { name: "Database", steps: [{ type: "notify", users: [bob.id] }] });
  await putPolicy(world, { name: "All", steps: [{ type: "notify", users: [ann.id], urgency: "low" }] });
  await putRoutes(world, {
    route: {
      policy: "All",
      groupBy: ["alertname"],
      groupWaitMs: 30_000,
      routes: [{ matchers: ['team="db"'], policy: "Database", groupBy: ["alertname", "cluster"], continue: true }, {}],
    },
  });
  await world.fire("A", { labels: { alertname: "A", team: "db", cluster: "x" } });
  await world.pass(29_999);
  assert.deepEqual(await world.notified(), []);
  await world.pass(1);
  assert.deepEqual((await world.notified()).sort(), ["step ann", "step bob"]);
  assert.deepEqual(rowsWith(await world.rows(), "groupKey", "title", "urgency"), [
    ['{}/{team="db"}:{alertname="A", cluster="x"}', "A (cluster=x)", "high"],
    ['{}/{}:{alertname="A"}', "A", "low"],
  ]);
  const tested = await world.prism.post<{ matches: { policy: { name: string }; groupKey: string }[] }>(
    "/api/v1/routes/test",
    { labels: { alertname: "B", team: "web" } },
  );
  assert.deepEqual(
    tested.body.matches.map(({ policy, groupKey }) => [policy.name, groupKey]),
    [["All", '{}/{}:{alertname="B"}']],
  );
  const draft = { route: { routes: [{ matchers: ['team="web"'], groupBy: ["team"] }] } };
  const trial = await world.prism.post<typeof tested.body>("/api/v1/routes/test", {
    labels: { alertname: "B", team: "web" },
    document: draft,
  });
  assert.deepEqual(
    trial.body.matches.map(({ policy, groupKey }) => [policy.name, groupKey]),
    [["default", '{}/{team="web"}:{team="web"}']],
    "an unsaved document",
  );
  const refused = await world.prism.post<Refused>("/api/v1/routes/test", {
    labels: {},
    document: { route: { matchers: ["a=b"] } },
  });
  assert.equal(refused.status, 400, refused.text);
});

test("a refused document names each error; versions are kept and compared", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism } = world;
  const bad = await prism.put<Refused>("/api/v1/routes", {
    route: { matchers: ["a=b"], groupBy: ["...", "x"], routes: [{ matchers: ["=~"], muteIntervals: ["nights"] }] },
    inhibitRules: [{ sourceMatchers: ['a=~"("'], targetMatchers: [] }],
    timeIntervals: [{ name: "n", intervals: [{ times: "never" }] }],
  });
  assert.equal(bad.status, 400);
  assert.deepEqual(bad.body.error.details?.map(({ path }) => path).sort(), [
    "inhibitRules.0.sourceMatchers.0",
    "route.groupBy",
    "route.matchers",
    "route.routes.0.matchers.0",
    "route.routes.0.muteIntervals.0",
    "timeIntervals.0.intervals.0",
  ]);
  const many = { inhibitRules: Array(101).fill({ sourceMatchers: ["a=b"], targetMatchers: ["c=d"] }) };
  assert.equal(
    (await prism.put<Refused>("/api/v1/routes", { route: {}, ...many })).body.error.details?.[0]?.path,
    "inhibitRules",
  );
  const unknown = await prism.put<Refused>("/api/v1/routes", { route: { routes: [{ policy: "Nobody" }] } });
  assert.deepEqual(unknown.body.error.details?.[0]?.path, "route.routes.0.policy");
  const nested = await prism.put<Refused>("/api/v1/routes", { route: { routes: [{ routes: [{ polcy: "x" }] }] } });
  assert.deepEqual(nested.body.error.details?.[0]?.path, "route.routes.0.routes.0.polcy");
  await putRoutes(world, { route: { groupWaitMs: 1000 } });
  const headers = { "If-Match": '"0"' };
  assert.equal((await prism.put("/api/v1/routes", { route: {} }, { headers })).status, 412);
  const { body } = await prism.get<{ data: { version: number }[] }>("/api/v1/routes/versions");
  assert.deepEqual(valuesOf(body.data, "version"), [1]);
});

test("steps refuse unknown users and schedules, and create no account", async (t) => {
  const world = await IncidentWorld.start(t, { "notifications.unknownRecipient": "provision" });
  const { prism } = world;
  await world.member("ann");
  const users = countOf(prism, "users");
  const id = "00000000-0000-7000-8000-000000000000";
  for (const [step, at] of [
    [{ users: ["ann", "annna"] }, "steps.1.users.1"],
    [{ schedules: [{ id }] }, "steps.1.schedules.0.id"],
  ] as const) {
    const steps = [
      { type: "notify", members: true },
      { type: "notify", ...step },
    ];
    const { status, body } = await prism.post<Refused>("/api/v1/policies", { name: "Typo", steps });
    assert.deepEqual([status, body.error.code], [422, "RECIPIENT_NOT_FOUND"]);
    assert.equal(body.error.details?.[0]?.path, at);
  }
  assert.equal(countOf(prism, "users"), users);
});

test("the built-in policy can be changed and not deleted; running incidents keep their version", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism, projectId } = world;
  const ann = await world.member("ann");
  const path = `/api/v1/policies/${projectId}`;
  assert.deepEqual((await prism.get(path)).body["version"], 0);
  await world.fire("A1", { labels: { alertname: "A", host: "1" } });
  const changed = await prism.patch(path, {
    steps: [{ type: "notify", users: ["ann"], roles: ["Admin"] }],
    renotifyOnNew: false,
  });
  assert.deepEqual([changed.status, changed.body["version"]], [200, 1], changed.text);
  const [step] = changed.body["steps"] as { users: string[]; roles: string[] }[];
  assert.deepEqual([step?.users, step?.roles], [[ann.id], ["Admin"]]);
  await world.fire("A2", { labels: { alertname: "A", host: "2" } });
  await world.pass(MINUTE);
  assert.deepEqual(await world.notified(), ["step ann", "new-alerts ann"], "by version 0");
  assert.equal((await prism.delete<Refused>(path)).body.error.code, "INVALID_STATE");
  const { id } = await putPolicy(world, { name: "Other" });
  await putRoutes(world, { route: { routes: [{ matchers: ["a=b"], policy: "Other" }] } });
  assert.equal((await prism.delete<Refused>(`/api/v1/policies/${id}`)).body.error.code, "INVALID_STATE");
  assert.equal((await prism.post<Refused>("/api/v1/policies", { name: "Other" })).body.error.code, "NAME_TAKEN");
});

test("round robin takes another user with each incident, and acknowledgements leave users out", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  await world.member("bob");
  const steps = [{ type: "notify", members: true, roundRobin: true }];
  await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps, ackQuorum: 2, repeat: 9 });
  for (const name of ["A", "B", "C"]) await world.fire(name);
  assert.deepEqual(await world.notified(), ["step ann", "step bob", "step ann"]);
  const [first] = await world.rows();
  const path = `/api/v1/incidents/${first?.id}`;
  const reply = await world.prism.post(`${path}/acknowledge`, { note: "on it" }, { token: ann.token });
  assert.deepEqual([reply.status, reply.body["state"]], [200, "open"], reply.text);
  const { body } = await world.prism.get<{ timeline: { kind: string }[]; acknowledgements: { name: string }[] }>(path);
  assert.deepEqual(valuesOf(body.timeline, "kind"), ["opened", "notified", "acknowledged", "note"]);
  assert.equal(body.acknowledgements.length, 1);
});

test("contact rules decide channels and delays; a delayed one is not sent after an acknowledgement", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  const rules = {
    high: [
      { afterMs: 0, channels: ["in_app"] },
      { afterMs: 300_000, channels: ["email", "push"] },
    ],
    low: [],
  };
  const put = await world.prism.put("/api/v1/users/me/contact-rules", rules, { token: ann.token });
  assert.deepEqual([put.status, put.body], [200, { ...rules, warnings: [] }], put.text);
  await world.fire("A");
  await world.fire("B");
  const notes = await world.db.read.selectFrom("notifications").select("channels").execute();
  assert.deepEqual(valuesOf(notes, "channels"), ['["in_app","pusher"]', '["in_app","pusher"]']);
  const [first] = await world.rows();
  await world.prism.post(`/api/v1/incidents/${first?.id}/acknowledge`, {}, { token: ann.token });
  world.clock.advance(300_000);
  const { runner } = world.prism.parts.offers;
  runner.enqueued([]);
  const done = () =>
    world.db.read
      .selectFrom("jobs")
      .select("id")
      .where("kind", "=", "incident.contact")
      .where("state", "=", "succeeded")
      .execute();
  await eventually("both delayed jobs ran", async () => (await done()).length === 2);
  const after = await world.db.read
    .selectFrom("notifications")
    .select(["channels", "incidentId"])
    .orderBy("id")
    .execute();
  assert.deepEqual(
    after.slice(2).map(({ channels, incidentId }) => [channels, incidentId === first?.id]),
    [['["apns","email","fcm","webpush"]', false]],
  );
});

test("webhook steps post the incident, also its end; the address is in no log, job or answer", async (t) => {
  const bodies: { status: string; groupKey: string; alerts: { status: string }[] }[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += String(chunk);
    });
    request.on("end", () => {
      bodies.push(JSON.parse(text));
      response.end("ok");
    });
  });
  const port = await listening(t, server);
  const url = `http://127.0.0.1:${port}/secret-path?token=abc`;
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const steps = [{ type: "webhook", url, format: "alertmanager" }];
  await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps });
  await world.fire("A");
  await eventually("the first call", () => bodies.length === 1);
  await world.resolveAlert("A", { resolvesAtOnce: true });
  await eventually("the second call", () => bodies.length === 2);
  const rows = bodies.map(({ status, groupKey, alerts }) => [status, groupKey, alerts.map((each) => each.status)]);
  assert.deepEqual(rows, [
    ["firing", '{}:{alertname="A"}', ["firing"]],
    ["resolved", '{}:{alertname="A"}', ["resolved"]],
  ]);
  const jobs = await world.db.read.selectFrom("jobs").selectAll().execute();
  const log = await world.db.read.selectFrom("incident_log").selectAll().execute();
  assert.ok(!JSON.stringify([jobs, log]).includes("secret-path"));
  const viewer = await world.member("vic");
  const shown = await world.prism.get(`/api/v1/policies/${world.projectId}`, { token: viewer.token });
  assert.deepEqual(shown.body["steps"], [{ ...steps[0], url: `http://127.0.0.1:${port}/…` }]);
});

test("resolving as a person ends alerts of sources without an end of their own, and no others", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  await world.fire("A", { labels: { alertname: "X", n: "1" } });
  await world.fire("B", { labels: { alertname: "X", n: "2" }, source: "alertmanager", key: "fp:b" });
  const { id } = await world.only();
  const reply = await world.prism.post(`/api/v1/incidents/${id}/resolve`, {}, { token: ann.token });
  assert.deepEqual([reply.status, reply.body["state"], reply.body["firing"]], [200, "resolved", 1], reply.text);
  const alerts = await world.db.read.selectFrom("alerts").select(["key", "state"]).orderBy("key").execute();
  assert.deepEqual(alerts, [
    { key: "api:A", state: "resolved" },
    { key: "fp:b", state: "firing" },
  ]);
  assert.deepEqual(await world.notified(), ["step ann", "resolved ann"]);
  const again = await world.prism.post<Refused>(
    `/api/v1/incidents/${id}/snooze`,
    { durationMs: MINUTE },
    { token: ann.token },
  );
  assert.deepEqual([again.status, again.body.error.code], [409, "INVALID_STATE"]);
  const bulk = await world.prism.post<{ data: { error: { code: string } | null }[] }>("/api/v1/incidents/resolve", {
    ids: [id],
  });
  const codes = bulk.body.data.map(({ error }) => error?.code);
  assert.deepEqual(codes, ["INVALID_STATE"]);
});

test("kill -9 at any step repeats no notification and loses none", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  const steps = [
    { type: "notify", members: true },
    { type: "wait", ms: MINUTE },
    { type: "notify", users: [ann.id], urgency: "low" },
  ];
  await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps });
  const images: { dir: string; at: number; told: string[] }[] = [];
  const image = async (): Promise<void> => {
    images.push({ dir: await crashImage(t, world.prism), at: world.clock.now(), told: await world.notified() });
  };
  await world.fire("A");
  await image();
  await world.pass(MINUTE);
  await image();
  await world.resolveAlert("A");
  await image();
  await world.pass(MINUTE);
  await image();
  const expected = ["step ann", "step ann", "resolved ann"];
  assert.deepEqual(await world.notified(), expected);
  for (const [i, { dir, at, told }] of images.entries()) {
    const clock = new FakeClock(at);
    const other = world.of(await startPrism(t, { dir, clock }), clock);
    await other.incidents.check();
    assert.deepEqual(await other.notified(), told, "nothing twice after the start");
    await other.pass(10 * MINUTE);
    assert.deepEqual(await other.notified(), expected.slice(0, i < 2 ? 2 : 3));
  }
});

test("a webhook step refuses the channel of another host when its policy is saved, and in an import", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const fields = { url: "http://127.0.0.1:9/notify", token: "a-secret" };
  const channel = await world.prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "Gateway", preset: "http", projectId: world.projectId, fields },
  });
  assert.equal(channel.status, 201, channel.text);
  const steps = (url: string) => [{ type: "webhook", url, channel: channel.body.id }];
  const other = { projectId: world.projectId, name: "Hook", steps: steps("http://127.0.0.1:10/hook") };
  const refused = await answered(400, world.prism.post<Refused>("/api/v1/policies", other));
  assert.deepEqual(
    refused.body.error.details?.map(({ path }) => path),
    ["steps.0.channel"],
  );
  assert.match(refused.text, /the channel Gateway is for another scheme, host or port/);
  const { projectId: _, ...policy } = other;
  const path = `/api/v1/routes/import?projectId=${world.projectId}`;
  const imported = await world.prism.post<Refused>(path, { policies: [policy] });
  assert.deepEqual(
    [imported.status, imported.body.error.details?.map((each) => each.path)],
    [400, ["policies.0.steps.0.channel"]],
    imported.text,
  );
  await putPolicy(world, { ...other, steps: steps("http://127.0.0.1:9/hook") });
});

test("an import may have 500 steps, which name a channel, a role, a schedule and a person", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const ann = await world.member("ann");
  const { projectId } = world;
  const schedule = await world.prism.post<{ id: string }>("/api/v1/oncall/schedules", {
    ...{ projectId, name: "On call", timezone: "UTC" },
  });
  const step = { type: "notify", users: ["ann"], roles: ["Admin"], schedules: [{ id: schedule.body.id }] };
  const policies = (count: number, size: number) =>
    Array.from({ length: count }, (_, n) => ({ name: `P${n}`, steps: Array.from({ length: size }, () => step) }));
  const path = `/api/v1/routes/import?projectId=${projectId}`;
  const tooMany = await world.prism.post<Refused>(path, { policies: policies(51, 10), dryRun: true });
  assert.deepEqual([tooMany.status, tooMany.body.error.details?.[0]?.path], [400, "policies"], tooMany.text);
  assert.match(tooMany.text, /have 510 steps, and one import may have 500: import them in parts/);
  const done = await world.prism.post<{ policies: { outcome: string }[] }>(path, { policies: policies(50, 10) });
  assert.equal(done.status, 200, done.text);
  assert.equal(done.body.policies.filter(({ outcome }) => outcome === "created").length, 50);
  const listed = await world.prism.get<{ data: { name: string; steps: (typeof step)[] }[] }>(
    `/api/v1/policies?projectId=${projectId}`,
  );
  const stored = listed.body.data.find(({ name }) => name === "P49")?.steps[9];
  assert.deepEqual([stored?.users, stored?.roles], [[ann.id], ["Admin"]]);
  const unknown = { ...step, schedules: [{ id: projectId }] };
  const refused = await world.prism.post<Refused>(path, { policies: [{ name: "Q", steps: [step, unknown] }] });
  assert.deepEqual(
    refused.body.error.details?.map((each) => each.path),
    ["policies.0.steps.1.schedules.0.id"],
    refused.text,
  );
});
