import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import * as esbuild from "esbuild";
import { eventually } from "../helpers/eventually.ts";
import { makeProject } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { rowsOf } from "../helpers/tables.ts";

const examples = join(import.meta.dirname, "../../examples");
const withModules = readdirSync(examples, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(examples, entry.name, "index.ts")))
  .map(({ name }) => name);

/** A server with examples dropped into its modules directory, as their READMEs say. */
async function startWithExamples(t: TestContext, ...wanted: readonly string[]): Promise<TestPrism> {
  const modulesDir = join(temporaryDir(t), "modules");
  mkdirSync(modulesDir);
  for (const name of wanted) cpSync(join(examples, name), join(modulesDir, name), { recursive: true });
  return startPrism(t, { settings: { modulesDir, "modules.hotReload": "false" } });
}

const payload = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(examples, "alertmanager/payloads", `${name}.json`), "utf8")) as Record<string, unknown>;

interface Stored {
  readonly type: string;
  readonly level: string;
  readonly source: string;
  readonly dedupeKey: string;
  readonly occurredAt: number;
  readonly payload: string;
}

const storedIn = (prism: TestPrism, projectId: string): Stored[] =>
  rowsOf<Stored>(
    prism,
    "select type, level, source, dedupeKey, occurredAt, payload from events where projectId = ? order by seq",
    projectId,
  );

for (const name of withModules)
  test(`examples/${name}: index.mjs is what the command in its README makes of index.ts`, async () => {
    const readme = readFileSync(join(examples, name, "README.md"), "utf8");
    assert.match(readme, /npx esbuild index\.ts --bundle --platform=node --format=esm --outfile=index\.mjs/);
    const { outputFiles } = await esbuild.build({
      absWorkingDir: join(examples, name),
      entryPoints: ["index.ts"],
      bundle: true,
      platform: "node",
      format: "esm",
      write: false,
    });
    assert.equal(outputFiles[0]?.text, readFileSync(join(examples, name, "index.mjs"), "utf8"));
  });

test("hello greets, and its timer waits", async (t) => {
  const prism = await startWithExamples(t, "hello");
  const { status, body } = await prism.get("/hello");
  assert.deepEqual([status, body["hello"]], [200, "Developer"]);
  assert.equal(rowsOf(prism, "select id from jobs where label = 'hello-first-day'").length, 1);
});

test("alerts of Alertmanager become events of the key's project, each alert once however often it is sent", async (t) => {
  const prism = await startWithExamples(t, "alertmanager");
  const { id, apiKey } = await makeProject(prism);
  const send = () =>
    prism.post<{ events: { type: string }[] }>("/hooks/alertmanager", payload("alertmanager"), { apiKey });
  const first = await send();
  assert.equal(first.status, 200);
  assert.deepEqual(
    first.body.events.map(({ type }) => type),
    ["alert.firing", "alert.resolved"],
  );
  assert.deepEqual((await send()).body, first.body, "the same events stand for what is sent again");
  const [firing, resolved, ...more] = storedIn(prism, id);
  assert.deepEqual(more, []);
  assert.deepEqual(
    [firing?.type, firing?.level, firing?.source, firing?.dedupeKey],
    ["alert.firing", "fatal", "alertmanager", "alertmanager:5ef77f1f8a3ecfee:2026-03-01T08:00:12.345Z:firing"],
  );
  assert.equal(firing?.occurredAt, Date.parse("2026-03-01T08:00:12.345Z"));
  assert.deepEqual([resolved?.level, resolved?.occurredAt], ["info", Date.parse("2026-03-01T08:01:12.345Z")]);
  const { labels, summary, severity, groupKey } = JSON.parse(firing?.payload ?? "{}") as Record<string, unknown>;
  assert.deepEqual(
    [(labels as Record<string, string>)["instance"], summary, severity, groupKey],
    ["api-1:9100", "p99 of api-1 is above 2 s", "critical", '{}:{alertname="HighLatency"}'],
  );
});

test("the end of a firing alert is an event of its own", async (t) => {
  const prism = await startWithExamples(t, "alertmanager");
  const { id, apiKey } = await makeProject(prism);
  const group = payload("alertmanager");
  const [firing] = group["alerts"] as Record<string, unknown>[];
  for (const status of ["firing", "firing", "resolved", "resolved"])
    await prism.post(
      "/hooks/alertmanager",
      { ...group, alerts: [{ ...firing, status, endsAt: "2026-03-01T09:00:00Z" }] },
      { apiKey },
    );
  assert.deepEqual(
    storedIn(prism, id).map(({ type }) => type),
    ["alert.firing", "alert.resolved"],
  );
});

