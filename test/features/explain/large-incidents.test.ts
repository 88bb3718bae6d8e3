import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { AlertExplanation } from "../../../src/features/explain/alert-schema.ts";
import { Scanner } from "../../../src/store/scanner.ts";
import { StatementCache } from "../../../src/store/sqlite/connection.ts";
import { makeUser } from "../../helpers/people.ts";
import { valuesOf } from "../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

const SLICE = 250;

/** Alerts of one group that arrive in slices: the first ones are notified, the others join later. */
async function fireMany(world: IncidentWorld, alertname: string, count: number): Promise<void> {
  const { alerts, incidents } = world.prism.parts.offers;
  for (let from = 0; from < count; from += SLICE) {
    const inputs = Array.from({ length: Math.min(SLICE, count - from) }, (_, at) => {
      const host = `h${String(from + at).padStart(4, "0")}`;
      return {
        ...({ projectId: world.projectId, source: "api", sourceId: null, key: `api:${alertname}:${host}` } as const),
        labels: { alertname, host, severity: "critical" },
        annotations: { summary: `${host} is down` },
      };
    });
    await alerts.submit(inputs);
    await incidents.check();
  }
}

/** Counts the statements of what runs inside. */
async function counted<T>(t: TestContext, run: () => Promise<T>): Promise<{ result: T; statements: number }> {
  const scans = t.mock.method(Scanner.prototype, "query");
  const reads = t.mock.method(StatementCache.prototype, "run");
  const result = await run();
  const sqlOf = ({ arguments: [sql] }: { arguments: unknown[] }) => String(sql);
  const all = [...scans.mock.calls, ...reads.mock.calls].map(sqlOf).filter((sql) => /incident|alert|notif/.test(sql));
  scans.mock.restore();
  reads.mock.restore();
  return { result, statements: all.length };
}

test("an incident of 5000 alerts is explained with the statements and the bytes of one of 10", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("anna");
  for (const [name, count] of [
    ["Few", 10],
    ["Many", 5000],
  ] as const) {
    await world.fire(name, { labels: { alertname: name, host: "first", severity: "critical" } });
    await fireMany(world, name, count - 1);
  }
  await world.pass(5 * MINUTE);
  const [few, many] = await world.rows();
  assert.deepEqual([few?.alerts, many?.alerts], [10, 5000]);
  const noticeOf = async (incidentId = "") => {
    const query = world.db.read.selectFrom("notifications").select("id").where("incidentId", "=", incidentId);
    return (await query.orderBy("createdAt").executeTakeFirstOrThrow()).id;
  };
  const paths = { incident: [few?.id, many?.id], notification: [await noticeOf(few?.id), await noticeOf(many?.id)] };

  for (const [kind, ids] of Object.entries(paths))
    await t.test(kind, async () => {
      const found = [];
      for (const id of ids) {
        const { result, statements } = await counted(t, () => world.prism.get(`/api/v1/explain/${kind}/${id}`));
        assert.equal(result.status, 200, result.text);
        found.push({ statements, bytes: result.text.length });
      }
      const [small, large] = found;
      assert.ok(small && large && small.statements > 0);
      assert.equal(large.statements, small.statements);
      assert.ok(Math.abs(large.bytes - small.bytes) < small.bytes / 20, `${large.bytes} and ${small.bytes} bytes`);
    });

  await t.test("it lists ten alerts and counts all, and a storm that joined in slices is one line", async () => {
    const { body } = await world.prism.get<AlertExplanation>(`/api/v1/explain/incident/${many?.id}`);
    assert.deepEqual([body.alerts.length, body.alertsLeftOut], [10, 4990]);
    const [story] = body.incidents;
    assert.deepEqual([story?.alerts, story?.firing, story?.linesLeftOut], [5000, 5000, 0]);
    const joined = story?.lines.filter(({ kind }) => kind === "alerts-joined") ?? [];
    assert.deepEqual(valuesOf(joined, "text"), ["4999 alerts joined; 5000 fire now."]);
    assert.ok(body.alerts.every(({ lines }) => lines.some(({ text }) => text.includes(`incident ${many?.number}.`))));
  });

  await t.test("many callers at once are all answered, also several requests of one", async () => {
    const tokens = [];
    for (let i = 0; i < 5; i += 1) tokens.push((await makeUser(world.prism, `reader${i}`, ["Admin"])).token);
    const asked = tokens.flatMap((token) =>
      [
        `incident/${many?.id}`,
        `incident/${few?.id}`,
        `notification/${paths.notification[1]}`,
        `incident/${many?.id}`,
      ].map((path) => world.prism.get(`/api/v1/explain/${path}`, { token })),
    );
    assert.deepEqual(
      (await Promise.all(asked)).map(({ status }) => status),
      asked.map(() => 200),
    );
  });
});

test("the alert of seven incidents is explained in one request", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("anna");
  const names = Array.from({ length: 7 }, (_, at) => `P${at}`);
  for (const name of names) {
    const made = await world.prism.post("/api/v1/policies", { name, steps: [{ type: "notify", members: true }] });
    assert.equal(made.status, 201, made.text);
  }
  const route = {
    policy: "P0",
    groupWaitMs: 0,
    routes: names.map((policy) => ({ policy, matchers: [`alertname="Disk"`], continue: true })),
  };
  assert.equal((await world.prism.put("/api/v1/routes", { route })).status, 200);
  await world.fire("Disk");
  const [alert] = await world.db.read.selectFrom("alerts").select("id").execute();
  for (const path of [`alert/${alert?.id}`]) {
    const { status, body, text } = await world.prism.get<AlertExplanation>(`/api/v1/explain/${path}`);
    assert.equal(status, 200, text);
    assert.equal(body.incidents.length, 7);
  }
  const trial = await world.prism.post("/api/v1/explain/alert", { labels: { alertname: "Disk" } });
  assert.equal(trial.status, 200, trial.text);
});
