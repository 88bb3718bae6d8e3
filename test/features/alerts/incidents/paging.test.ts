import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { listening } from "../../../helpers/listening.ts";
import { makeUser } from "../../../helpers/people.ts";
import type { Reply } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

interface Incident {
  readonly id: string;
  readonly number: number;
  readonly state: string;
  readonly nextStepAt: string | null;
  readonly assigned: { readonly by: string; readonly phase: string; readonly users: readonly string[] } | null;
  readonly direct: { readonly message: string; readonly by: string; readonly byName: string } | null;
  readonly error?: { readonly code: string; readonly details?: readonly { readonly path: string }[] };
}

interface Posted {
  readonly status: string;
  readonly incident?: { readonly message: string | null };
  readonly alerts: readonly {
    readonly labels: object;
    readonly annotations: Readonly<Record<string, string>>;
    readonly fingerprint: string;
  }[];
}

/** A receiver of webhooks that keeps their bodies. */
async function startReceiver(t: TestContext): Promise<{ readonly url: string; readonly bodies: Posted[] }> {
  const bodies: Posted[] = [];
  const server = createServer(async (request, response) => {
    bodies.push(JSON.parse(Buffer.concat(await request.toArray()).toString()) as Posted);
    response.end("ok");
  });
  const port = await listening(t, server);
  return { url: `http://127.0.0.1:${port}`, bodies };
}

const PATH = "/api/v1/incidents";

async function pagingWorld(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d", ...settings });
  const [ann, bob, cas] = [await world.member("ann"), await world.member("bob"), await world.member("cas")];
  const { prism } = world;
  const steps = [
    { type: "notify", users: [bob.id] },
    { type: "wait", ms: 5 * MINUTE },
    { type: "notify", users: [cas.id] },
  ];
  assert.equal((await prism.post("/api/v1/policies", { name: "On call", steps })).status, 201);
  const page = (more: object = {}, token?: string) =>
    prism.post<Incident>(
      PATH,
      { title: "The shop is slow", message: "Can you look?", users: ["ann"], policy: "On call", ...more },
      token === undefined ? {} : { token },
    );
  const act = (id: string, action: string, body: object = {}, token?: string) =>
    prism.post<Incident>(`${PATH}/${id}/${action}`, body, token === undefined ? {} : { token });
  return { world, prism, ann, bob, cas, page, act };
}

const outcome = ({ status, body }: Reply<Incident>): string =>
  body.error ? `${status} ${body.error.code} ${body.error.details?.[0]?.path ?? ""}`.trim() : String(status);

test("a person is paged, and unacknowledged for 10 minutes the policy follows", async (t) => {
  const { world, page, act, ann } = await pagingWorld(t);
  const made = await page();
  assert.equal(outcome(made), "201", made.text);
  assert.deepEqual([made.body.assigned?.phase, made.body.direct?.message], ["waiting", "Can you look?"]);
  assert.deepEqual(await world.notified(), ["step ann"]);
  await world.pass(10 * MINUTE - 1);
  const found = (await world.notified()).filter((each) => each.includes("bob"));
  assert.deepEqual(found, []);
  await world.pass(1);
  assert.deepEqual((await world.notified()).slice(-1), ["step bob"]);
  await world.pass(5 * MINUTE);
  assert.ok((await world.notified()).includes("step cas"));
  assert.equal((await act(made.body.id, "acknowledge", {}, ann.token)).body.state, "acknowledged");
  const before = (await world.notified()).length;
  await world.pass(60 * MINUTE);
  assert.equal((await world.notified()).length, before, "acknowledged");
  const { state, resolvedAt } = await world.only();
  assert.deepEqual([state, resolvedAt], ["acknowledged", null], "it does not end because it has no alerts");
  await act(made.body.id, "resolve", {}, ann.token);
  assert.deepEqual((await world.notified()).slice(-1), ["resolved ann, bob, cas"]);
});

