import assert from "node:assert/strict";
import { test } from "node:test";
import { createServiceToken } from "../../../../src/features/access/users/create-user.ts";
import { makeUser } from "../../../helpers/people.ts";
import type { Reply, TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { worldOf } from "../book/support.ts";
import { IncidentWorld } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
type Labels = Readonly<Record<string, string>>;

/** What a person does with an incident, in an order that is possible. */
const ACTIONS: readonly (readonly [action: string, body: object])[] = [
  ["acknowledge", { note: "mine" }],
  ["unacknowledge", {}],
  ["snooze", { durationMs: HOUR }],
  ["unsnooze", {}],
  ["notes", { text: "seen" }],
  ["escalate", {}],
  ["resolve", {}],
];

/** A project with two viewers of whom the policy notifies one. */
async function shopWorld(t: Parameters<typeof IncidentWorld.start>[0]) {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  const { prism } = world;
  const { body } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const viewer = async (name: string) => {
    const user = await makeUser(prism, name, ["User"]);
    const member = { userId: user.id, role: "viewer" };
    assert.equal((await prism.post(`/api/v1/projects/${body.id}/members`, member)).status, 201);
    return user;
  };
  const [paged, other] = [await viewer("paged"), await viewer("other")];
  const policy = { projectId: body.id, name: "On call", steps: [{ type: "notify", users: [paged.id] }] };
  assert.equal((await prism.post("/api/v1/policies", policy)).status, 201);
  const quiet = { projectId: body.id, name: "Quiet", steps: [{ type: "notify", users: [other.id] }] };
  assert.equal((await prism.post("/api/v1/policies", quiet)).status, 201);
  const routes = {
    route: { policy: "On call", groupWaitMs: 0, routes: [{ matchers: ['team="web"'], policy: "Quiet" }] },
  };
  assert.equal((await prism.put(`/api/v1/routes?projectId=${body.id}`, routes)).status, 200);
  const fire = (name: string, labels: Labels) => world.fire(name, { projectId: body.id, labels });
  return { world, prism, shop: body.id, paged, other, fire };
}

const outcome = ({ status, body }: Reply): string => {
  const { error } = body as { error?: { code: string } };
  return error ? `${status} ${error.code}` : String(status);
};

test("a paged viewer may do everything with the incident, another viewer may only read it", async (t) => {
  const { world, prism, paged, other, fire } = await shopWorld(t);
  await fire("A", { alertname: "A", instance: "db-1" });
  const { id } = await world.only();
  const path = `/api/v1/incidents/${id}`;
  const detail = await prism.get<{ mayAct: boolean; alertList: { id: string }[] }>(path, { token: paged.token });
  assert.equal(detail.body.mayAct, true);
  assert.equal((await prism.get<{ mayAct: boolean }>(path, { token: other.token })).body.mayAct, false);
  const listed = (token: string) => prism.get<{ data: { mayAct: boolean }[] }>("/api/v1/incidents", { token });
  assert.deepEqual((await listed(paged.token)).body.data[0]?.mayAct, true);
  assert.deepEqual((await listed(other.token)).body.data[0]?.mayAct, false);
  for (const read of [`/api/v1/alerts/${detail.body.alertList[0]?.id}`, `/api/v1/explain/incident/${id}`])
    assert.equal((await prism.get(read, { token: paged.token })).status, 200, read);
  for (const [action, body] of ACTIONS) {
    const refused = await prism.post(`${path}/${action}`, body, { token: other.token });
    assert.equal(outcome(refused), "403 UNAUTHORIZED_ROLE", action);
    const served = await prism.post(`${path}/${action}`, body, { token: paged.token });
    assert.equal(outcome(served), "200", `${action}: ${served.text}`);
  }
  const audit = rowsOf<{ action: string; userId: string }>(
    prism,
    "select action, userId from audit_log where resourceType = 'incident' order by seq",
  );
  assert.deepEqual([...new Set(audit.map(({ userId }) => userId))], [paged.id]);
});

test("the right ends with the incident, and with the membership", async (t) => {
  const { world, prism, shop, paged, other, fire } = await shopWorld(t);
  await fire("A", { alertname: "A" });
  const { id } = await world.only();
  const act = (action: string, body = {}) =>
    prism.post(`/api/v1/incidents/${id}/${action}`, body, { token: paged.token });
  assert.equal((await prism.delete(`/api/v1/projects/${shop}/members/${paged.id}`)).status, 204);
  assert.equal(outcome(await act("acknowledge")), "404 INCIDENT_NOT_FOUND");
  const inbox = await prism.get<{ data: { id: string }[] }>("/api/v1/notifications", { token: paged.token });
  const [notification] = inbox.body.data;
  const own = `/api/v1/notifications/${notification?.id}/acknowledge`;
  assert.equal(outcome(await prism.put(own, {}, { token: paged.token })), "200");
  const { state, acknowledgedAt } = await world.only();
  assert.deepEqual([state, acknowledgedAt], ["open", null], "the notification is over, the incident is not");
  const member = { userId: paged.id, role: "viewer" };
  assert.equal((await prism.post(`/api/v1/projects/${shop}/members`, member)).status, 201);
  assert.equal(outcome(await act("resolve")), "200");
  const late = await act("acknowledge");
  assert.equal(outcome(late), "409 INVALID_STATE");
  assert.match(late.text, /is resolved/);
  assert.equal(outcome(await act("snooze", { durationMs: HOUR })), "409 INVALID_STATE");
  const byOther = await prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, { token: other.token });
  assert.equal(outcome(byOther), "403 UNAUTHORIZED_ROLE");
  assert.equal(outcome(await act("notes", { text: "after the end" })), "403 UNAUTHORIZED_ROLE");
  const { body } = await prism.get<{ mayAct: boolean }>(`/api/v1/incidents/${id}`, { token: paged.token });
  assert.equal(body.mayAct, false);
});

