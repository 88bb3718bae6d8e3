import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import type { Incident as IncidentRow } from "../../src/client/api-types.gen.ts";
import { chanceOf, type Random } from "../helpers/chance.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 10;
/** Alerts of one name are one group. */
const NAMES = ["A", "B", "C", "D", "E"];
const PODS = ["1", "2"];
/** These fire from the first kill to the last, and no one acknowledges them. */
const LASTING = ["Lasting1", "Lasting2", "Lasting3"];
const PEOPLE = ["ann", "bob", "cyd"];
const WAIT_MS = 150;
const STEPS = PEOPLE.flatMap((name) => [
  { type: "notify", users: [name] },
  { type: "wait", ms: WAIT_MS },
]);

test(`killed ${KILLS} times: each step notifies once, and every recipient receives one resolution`, async (t) => {
  const random = chanceOf(t);
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_ENABLED: "false" } });
  const answered: Answered = new Map();
  for (let kill = 0; kill < KILLS; kill++) {
    await prism.start();
    if (kill === 0) await prepare(prism);
    await checkAnswered(prism, answered);
    const load = send(prism, random, answered);
    await new Promise((resolve) => setTimeout(resolve, random.integer(30, 350)));
    await prism.kill();
    await load;
  }
  await prism.start();
  await eventually("the lasting alerts have reached everyone", async () => {
    const open = await openIncidents(prism);
    const lasting = open.filter(({ title }) => LASTING.includes(title));
    return lasting.length === LASTING.length && lasting.every(({ step }) => step >= STEPS.length - 1);
  });
  const { status } = await post(prism, "/alerts", {
    alerts: [...allAlerts(), ...LASTING.map((name) => alertOf(name, "1"))].map((each) => ({
      ...each,
      status: "resolved",
    })),
  });
  assert.ok(status < 300, String(status));
  await eventually("all incidents are resolved", async () => (await openIncidents(prism)).length === 0);
  const { body } = await prism.call<{ ok: boolean }>("GET", "/api/v1/audit/verify");
  assert.equal(body.ok, true, "the audit chain verifies");
  assert.equal(await prism.stop(), 0);
  checkLedger(new Ledger(join(prism.dir, "data/prism.db"), t), t);
});

interface Outgoing {
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status?: "resolved";
}

interface OpenIncident {
  readonly id: string;
  readonly title: string;
  readonly step: number;
}

function alertOf(name: string, pod: string): Outgoing {
  return { key: `${name}-${pod}`, labels: { alertname: name, pod } };
}

function allAlerts(): Outgoing[] {
  return NAMES.flatMap((name) => PODS.map((pod) => alertOf(name, pod)));
}

function post(prism: PrismBinary, path: string, body: object): Promise<{ status: number }> {
  return prism.call("POST", `/api/v1${path}`, body);
}

async function openIncidents(prism: PrismBinary): Promise<OpenIncident[]> {
  const open = await prism.all<OpenIncident>("/api/v1/incidents?state=open");
  return [...open, ...(await prism.all<OpenIncident>("/api/v1/incidents?state=acknowledged"))];
}

/** Three people, a step for each, and groups that are looked at again after a second. */
async function prepare(prism: PrismBinary): Promise<void> {
  const made = async (method: string, path: string, body: object): Promise<void> => {
    const reply = await prism.call(method, `/api/v1${path}`, body);
    assert.ok(reply.status < 300, `${path}: ${JSON.stringify(reply.body)}`);
  };
  for (const username of PEOPLE) {
    const password = `the password of ${username}`;
    await made("POST", "/users", { username, email: `${username}@example.org`, password });
    await made("POST", "/projects/default/members", { userId: username, role: "editor" });
  }
  await made("POST", "/policies", { name: "Steps", steps: STEPS });
  const route = { policy: "Steps", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 1000 };
  await made("PUT", "/routes", { route });
}

/** Whether an alert fires, by key, as the last answer said; none while a request has no answer. */
type Answered = Map<string, boolean>;

/** What was answered before the kill is in effect after it. */
async function checkAnswered(prism: PrismBinary, answered: Answered): Promise<void> {
  const firing = new Set((await prism.all<{ key: string }>("/api/v1/alerts")).map(({ key }) => key));
  for (const [key, isFiring] of answered) assert.equal(firing.has(`api:${key}`), isFiring, key);
}