test("the page says who writes what, and explain says it too", async (t) => {
  const { world, prism, page } = await pagingWorld(t);
  const { body } = await page();
  const [row] = rowsOf<{ title: string; message: string; priority: number }>(
    prism,
    "select title, message, priority from notifications where incidentId = ?",
    body.id,
  );
  assert.deepEqual([row?.title, row?.priority], ["The shop is slow", 800]);
  assert.match(row?.message ?? "", /^Can you look\?\n\n.+ opened this incident at .+Incident 1\. Acknowledge/s);
  const explained = await prism.get<{ incidents: { lines: { text: string }[]; next: { text: string }[] }[] }>(
    `/api/v1/explain/incident/${body.id}`,
  );
  const [story] = explained.body.incidents;
  const lines = story?.lines.map(({ text }) => text) ?? [];
  assert.match(lines[0] ?? "", /opened it to page people: Can you look\?/);
  assert.ok(
    lines.some((text) => /^The users paged first are notified with high urgency: ann/.test(text)),
    lines.join("\n"),
  );
  assert.match(
    story?.next.map(({ text }) => text).join("\n") ?? "",
    /Step 1 notifies with high urgency: bob \(is named in the step\)/,
  );
  assert.deepEqual(await world.events(), ["incident.opened", "incident.escalated"]);
});

test("unacknowledged it is repeated, also while no one is reached", async (t) => {
  const { world, page } = await pagingWorld(t);
  const steps = { name: "Nothing", steps: [] };
  assert.equal((await world.prism.post("/api/v1/policies", steps)).status, 201);
  await page({ policy: "Nothing" });
  await world.pass(24 * 60 * MINUTE);
  assert.ok((await world.notified()).length >= 6, "every four hours");
  const { state, repeatAt } = await world.only();
  assert.equal(state, "open");
  assert.ok(repeatAt !== null && repeatAt > world.clock.now());
});

test("after a snooze or an acknowledgement that is removed the person is paged first again", async (t) => {
  const { world, page, act } = await pagingWorld(t);
  const { body } = await page();
  await world.pass(11 * MINUTE);
  assert.equal((await world.only()).assigned?.includes('"over"'), true);
  for (const [action, given] of [
    ["acknowledge", {}],
    ["unacknowledge", {}],
  ] as const)
    assert.equal((await act(body.id, action, given)).status, 200);
  assert.deepEqual((await world.notified()).slice(-1), ["step ann"]);
  await act(body.id, "snooze", { durationMs: 30 * MINUTE });
  const before = await world.notified();
  await world.pass(30 * MINUTE - 1);
  assert.deepEqual(await world.notified(), before);
  await world.pass(1);
  assert.deepEqual((await world.notified()).slice(before.length), ["step ann"]);
  await act(body.id, "escalate");
  assert.deepEqual((await world.notified()).slice(-1), ["step bob"], "the policy at once");
});

test("a schedule pages who is on call, a policy alone starts at once, low urgency is low", async (t) => {
  const { world, prism, page, bob } = await pagingWorld(t);
  const made = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Primary" });
  const shift = { start: "2020-01-01T00:00", durationMs: 86_400_000, recurrence: { frequency: "daily" } };
  const path = `/api/v1/oncall/schedules/${made.body.id}/shifts`;
  assert.equal((await prism.post(path, { ...shift, turns: [[bob.id]] })).status, 201);
  await page({ users: undefined, schedules: [{ id: made.body.id }], urgency: "low" });
  assert.deepEqual(await world.notified(), ["step bob"]);
  assert.equal(rowsOf<{ priority: number }>(prism, "select priority from notifications")[0]?.priority, 300);
  await page({ users: undefined });
  assert.deepEqual((await world.notified()).slice(1), ["step bob"], "the first step of the policy");
  assert.equal(rowsOf(prism, "select 1 from incidents where assigned is null").length, 1);
});

test("a page without a target, a stranger as target and a caller without the right are refused", async (t) => {
  const { prism, page, ann } = await pagingWorld(t);
  const { body: shop } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "shop" });
  const viewer = await makeUser(prism, "vic", ["Viewer"]);
  assert.equal(outcome(await page({ users: ["nobody"] })), "422 RECIPIENT_NOT_FOUND users.0");
  const elsewhere = { projectId: shop.id, policy: undefined };
  assert.equal(outcome(await page({ ...elsewhere })), "422 RECIPIENT_NOT_FOUND users.0", "no member");
  assert.equal(outcome(await page({ policy: "None" })), "404 POLICY_NOT_FOUND");
  assert.equal(outcome(await page({ users: [], policy: undefined })), "400 VALIDATION_FAILED users");
  assert.equal(outcome(await page({ title: "" })), "400 VALIDATION_FAILED title");
  assert.equal(outcome(await page({}, viewer.token)), "403 UNAUTHORIZED_ROLE");
  assert.equal(outcome(await page(elsewhere, ann.token)), "404 PROJECT_NOT_FOUND");
  const key = await prism.post<Incident>(PATH, { title: "t", users: ["ann"] }, { apiKey: shop.apiKey });
  assert.equal(outcome(key), "403 FORBIDDEN");
  assert.equal(countOf(prism, "incidents"), 0);
});

