import assert from "node:assert/strict";
import test from "node:test";
import type { ExplainView } from "../../../src/features/explain/schema.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";

const NO_ID = "0198c0de-0000-7000-8000-000000000000";

async function makeRule(prism: TestPrism, rule: Record<string, unknown>): Promise<string> {
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/rules", { targetUsers: ["me"], ...rule }));
  return made.body.id;
}

async function send(prism: TestPrism, event: Record<string, unknown>): Promise<string> {
  const { body } = await answered(202, prism.post<{ id: string }>("/events", event));
  return body.id;
}

async function explain(prism: TestPrism, id: string, query = "", token?: string): Promise<ExplainView> {
  const { status, body, text } = await prism.get<ExplainView>(
    `/api/v1/explain/event/${id}${query}`,
    token === undefined ? {} : { token },
  );
  assert.equal(status, 200, text);
  return body;
}

const outcomesOf = ({ rules }: ExplainView) => Object.fromEntries(rules.map(({ name, outcome }) => [name, outcome]));
const ruleOf = ({ rules }: ExplainView, name: string) => {
  const rule = rules.find((each) => each.name === name);
  assert.ok(rule, `${name} is explained`);
  return rule;
};

test("S2-129 S2-115 every rule says what it made of an event, and why", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const shop = await makeProject(prism);
  const condition = "event.type == 'door.opened'";
  const fires = await makeRule(prism, { name: "fires", condition, priority: 9 });
  await makeRule(prism, { name: "storm", condition, suppression: { count: 1, windowMs: 60_000 } });
  await makeRule(prism, { name: "joins", condition, dedupe: { key: "{{event.door}}", windowMs: 60_000 } });
  await makeRule(prism, { name: "cools", condition, cooldownMs: 60_000 });
  await makeRule(prism, { name: "nobody", condition, targetUsers: [], targetRoles: ["Auditor"] });
  await makeRule(prism, { name: "other door", condition: "event.door == 'north' && event.width > 3" });
  await makeRule(prism, { name: "off", condition, active: false });
  await makeRule(prism, { name: "of the shop", condition, projectId: shop.id });
  const gone = await makeRule(prism, { name: "gone", condition: "event.type == 'never'" });
  assert.equal((await prism.delete(`/api/v1/rules/${gone}`)).status, 204);
  const first = await send(prism, { type: "door.opened", payload: { door: "south" } });
  clock.advance(1000);
  const second = await send(prism, { type: "door.opened", payload: { door: "south" } });
  clock.advance(1000);
  await makeRule(prism, { name: "later", condition });
  await prism.patch(`/api/v1/rules/${fires}`, { condition: "event.type == 'something else'", name: "renamed" });

  const view = await explain(prism, second);
  assert.deepEqual(outcomesOf(view), {
    fires: "fired",
    storm: "suppressed",
    joins: "deduped",
    cools: "cooled",
    nobody: "no recipients",
    "other door": "condition false",
    off: "inactive",
    later: "later",
  });
  assert.deepEqual(view.counts, {
    fired: 1,
    suppressed: 1,
    deduped: 1,
    cooled: 1,
    "no recipients": 1,
    "condition false": 1,
    inactive: 1,
    later: 1,
  });
  assert.equal(view.scope, "full");
  assert.deepEqual([view.event?.id, view.event?.state], [second, "decided"]);

  const firstView = await explain(prism, first);
  const [joined, cooled] = [ruleOf(firstView, "joins"), ruleOf(firstView, "cools")];
  const [storm, joins] = [ruleOf(view, "storm"), ruleOf(view, "joins")];
  assert.equal(ruleOf(view, "fires").version, 1, "the version that met the event, not the one that came later");
  assert.equal(ruleOf(view, "fires").trace?.matched, true);
  assert.deepEqual(
    [storm.suppression?.limit, storm.suppression?.matchesInWindow, storm.suppression?.storm?.heldBack],
    [1, 2, 1],
  );
  assert.match(storm.reason, /^suppressed: more than 1 match within 1 min; 1 was suppressed since /);
  assert.equal(joins.earlier?.notificationId, joined.notificationId);
  assert.equal(joins.earlier?.aggregateCount, 2);
  assert.equal(ruleOf(view, "cools").earlier?.notificationId, cooled.notificationId);
  assert.match(ruleOf(view, "other door").reason, /event\.door was "south"/);
  assert.equal(
    view.answer,
    "5 rules matched: 1 sent a notification, 1 held it back, 1 joined it to an earlier notification, 1 kept silent after an earlier notification, 1 had no recipients; 1 person has it in the inbox.",
  );
});