/** Fires, resolves and acknowledges until the server is gone. */
async function send(prism: PrismBinary, random: Random, answered: Answered): Promise<void> {
  const sendAlert = async (alert: Outgoing): Promise<void> => {
    answered.delete(alert.key);
    const { status } = await post(prism, "/alerts", { alerts: [alert] });
    assert.ok(status < 300);
    answered.set(alert.key, alert.status !== "resolved");
  };
  try {
    await post(prism, "/alerts", { alerts: LASTING.map((name) => alertOf(name, "1")) });
    for (;;) {
      const all = allAlerts();
      const chosen = all[random.integer(0, all.length - 1)] ?? alertOf("A", "1");
      const kind = random.integer(0, 9);
      if (kind < 5) await sendAlert(chosen);
      else if (kind < 9) await sendAlert({ ...chosen, status: "resolved" });
      else await acknowledgeOne(prism, random);
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    // The server was killed.
  }
}

async function acknowledgeOne(prism: PrismBinary, random: Random): Promise<void> {
  const open = (await openIncidents(prism)).filter(({ title }) => NAMES.includes(title));
  const one = open[random.integer(0, Math.max(0, open.length - 1))];
  if (one) await post(prism, `/incidents/${one.id}/acknowledge`, {});
}

interface Notified {
  readonly seq: number;
  readonly data: {
    readonly reason: string;
    readonly step?: number;
    readonly round?: number;
    readonly users: readonly string[];
    readonly notificationIds: readonly string[];
  };
}

/** The tables after the last kill. */
class Ledger {
  readonly #db: SqliteDatabase.Database;

  constructor(file: string, t: TestContext) {
    this.#db = new SqliteDatabase(file, { readonly: true });
    t.after(() => this.#db.close());
  }

  rows<T>(sql: string, ...values: readonly unknown[]): T[] {
    return this.#db.prepare<unknown[], T>(sql).all(...values);
  }

  count(sql: string, ...values: readonly unknown[]): number {
    return (
      this.#db
        .prepare<unknown[], number>(sql)
        .pluck()
        .get(...values) ?? Number.NaN
    );
  }

  timeline(incidentId: string, kind: string): Notified[] {
    const sql = "select seq, data from incident_log where incidentId = ? and kind = ? order by seq";
    const rows = this.rows<{ seq: number; data: string }>(sql, incidentId, kind);
    return rows.map(({ seq, data }) => ({ seq, data: JSON.parse(data) as Notified["data"] }));
  }

  /** Users with the number of notifications of this reason that they received. */
  received(incidentId: string, isEnd: boolean): Map<string, number> {
    const sql = `select r.userId, count(*) as count from notifications n
      join notification_recipients r on r.notificationId = n.id
      where n.incidentId = ? and (n.data ->> 'reason' = 'resolved') = ? group by r.userId`;
    const rows = this.rows<{ userId: string; count: number }>(sql, incidentId, isEnd ? 1 : 0);
    return new Map(rows.map(({ userId, count }) => [userId, count]));
  }
}

function checkLedger(ledger: Ledger, t: TestContext): void {
  const incidents = ledger.rows<IncidentRow>(
    "select id, title, step, round, notifiedAt from incidents order by number",
  );
  for (const name of LASTING)
    assert.equal(incidents.filter(({ title }) => title === name).length, 1, `${name} has fired once`);
  assert.ok(incidents.length > LASTING.length, "others have fired, too");
  for (const incident of incidents) checkIncident(ledger, incident);
  checkAlerts(ledger);
  t.diagnostic(
    `${incidents.length} incidents, ${ledger.count("select count(*) from incident_acks")} acknowledged, ` +
      `${ledger.count("select count(*) from notifications where incidentId is not null")} notifications`,
  );
  const duplicates = `select count(*) from (select 1 from notifications where incidentId is not null
    group by dedupeKey having count(*) > 1)`;
  assert.equal(ledger.count(duplicates), 0);
}

function checkIncident(ledger: Ledger, { id, title, step, round, notifiedAt }: IncidentRow): void {
  const notified = ledger.timeline(id, "notified");
  const steps = notified.filter(({ data }) => data.reason === "step");
  const expected = STEPS.flatMap(({ type }, index) => (type === "notify" && index < step ? [index] : []));
  assert.equal(round, 0);
  const ofSteps = steps.map(({ data }) => data.step);
  assert.deepEqual(ofSteps, notifiedAt === null ? [] : expected, `${title}: each step that has begun, once`);
  if (LASTING.includes(title)) assert.equal(steps.length, PEOPLE.length);
  const [acknowledged, ...more] = ledger.timeline(id, "acknowledged");
  assert.equal(more.length, 0, `${title}: one acknowledgement`);
  if (acknowledged)
    assert.ok(
      steps.every(({ seq }) => seq < acknowledged.seq),
      `${title}: no step after it`,
    );
  assert.equal(
    ledger.count("select count(*) from audit_log where action = 'incident.acknowledge' and resourceId = ?", id),
    acknowledged ? 1 : 0,
  );
  const stored = ledger.rows<{ id: string }>("select id from notifications where incidentId = ? order by id", id);
  assert.deepEqual(
    notified.flatMap(({ data }) => data.notificationIds).sort(),
    stored.map((each) => each.id),
    `${title}: each notification is in the timeline, once`,
  );
  const told = [...ledger.received(id, false).keys()].sort();
  const ended = ledger.received(id, true);
  assert.deepEqual([...ended.keys()].sort(), told, `${title}: every recipient receives the resolution`);
  assert.ok(
    [...ended.values()].every((count) => count === 1),
    `${title}: one resolution`,
  );
}

/** Each alert has its two events and is in one incident. */
function checkAlerts(ledger: Ledger): void {
  const alerts = ledger.count("select count(*) from alerts");
  assert.equal(ledger.count("select count(*) from alerts where state = 'resolved'"), alerts);
  assert.equal(ledger.count("select count(*) from incident_alerts"), alerts);
  assert.equal(ledger.count("select count(distinct alertId) from incident_alerts"), alerts);
  for (const type of ["alert.opened", "alert.resolved"]) {
    const events = "select count(*) from events where type = ?";
    assert.equal(ledger.count(events, type), alerts);
    assert.equal(ledger.count(events.replace("*", "distinct payload ->> 'alertId'"), type), alerts);
  }
  assert.equal(
    ledger.count("select count(*) from events where type = 'incident.resolved'"),
    ledger.count("select count(*) from incidents"),
  );
}
