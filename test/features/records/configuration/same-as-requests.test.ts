import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { AlertTrial, Explanation } from "../../../../src/client/api-types.gen.ts";
import { chanceOf, TEST_SEED } from "../../../helpers/chance.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { Api } from "./support/api.ts";
import { Edited } from "./support/edited.ts";
import { documentOf, HOSTS, secretsOf, send } from "./support/files.ts";
import { type Made, PROJECTS } from "./support/objects.ts";
import { Chance } from "./support/values.ts";

const isAll = process.env["TEST_ALL_RUNS"] !== undefined;
const EDITS = isAll ? 200 : 40;
const ALERTS = isAll ? 1000 : 100;
const EVENTS = isAll ? 200 : 40;
/** Edits of one apply. */
const AT_ONCE = 10;

async function exportedWithoutSecrets(prism: TestPrism): Promise<object> {
  const path = "/api/v1/configuration/export?people=true&secrets=omit";
  return (await answered(200, prism.get<{ document: object }>(path))).body.document;
}

/** A text with names in place of the ids of this server. */
function namesFor(prism: TestPrism): (text: string) => string {
  const names = new Map<string, string>();
  for (const [table, column] of [
    ["users", "username"],
    ["policies", "name"],
    ["oncall_schedules", "name"],
    ["channels", "name"],
    ["projects", "slug"],
    ["rules", "name"],
  ])
    for (const { id, name } of rowsOf<{ id: string; name: string }>(
      prism,
      `select id, ${column} as name from ${table}`,
    ))
      names.set(id, `${table} ${name}`);
  return (text) => text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => names.get(id) ?? "id");
}

function alertOf(chance: Chance) {
  const labels = {
    alertname: chance.one(["DiskFull", "InfoOnly", "HostDown"]),
    severity: chance.one(["critical", "error", "warning", "info"]),
    team: chance.one(["db", "web", "shop"]),
    env: chance.one(["test", "live"]),
    ...(chance.is(30) && { note: 'a "b", c' }),
  };
  const at = new Date(Date.UTC(2026, 11, 1) + chance.integer(0, 60 * 24 * 60) * 60_000).toISOString();
  const firing = chance.is(30) ? [{ ...labels, severity: "critical", alertname: "Other" }] : [];
  return { labels, at, firing };
}

async function decisionOf(prism: TestPrism, named: (text: string) => string, project: string, alert: object) {
  const { body } = await answered(
    200,
    prism.post<AlertTrial>("/api/v1/explain/alert", { projectId: project, ...alert }),
  );
  const routes = body.routes.map(({ policy, ...route }) => ({ ...route, policy: policy.name }));
  return JSON.parse(named(JSON.stringify({ ...body, routes }))) as object;
}

function eventOf(chance: Chance) {
  const type = chance.one(["payment.failed", "payment.refunded", "a", "b", "door.opened"]);
  return { type, level: chance.one(["info", "warn", "error"]), payload: { amount: chance.integer(0, 1000) } };
}

/** The rules that an event met, and whom they notified by which ways. */
async function eventDecisionOf(prism: TestPrism, named: (text: string) => string, event: object) {
  const { body: sent } = await answered(202, prism.post<{ id: string }>("/api/v1/events", event));
  // Also what it says of alerts has been taken: the next event meets them.
  const undecided =
    "select 1 from events where processedAt is null union all select 1 from alert_signals where eventSeq > 0";
  await eventually("the event is decided", () => rowsOf(prism, undecided).length === 0);
  const { body } = await answered(200, prism.get<Explanation>(`/api/v1/explain/event/${sent.id}`));
  const rules = body.rules.map(({ name, outcome, condition, targets, alert, notificationId }) =>
    named(JSON.stringify([name, outcome, condition, targets, alert, notificationId !== null])),
  );
  const notifications = body.notifications.map(({ ruleId, title, aggregateCount, recipients }) => {
    // How far a delivery has come is not decided by the configuration.
    const people = recipients.map(({ userId, deliveries }) => [
      userId,
      deliveries.map(({ channel }) => channel).sort(),
    ]);
    return named(JSON.stringify([ruleId, title, aggregateCount])) + people.map(String).map(named).sort().join();
  });
  return { rules: rules.sort(), notifications: notifications.sort() };
}