test("a responder is paged at once, also of an acknowledged incident, and may act on it", async (t) => {
  const { world, prism, act, bob } = await pagingWorld(t);
  const vic = await makeUser(prism, "vic", ["User"]);
  await world.fire("A");
  const { id } = await world.only();
  await act(id, "acknowledge", {}, bob.token);
  assert.equal(outcome(await act(id, "acknowledge", {}, vic.token)), "404 INCIDENT_NOT_FOUND");
  const added = await act(id, "responders", { users: ["vic"], note: "knows the disks" }, bob.token);
  assert.deepEqual([outcome(added), added.body.state], ["200", "acknowledged"], "its state stays");
  assert.deepEqual((await world.notified()).slice(-1), ["step vic"]);
  const [row] = rowsOf<{ message: string }>(prism, "select message from notifications order by id desc limit 1");
  assert.match(row?.message ?? "", /^bob asks you to help with this incident\./);
  assert.equal(outcome(await act(id, "notes", { text: "on it" }, vic.token)), "200");
  assert.deepEqual((await world.log(id)).slice(-4), ["note", "responders-added", "notified", "note"]);
  assert.equal(outcome(await act(id, "responders", {}, bob.token)), "400 VALIDATION_FAILED users");
  assert.equal(outcome(await act(id, "responders", { users: ["x"] })), "422 RECIPIENT_NOT_FOUND users.0");
  await act(id, "resolve");
  assert.equal(outcome(await act(id, "responders", { users: ["vic"] })), "409 INVALID_STATE");
});

test("delayed contact rules of a responder hold while the incident is acknowledged", async (t) => {
  const { world, prism, act, cas } = await pagingWorld(t);
  const rules = { high: [{ afterMs: 5 * MINUTE, channels: ["in_app"] }], low: [] };
  assert.equal((await prism.put("/api/v1/users/me/contact-rules", rules, { token: cas.token })).status, 200);
  await world.fire("A");
  const { id } = await world.only();
  await act(id, "acknowledge");
  await act(id, "responders", { users: ["cas"] });
  world.clock.advance(5 * MINUTE);
  prism.parts.offers.runner.enqueued([]);
  await eventually("the contact rule", async () => (await world.notified()).includes("step cas"));
});

test("a reassigned incident is another person's: the others are left alone until the policy starts again", async (t) => {
  const { world, prism, act, ann, cas } = await pagingWorld(t);
  const routes = { route: { policy: "On call", groupWaitMs: 0, groupIntervalMs: 60_000, repeatMs: 4 * MINUTE } };
  assert.equal((await prism.put("/api/v1/routes", routes)).status, 200);
  await world.fire("A");
  const { id } = await world.only();
  await act(id, "acknowledge", {}, ann.token);
  const made = await act(id, "reassign", { users: [cas.id] }, ann.token);
  assert.deepEqual(
    [outcome(made), made.body.state, made.body.assigned?.by, made.body.assigned?.users],
    ["200", "open", "reassign", [cas.id]],
  );
  assert.deepEqual(await world.notified(), ["step bob", "step cas"]);
  await world.fire("B");
  await world.pass(9 * MINUTE);
  const alone = (await world.notified()).slice(2);
  assert.ok(alone.length >= 2, "the new alert and repetitions");
  const found = alone.filter((each) => !/^(new-alerts|repeat|step) cas$/.test(each));
  assert.deepEqual(found, []);
  await world.pass(MINUTE);
  assert.deepEqual((await world.notified()).slice(-1), ["step bob"], "the policy starts from its first step");
  assert.equal((await world.only()).assigned, null);
  await act(id, "resolve");
  assert.deepEqual((await world.notified()).slice(-1), ["resolved bob, cas"], "everyone reads of the end");
});

test("escalation and a removed acknowledgement give a reassigned incident back to its policy", async (t) => {
  const { world, act, ann, bob } = await pagingWorld(t);
  await world.prism.put("/api/v1/routes", { route: { policy: "On call", groupWaitMs: 0 } });
  await world.fire("A");
  const { id } = await world.only();
  await act(id, "reassign", { users: ["cas"] });
  await act(id, "escalate");
  assert.deepEqual((await world.notified()).slice(-2), ["step cas", "step bob"]);
  assert.equal((await world.only()).assigned, null);
  await act(id, "reassign", { users: ["ann"] }, bob.token);
  await act(id, "acknowledge", {}, ann.token);
  await act(id, "unacknowledge", {}, ann.token);
  assert.deepEqual((await world.notified()).slice(-2), ["step ann", "step bob"]);
  assert.equal((await world.only()).assigned, null);
});