test("S3: who is notified of an incident of the closed default project reads it and acts on it, and others do not", async (t) => {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  const { prism } = world;
  const [paged, other] = [await makeUser(prism, "paged", ["User"]), await makeUser(prism, "other", ["User"])];
  const policy = { name: "default", steps: [{ type: "notify", users: [paged.id] }] };
  assert.equal((await prism.put(`/api/v1/policies/${world.projectId}`, policy)).status, 200);
  await world.fire("A", { labels: { alertname: "A", instance: "db-1" } });
  const { id } = await world.only();
  const path = `/api/v1/incidents/${id}`;
  const as = { token: paged.token };
  assert.deepEqual((await world.notified()).length, 1, "policies reach users who read nothing");
  assert.equal((await prism.get<{ mayAct: boolean }>(path, as)).body.mayAct, true);
  assert.equal(outcome(await prism.get(`/api/v1/explain/incident/${id}`, as)), "200");
  const { body: detail } = await prism.get<{ alertList: { id: string }[] }>(path, as);
  const alertPath = `/api/v1/alerts/${detail.alertList[0]?.id}`;
  assert.equal(outcome(await prism.get(alertPath, as)), "200");
  assert.equal(outcome(await prism.get(alertPath, { token: other.token })), "404 ALERT_NOT_FOUND");
  const mine = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents?mine=true", as);
  assert.deepEqual(valuesOf(mine.body.data, "id"), [id]);
  assert.deepEqual((await prism.get<{ data: unknown[] }>("/api/v1/incidents", as)).body.data, []);
  assert.equal(outcome(await prism.get("/api/v1/alerts", as)), "403 UNAUTHORIZED_ROLE");
  for (const read of [path, `/api/v1/explain/incident/${id}`])
    assert.equal(outcome(await prism.get(read, { token: other.token })), "404 INCIDENT_NOT_FOUND");
  const none = await prism.get<{ data: unknown[] }>("/api/v1/incidents?mine=true", { token: other.token });
  assert.deepEqual(none.body.data, []);
  const silence = { incidentId: id, durationMs: HOUR, comment: "mine" };
  const made = await prism.post<{ id: string }>("/api/v1/silences", silence, as);
  assert.equal(made.status, 201, made.text);
  assert.equal(outcome(await prism.delete(`/api/v1/silences/${made.body.id}`, as)), "204");
  assert.equal(outcome(await prism.post(`${path}/acknowledge`, {}, { token: other.token })), "404 INCIDENT_NOT_FOUND");
  for (const [action, body] of ACTIONS) {
    assert.equal(
      outcome(await prism.post(`${path}/${action}`, body, { token: other.token })),
      "404 INCIDENT_NOT_FOUND",
    );
    assert.equal(outcome(await prism.post(`${path}/${action}`, body, as)), "200", action);
  }
  assert.equal((await prism.get<{ mayAct: boolean }>(path, as)).body.mayAct, false);
});