test("an event that no rule met says so; an unknown one, and one of a project that is not the caller's, are not there", async (t) => {
  const prism = await startPrism(t);
  const id = await send(prism, { type: "a" });
  assert.equal((await explain(prism, id)).answer, "No rule applied to it, so no user was notified.");
  await makeRule(prism, { name: "r", condition: "event.type == 'b'" });
  const next = await send(prism, { type: "a" });
  assert.equal((await explain(prism, next)).answer, "The only rule did not match it, so no user was notified.");
  for (const unknown of [NO_ID, "x", "%27"]) {
    const { status, body } = await prism.get<{ error: { code: string } }>(`/api/v1/explain/event/${unknown}`);
    assert.deepEqual([status, body.error.code], [404, "EVENT_NOT_FOUND"]);
  }
  const { status, body } = await prism.get<{ error: { code: string } }>(`/api/v1/explain/event/${id}?userId=${NO_ID}`);
  assert.deepEqual([status, body.error.code], [404, "USER_NOT_FOUND"]);
});

test("a recipient sees the own part alone, and nothing of it about others", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const anna = await makeUser(prism, "anna");
  const ben = await makeUser(prism, "ben");
  for (const { id } of [anna, ben])
    assert.ok((await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: id, role: "viewer" })).status < 300);
  const rule = { condition: "event.amount > 5", projectId: shop.id };
  await makeRule(prism, { ...rule, name: "hers", targetUsers: [anna.id, ben.id] });
  await makeRule(prism, { ...rule, name: "his", targetUsers: [ben.id] });
  const id = await send(prism, { type: "a", projectId: shop.id, payload: { amount: 98765.4321 } });
  const view = await explain(prism, id, "", anna.token);
  assert.equal(view.scope, "own");
  assert.deepEqual(outcomesOf(view), { hers: "fired" });
  assert.equal(JSON.stringify(view).includes(ben.id), false);
  assert.equal(JSON.stringify(view).includes("98765.4321"), false);
  assert.deepEqual(view.notifications[0]?.counts, { recipients: 1, delivered: 0, read: 0, acknowledged: 0 });
  assert.equal(view.user?.told, true);
  assert.match(view.answer, /^anna was notified \(hers: notified: waits in the inbox/);
  const others = await prism.get<{ error: { code: string } }>(`/api/v1/explain/event/${id}?userId=${ben.id}`, anna);
  assert.deepEqual([others.status, others.body.error.code], [403, "UNAUTHORIZED_ROLE"]);
  const cleo = await makeUser(prism, "cleo");
  const hidden = await prism.get<{ error: { code: string } }>(`/api/v1/explain/event/${id}`, cleo);
  assert.deepEqual([hidden.status, hidden.body.error.code], [404, "EVENT_NOT_FOUND"]);
});

test("of many rules the first are shown and all are counted", async (t) => {
  const prism = await startPrism(t);
  for (let n = 0; n < 110; n++)
    await makeRule(prism, { name: `r${n}`, condition: n < 5 ? "event.type == 'a'" : "event.type == 'b'", priority: n });
  const view = await explain(prism, await send(prism, { type: "a" }));
  assert.deepEqual([view.rules.length, view.rulesLeftOut], [105, 5]);
  assert.deepEqual([view.counts["fired"], view.counts["condition false"]], [5, 100]);
  assert.equal(view.rules[5]?.name, "r109", "in rule order");
});