test("edits by files and by requests give the same configuration and the same decisions", async (t: TestContext) => {
  chanceOf(t);
  // Windows of rules are those of one clock.
  const clock = new FakeClock();
  const options = { settings: { ...HOSTS.settings, "auth.accessExpires": "7d" }, clock };
  const [byFile, byRequest] = [await startPrism(t, options), await startPrism(t, options)];
  const kinds = await byFile.parts.features.context.configKinds({});
  const pair = new Edited(kinds, TEST_SEED, 120);
  const api = new Api(byRequest, kinds);
  for (const made of pair.made) await api.store(made);
  const apply = async (renamed: ReadonlyMap<Made, string>) => {
    const { objects, secrets } = documentOf(kinds, pair.made, renamed);
    const planned = await send(byFile, "plan", { objects }, { secrets, prune: true });
    const deletes = planned.body.changes?.filter(({ op }) => op === "delete").length;
    const found = await send(
      byFile,
      "apply",
      { objects },
      { secrets, prune: true, ...(deletes && { allowDeletes: deletes }) },
    );
    assert.equal(found.status, 200, `${JSON.stringify(planned.body.problems)} ${found.text}`);
  };
  await apply(new Map());
  // People who were invited have chosen a password.
  await byFile.parts.base.database.write((trx) => trx.updateTable("users").set({ status: "active" }).execute());
  byFile.rightsChanged();
  const same = async () => {
    assert.deepEqual(await exportedWithoutSecrets(byFile), await exportedWithoutSecrets(byRequest));
    assert.deepEqual(await secretsOf(byFile), await secretsOf(byRequest));
  };
  await same();
  for (let done = 0; done < EDITS; done += AT_ONCE) {
    const names = new Map<string, string>();
    for (let n = 0; n < AT_ONCE; n++) {
      clock.advance(1000);
      const { before, after } = pair.edit();
      if (before && after) await api.change(before, after);
      else if (after) await api.store(after);
      else if (before) await api.remove(before);
      if (before && after && before.name !== after.name) {
        const key = `${after.kind} ${after.project} `;
        names.set(key + after.name, names.get(key + before.name) ?? before.name);
      }
    }
    const renamed = new Map(
      pair.made.flatMap((each) => {
        const old = names.get(`${each.kind} ${each.project} ${each.name}`);
        return old === undefined ? [] : [[each, old] as const];
      }),
    );
    await apply(renamed);
    await same();
  }
  const chance = new Chance(TEST_SEED + 1);
  const named = [byFile, byRequest].map(namesFor);
  for (let n = 0; n < ALERTS; n++) {
    const [project, alert] = [chance.one(PROJECTS), alertOf(chance)];
    const [first, second] = await Promise.all(
      [byFile, byRequest].map((prism, at) => decisionOf(prism, named[at] as (text: string) => string, project, alert)),
    );
    assert.deepEqual(first, second, JSON.stringify(alert));
  }
  let notified = 0;
  for (let n = 0; n < EVENTS; n++) {
    clock.advance(chance.integer(1, 600) * 1000);
    // Alerts whose time is over end on both servers before the event comes.
    for (const { parts } of [byFile, byRequest]) await parts.offers.alerts.flush();
    const event = { projectId: chance.one(PROJECTS), ...eventOf(chance) };
    const [first, second] = await Promise.all(
      [byFile, byRequest].map((prism, at) => eventDecisionOf(prism, named[at] as (text: string) => string, event)),
    );
    assert.deepEqual(first, second, JSON.stringify(event));
    if (first && first.notifications.length > 0) notified++;
  }
  t.diagnostic(`${notified} of ${EVENTS} events notify`);
  assert.ok(notified > 0);
});
