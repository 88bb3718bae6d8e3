import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { OPERATOR } from "../../../src/core/caller.ts";
import { uuidv7 } from "../../../src/core/ids.ts";
import type { ConfigKind, ObjectOwner } from "../../../src/module/config-kind.ts";
import { applying, assertRoundTrip, KnownNames, kindOf, read, written } from "../../helpers/config-kinds.ts";
import { makeProject, makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";

async function world(t: TestContext) {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const { id: projectId } = await makeProject(prism);
  const ada = await makeUser(prism, "ada");
  const joined = await prism.post(`/api/v1/projects/${projectId}/members`, { userId: ada.id, role: "viewer" });
  assert.ok(joined.status < 300, joined.text);
  const names = new KnownNames();
  names.add("people", ada.id, "ada");
  const [policies, routes, oncall] = await Promise.all(
    ["policies", "routes", "oncall"].map((kind) => kindOf(prism, kind)),
  );
  assert.ok(policies && routes && oncall);
  const { db } = prism.parts.features.context;
  const kinds = { policies, routes, oncall };
  return { prism, projectId, ada, names, db, ...kinds, ...applying(prism, projectId, names) };
}

const night = {
  name: "Night",
  repeat: 2,
  ackExpires: "30m",
  steps: [
    { type: "notify", users: ["ada"], roles: ["Admin"], urgency: "low" },
    { type: "wait", for: "5m" },
    { type: "ifCount", alerts: 3, window: "10m" },
    { type: "webhook", url: "https://hooks.example.org/secret", sendResolved: false },
    { type: "resolve" },
  ],
};

test("a policy of files is made, read back as it was written, changed, renamed and removed", async (t) => {
  const { policies, names, store, find, remove, owner, db, prism } = await world(t);
  const stub = { ...policies, prepare: async () => undefined } satisfies ConfigKind;
  await store(stub, night);
  const stored = await find(policies, "Night");
  assertRoundTrip(policies, stored, names);
  const { name, repeat, steps, ackExpires } = written(policies, stored, names);
  assert.deepEqual({ name, repeat, steps, ackExpires }, night);
  assert.equal(policies.masked?.(stored.spec)["steps"] === undefined, false);
  assert.match(JSON.stringify(policies.masked?.(stored.spec)), /https:\/\/hooks\.example\.org\/…/);

  // Defaults that a file spells out are the same; nothing is stored again.
  const spelled = { type: "notify", users: ["ada"], roles: ["Admin"], urgency: "low", members: false, schedules: [] };
  await store(stub, { ...night, steps: [spelled, ...night.steps.slice(1)], fallback: null });
  assert.equal((await find(policies, "Night")).version, 1);
  await store(stub, { ...night, repeat: 3, fallback: "default" });
  assert.equal((await find(policies, "Night")).version, 2);
  const renamed = read(policies, { ...night, name: "Nights" }, names);
  await db.write((trx) => policies.update(trx, owner, stored, renamed, undefined));
  await remove(policies, "Nights");
  assert.deepEqual(
    (await policies.list(db.read, owner.projectId)).map((each) => each.name),
    ["default"],
  );
  const actions = rowsOf<{ action: string }>(
    prism,
    "select action from audit_log where action like 'policy.%' order by seq",
  );
  assert.deepEqual(
    actions.map(({ action }) => action),
    ["policy.create", "policy.update", "policy.update", "policy.delete"],
  );
});

test("the policy default is listed before it is stored, and is neither removed nor renamed", async (t) => {
  const { policies, projectId, names, store, find, remove, owner, db } = await world(t);
  const implicit = await find(policies, "default");
  assert.deepEqual([implicit.id, implicit.version, implicit.isImplicit, implicit.isKept], [projectId, 0, true, true]);
  assertRoundTrip(policies, implicit, names);
  // As one that is new, too: its list was not read.
  const spec = read(policies, { name: "default", steps: [{ type: "notify", members: true }], repeat: 1 }, names);
  await db.write((trx) => policies.create(trx, owner, projectId, spec, undefined));
  const stored = await find(policies, "default");
  assert.deepEqual([stored.id, stored.version, stored.isImplicit, stored.isKept], [projectId, 1, undefined, true]);
  await store(policies, { name: "default", steps: [], repeat: 2 });
  assert.equal((await find(policies, "default")).spec["repeat"], 2);
  await assert.rejects(remove(policies, "default"), { code: "INVALID_STATE" });
  const other = { ...stored.spec, name: "other" };
  await assert.rejects(
    db.write((trx) => policies.update(trx, owner, stored, other, undefined)),
    { code: "INVALID_STATE" },
  );
});

const office = {
  name: "office",
  intervals: [{ weekdays: ["monday:friday"], times: [{ start_time: "09:00", end_time: "17:00" }] }],
};
const tree = {
  policy: "default",
  groupBy: ["alertname"],
  groupWait: "0s",
  routes: [{ matchers: ['severity="info"'], repeat: "1d", activeIntervals: ["office"], routes: [{ groupWait: "2m" }] }],
};

test("routes are a single object: written with the names and durations of files in each child", async (t) => {
  const { routes, projectId, names, store, find, remove } = await world(t);
  const implicit = await find(routes, "routes");
  assert.deepEqual([implicit.id, implicit.version, implicit.isImplicit], [projectId, 0, true]);
  await store(routes, { route: tree, timeIntervals: [office] });
  const stored = await find(routes, "routes");
  assertRoundTrip(routes, stored, names);
  assert.deepEqual(written(routes, stored, names), { route: tree, inhibitRules: [], timeIntervals: [office] });
  await store(routes, { route: tree, timeIntervals: [office], inhibitRules: [] });
  assert.equal((await find(routes, "routes")).version, 1, "the same document is no new version");
  await store(routes, { route: { ...tree, groupWait: "10s" }, timeIntervals: [office] });
  assert.equal((await find(routes, "routes")).version, 2);
  await assert.rejects(store(routes, { route: tree }), { code: "VALIDATION_FAILED" }, "an interval is missing");
  await assert.rejects(store(routes, { route: { routes: [{ matchers: ["="] }] } }), { code: "VALIDATION_FAILED" });
  await assert.rejects(store(routes, { route: { policy: "Gone" } }), { code: "VALIDATION_FAILED" });
  await remove(routes, "routes");
  const built = await find(routes, "routes");
  assert.deepEqual([built.spec, built.version], [implicit.spec, 3]);
});

test("interval, policy, route and schedule are made in one commit, renamed in one, and removed in one", async (t) => {
  const { prism, policies, routes, oncall, names, owner, db, ada, projectId } = await world(t);
  const shift = { name: "All", start: "2026-11-23T09:00:00", duration: "1w", turns: [["ada"]] };
  const scheduleId = uuidv7();
  names.add("oncall", scheduleId, "Duty");
  const steps = [
    { type: "onlyIn", interval: "office" },
    { type: "notify", schedules: [{ name: "Duty", who: "both" }] },
  ];
  const planned = (policy: string) => {
    const routing = read(routes, { route: { ...tree, policy }, timeIntervals: [office] }, names);
    const spec = read(policies, { name: policy, steps }, names);
    const known: ObjectOwner = { ...owner, planned: (kind) => (kind === "routes" ? [routing] : []) };
    return { routing, spec, known };
  };
  const schedule = read(oncall, { name: "Duty", shifts: [shift] }, names);
  const office1 = planned("Office");
  const prepared = await routes.prepare?.(owner, office1.routing, null, projectId);
  const id = uuidv7();
  await assert.rejects(
    db.write(async (trx) => {
      await oncall.create(trx, owner, scheduleId, schedule, undefined);
      await policies.create(trx, owner, id, office1.spec, undefined);
    }),
    { code: "VALIDATION_FAILED" },
    "without planned routes there is no such interval",
  );
  await db.write(async (trx) => {
    await oncall.create(trx, office1.known, scheduleId, schedule, undefined);
    await policies.create(trx, office1.known, id, office1.spec, undefined);
    await routes.create(trx, office1.known, projectId, office1.routing, prepared);
  });
  const one = async (kind: ConfigKind, name: string) => {
    const found = (await kind.list(db.read, projectId)).find((each) => each.name === name);
    assert.ok(found);
    return found;
  };
  assert.equal((await one(policies, "Office")).id, id);
  assert.deepEqual(written(policies, await one(policies, "Office"), names)["steps"], steps);
  const shown = await prism.get<{ data: { shifts: unknown; name: string }[] }>(
    `/api/v1/oncall/schedules/${scheduleId}`,
  );
  assert.equal(shown.status, 200, shown.text);
  assert.deepEqual((await one(oncall, "Duty")).spec["shifts"], schedule["shifts"]);
  assert.match(JSON.stringify(schedule["shifts"]), new RegExp(ada.id));

  const next = planned("Hours");
  const document = await routes.prepare?.(owner, next.routing, null, projectId);
  const [policy, stored] = [await one(policies, "Office"), await one(routes, "routes")];
  await db.write(async (trx) => {
    await policies.update(trx, next.known, policy, next.spec, undefined);
    await routes.update(trx, next.known, stored, next.routing, document);
  });
  assert.equal((await one(policies, "Hours")).id, id);

  const [gone, duty, last] = [await one(policies, "Hours"), await one(oncall, "Duty"), await one(routes, "routes")];
  await assert.rejects(
    db.write(async (trx) => policies.remove?.(trx, owner, gone)),
    { code: "INVALID_STATE" },
  );
  await assert.rejects(
    db.write(async (trx) => oncall.remove?.(trx, owner, duty)),
    { code: "ON_CALL_SCHEDULE_IN_USE" },
  );
  await db.write(async (trx) => {
    await routes.remove?.(trx, owner, last);
    await policies.remove?.(trx, owner, gone);
    await oncall.remove?.(trx, { caller: OPERATOR, projectId }, duty);
  });
  assert.deepEqual(await oncall.list(db.read, projectId), []);
});