test("a service token of a paged person acts only with the scope incidents:act", async (t) => {
  const { world, prism, paged, fire } = await shopWorld(t);
  await fire("A", { alertname: "A" });
  const { id } = await world.only();
  const { base } = prism.parts;
  for (const [scopes, expected] of [
    [["events:read", "notifications:own"], "403 UNAUTHORIZED_ROLE"],
    [["events:read", "incidents:act"], "200"],
  ] as const) {
    const { token } = await base.database.write((trx) =>
      createServiceToken(base, { userId: paged.id, name: "t", scopes }, trx),
    );
    assert.equal(outcome(await prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, { token })), expected);
  }
});

interface Case {
  readonly name: string;
  readonly by?: "other";
  readonly body: object;
  readonly expected: string;
}

test("a paged viewer silences the labels of the own alerts for a day, and nothing else", async (t) => {
  const { world, prism, shop, paged, other, fire } = await shopWorld(t);
  await fire("A", { alertname: "A", instance: "db-1", severity: "critical" });
  await fire("B", { alertname: "B", instance: "web-1", severity: "critical", team: "web" });
  const [own, others] = await world.rows();
  const labels = ['alertname="A"', 'instance="db-1"', 'severity="critical"'];
  const from = (ms: number) => new Date(world.clock.now() + ms).toISOString();
  const refused = "403 UNAUTHORIZED_ROLE";
  const rows: Case[] = [
    { name: "all labels", body: { matchers: labels }, expected: "201" },
    { name: "some labels", body: { matchers: labels.slice(0, 2) }, expected: "201" },
    { name: "the incident", body: { incidentId: own?.id }, expected: "201" },
    { name: "a day", body: { matchers: labels, durationMs: DAY }, expected: "201" },
    { name: "more than a day", body: { matchers: labels, durationMs: DAY + 1 }, expected: refused },
    { name: "a later start", body: { matchers: labels, startsAt: from(HOUR) }, expected: refused },
    { name: "another value", body: { matchers: ['alertname="A"', 'instance="db-2"'] }, expected: refused },
    { name: "an absent label", body: { matchers: ['alertname="A"', 'team=""'] }, expected: refused },
    { name: "a pattern", body: { matchers: ['alertname=~"A|B"'] }, expected: refused },
    { name: "no name of an alert", body: { matchers: ['instance="db-1"'] }, expected: refused },
    { name: "alerts of others too", body: { matchers: ['severity="critical"'] }, expected: refused },
    { name: "the alert of others", body: { matchers: ['alertname="B"'] }, expected: refused },
    { name: "the incident of others", body: { incidentId: others?.id }, expected: refused },
    { name: "someone else", by: "other", body: { matchers: labels }, expected: refused },
    {
      name: "windows",
      body: {
        matchers: labels,
        durationMs: undefined,
        recurrence: { cron: "0 22 * * 6", durationMs: HOUR, timezone: "UTC" },
      },
      expected: refused,
    },
  ];
  for (const { name, by, body, expected } of rows)
    await t.test(name, async () => {
      const { token } = by === "other" ? other : paged;
      const draft = { ...("incidentId" in body ? {} : { projectId: shop }), durationMs: HOUR, comment: "c", ...body };
      const reply = await prism.post<{ id: string }>("/api/v1/silences", draft, { token });
      assert.equal(outcome(reply), expected, reply.text);
      if (reply.status !== 201) return;
      const at = `/api/v1/silences/${reply.body.id}`;
      assert.equal(outcome(await prism.patch(at, { comment: "d" }, { token })), refused, "it cannot be changed");
      assert.equal(outcome(await prism.delete(at, { token: other.token })), refused);
      assert.equal(outcome(await prism.delete(at, { token })), "204", "its creator may end it");
    });
  const audit = rowsOf<{ userId: string; metadata: string }>(
    prism,
    "select userId, metadata from audit_log where action = 'silence.create'",
  );
  assert.equal(audit.length, 4);
  assert.ok(audit.every(({ userId, metadata }) => userId === paged.id && metadata.includes('"right":"paged"')));
});