test("a reassigned incident whose acknowledgement expires pages the person first again", async (t) => {
  const { world, prism, act, ann } = await pagingWorld(t);
  const steps = [{ type: "notify", members: true }];
  const body = { name: "default", steps, ackExpiresMs: 30 * MINUTE };
  assert.equal((await prism.put(`/api/v1/policies/${world.projectId}`, body)).status, 200);
  await world.fire("A");
  const { id } = await world.only();
  await act(id, "reassign", { users: ["ann"] });
  await act(id, "acknowledge", {}, ann.token);
  await world.pass(30 * MINUTE);
  assert.deepEqual((await world.notified()).slice(1), ["step ann", "step ann"]);
});

test("the timeline and explain name who asked whom", async (t) => {
  const { world, prism, act } = await pagingWorld(t);
  await world.fire("A");
  const { id } = await world.only();
  await act(id, "responders", { users: ["bob"] });
  await act(id, "reassign", { users: ["cas"] });
  const { body } = await prism.get<{ incidents: { lines: { text: string }[]; people: { reasons: string[] }[] }[] }>(
    `/api/v1/explain/incident/${id}`,
  );
  const text = body.incidents[0]?.lines.map((line) => line.text).join("\n") ?? "";
  for (const expected of [
    /Developer asked for help: bob\./,
    /Those asked for help are notified with high urgency: bob\./,
    /Developer assigned it to cas: the steps start if they do not acknowledge it\./,
    /The new assignees are notified with high urgency: cas\./,
  ])
    assert.match(text, expected);
  const events = rowsOf<{ type: string; payload: string }>(
    prism,
    "select type, payload from events where type = 'incident.reassigned'",
  );
  assert.equal(events.length, 1);
});

test("a webhook step of the policy gets what the person wrote, as an alert in Alertmanager's form", async (t) => {
  const { world, prism, page, act } = await pagingWorld(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const receiver = await startReceiver(t);
  for (const format of ["alertmanager", "prism"]) {
    const steps = [{ type: "webhook", url: `${receiver.url}/${format}`, format }];
    assert.equal((await prism.post("/api/v1/policies", { name: format, steps })).status, 201);
    const { body } = await page({ policy: format });
    // The person has no way, so the steps start after 30 s; 5 minutes later the webhook would be asked again.
    await world.pass(MINUTE);
    await eventually(`${format}: it is called`, () => receiver.bodies.length === 1);
    await act(body.id, "resolve");
    await eventually(`${format}: it reads of the end`, () => receiver.bodies.length === 2);
    const [first, last] = receiver.bodies.splice(0) as unknown as [Posted, Posted];
    if (format === "alertmanager") {
      assert.deepEqual([first.status, last.status], ["firing", "resolved"]);
      assert.deepEqual(
        [first.alerts[0]?.labels, first.alerts[0]?.annotations["description"]],
        [{ alertname: "The shop is slow", severity: "critical" }, "Can you look?"],
      );
      assert.equal(first.alerts[0]?.fingerprint, last.alerts[0]?.fingerprint);
    } else assert.deepEqual([first.incident?.message, first.alerts], ["Can you look?", []]);
  }
});

test("an alert that joins an acknowledged incident is news for those who acknowledged it, too", async (t) => {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  const ann = await world.member("ann");
  const labels = { alertname: "PaymentFailed" };
  await world.fire("A", { labels: { ...labels, order: "1" } });
  await world.pass(MINUTE);
  assert.deepEqual(await world.notified(), ["step ann"]);
  const { id } = await world.only();
  const reply = await world.prism.post(`${PATH}/${id}/acknowledge`, {}, { token: ann.token });
  assert.equal(reply.status, 200, reply.text);
  await world.fire("B", { labels: { ...labels, order: "2" } });
  await world.pass(10 * MINUTE);
  assert.deepEqual(await world.notified(), ["step ann", "new-alerts ann"]);
  await world.pass(300 * MINUTE);
  assert.deepEqual(await world.notified(), ["step ann", "new-alerts ann"], "no repetition");
});