test("a rule matches members of an alert, and notifies users", async (t) => {
  const prism = await startWithExamples(t, "alertmanager");
  const { id, apiKey } = await makeProject(prism);
  const condition = "event.type == 'alert.firing' && event.severity == 'critical' && event.labels.job == 'api'";
  const rule = { name: "r", condition, targetUsers: ["me"], projectId: id, titleTemplate: "{{event.alertname}}" };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await prism.post("/hooks/alertmanager", payload("alertmanager"), { apiKey });
  const { data } = await eventually("the notification", async () => {
    const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications");
    return body.data.length > 0 ? body : undefined;
  });
  assert.deepEqual(
    data.map(({ title }) => title),
    ["HighLatency"],
  );
});

test("Grafana's unified alerting is read with what it adds", async (t) => {
  const prism = await startWithExamples(t, "alertmanager");
  const { id, apiKey } = await makeProject(prism);
  assert.equal((await prism.post("/hooks/alertmanager", payload("grafana"), { apiKey })).status, 200);
  const [event] = storedIn(prism, id);
  assert.deepEqual(
    [event?.source, event?.level, event?.occurredAt],
    ["grafana", "warn", Date.parse("2021-10-12T07:51:03.157Z")],
  );
  const read = JSON.parse(event?.payload ?? "{}") as Record<string, unknown>;
  assert.deepEqual(
    [read["dashboardUrl"], read["values"]],
    ["https://play.grafana.org/d/abc", { B: 44.23943737541908, C: 1 }],
  );
});

test("legacy Grafana: a reminder is not a new event, each change of the state is one", async (t) => {
  const prism = await startWithExamples(t, "alertmanager");
  const { id, apiKey } = await makeProject(prism);
  for (const state of ["alerting", "alerting", "ok", "ok", "alerting", "no_data"])
    assert.equal(
      (await prism.post("/hooks/alertmanager", { ...payload("grafana-legacy"), state }, { apiKey })).status,
      200,
    );
  assert.deepEqual(
    storedIn(prism, id).map(({ type, level }) => `${type} ${level}`),
    ["alert.firing error", "alert.resolved info", "alert.firing error", "alert.firing error"],
  );
});

test("bodies that no sender makes are refused, and leave nothing", async (t) => {
  const prism = await startWithExamples(t, "alertmanager");
  const { id, apiKey } = await makeProject(prism);
  for (const [name, body] of [
    ["no object", [1]],
    ["neither kind", { hello: "world" }],
    ["an alert that is none", { alerts: [{ status: "firing", labels: {} }, 7] }],
    ["too many alerts", { alerts: Array.from({ length: 1001 }, () => ({})) }],
  ] as const)
    await t.test(name, async () =>
      assert.equal((await prism.post("/hooks/alertmanager", body, { apiKey })).status, 400),
    );
  assert.deepEqual(storedIn(prism, id), []);
});

test("who may call: an API key that may write events; with its own token only where one is set", async (t) => {
  const closed = await startWithExamples(t, "alertmanager");
  assert.equal((await closed.post("/hooks/alertmanager", payload("grafana"), { token: null })).status, 401);
  assert.equal((await closed.post("/hooks/alertmanager/token", payload("grafana"), { token: null })).status, 404);
  const token = "a-token-of-its-own-1234";
  process.env["ALERTMANAGER_TOKEN"] = token;
  t.after(() => {
    delete process.env["ALERTMANAGER_TOKEN"];
  });
  const open = await startWithExamples(t, "alertmanager");
  for (const [name, given, status] of [
    ["no token", null, 401],
    ["a wrong token", "another", 401],
    ["a beginning of it", token.slice(0, -1), 401],
    ["the token", token, 200],
  ] as const)
    await t.test(name, async () => {
      const headers = given === null ? {} : { Authorization: `Bearer ${given}` };
      const reply = await open.post("/hooks/alertmanager/token", payload("grafana"), { token: null, headers });
      assert.equal(reply.status, status);
    });
  assert.equal(storedIn(open, open.parts.offers.projects.defaultId).length, 1);
});