test("a paged viewer silences no severity when the alert of the page has ended", async (t) => {
  const { world, prism, shop, paged, fire } = await shopWorld(t);
  const [labels, other] = [
    { alertname: "A", severity: "critical" },
    { alertname: "A", severity: "warning" },
  ];
  await fire("A", labels);
  await fire("A2", other);
  await world.resolveAlert("A", { projectId: shop, labels });
  assert.equal((await world.only()).state, "open");
  const silence = (...matchers: string[]) => silenceBy(prism, paged.token, { projectId: shop, matchers });
  assert.equal(outcome(await silence('severity="critical"')), "403 UNAUTHORIZED_ROLE");
  assert.equal(outcome(await silence('alertname="A"', 'severity="critical"')), "403 UNAUTHORIZED_ROLE", "it has ended");
  assert.equal(outcome(await silence('severity="warning"')), "403 UNAUTHORIZED_ROLE");
  assert.equal(outcome(await silence('alertname="A"')), "201");
});

test("a paged viewer silences no alert that has another route now, and people, since", async (t) => {
  const { world, prism, shop, paged, fire } = await shopWorld(t);
  await fire("A", { alertname: "A", instance: "a" });
  await fire("B", { alertname: "A", instance: "b" });
  const { input, alerts } = worldOf(prism, world.clock);
  const moved = input("B", { projectId: shop, labels: { alertname: "A", instance: "b", team: "web" } });
  await alerts().submit([moved]);
  const silence = (...matchers: string[]) => silenceBy(prism, paged.token, { projectId: shop, matchers });
  assert.equal((await world.rows())[0]?.state, "open");
  assert.equal(outcome(await silence('alertname="A"', 'instance="b"')), "403 UNAUTHORIZED_ROLE", "not its own");
  assert.equal(outcome(await silence('alertname="A"')), "403 UNAUTHORIZED_ROLE", "it matches the other one, too");
  assert.equal(outcome(await silence('alertname="A"', 'instance="a"')), "201");
});

test("of an alert without alertname a paged viewer silences all labels together", async (t) => {
  const { prism, shop, paged, fire } = await shopWorld(t);
  await fire("A", { instance: "db-1", severity: "critical" });
  const silence = (...matchers: string[]) => silenceBy(prism, paged.token, { projectId: shop, matchers });
  assert.equal(outcome(await silence('severity="critical"')), "403 UNAUTHORIZED_ROLE");
  assert.equal(outcome(await silence('instance="db-1"', 'severity="critical"')), "201");
});

test("after the incident a viewer silences nothing", async (t) => {
  const { world, prism, shop, paged, fire } = await shopWorld(t);
  await fire("A", { alertname: "A" });
  const silence = () => silenceBy(prism, paged.token, { projectId: shop, matchers: ['alertname="A"'] });
  assert.equal(outcome(await silence()), "201");
  const { id } = await world.only();
  assert.equal((await prism.post(`/api/v1/incidents/${id}/resolve`, {})).status, 200);
  assert.equal(outcome(await silence()), "403 UNAUTHORIZED_ROLE");
});

function silenceBy(prism: TestPrism, token: string, more: object): Promise<Reply> {
  return prism.post("/api/v1/silences", { durationMs: HOUR, comment: "c", ...more }, { token });
}
