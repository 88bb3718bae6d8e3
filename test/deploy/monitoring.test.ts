// needs: prometheus, promtool
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { parse } from "yaml";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";

const deploy = join(import.meta.dirname, "../../deploy");
const METRICS_TOKEN = "a-token-for-the-scrape-of-the-metrics";

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

function alertRules(): readonly AlertRule[] {
  const { groups } = parse(readFileSync(join(deploy, "prometheus/rules.yml"), "utf8")) as {
    groups: readonly { rules: readonly AlertRule[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

function panels(): readonly Panel[] {
  return (JSON.parse(readFileSync(join(deploy, "grafana/prism.json"), "utf8")) as { panels: Panel[] }).panels;
}

/** Names of the metrics that an expression reads, without the suffixes of histograms. */
function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\b(?:prism|process)_[a-z_]+/g)].map(([name]) => name.replace(/_bucket$/, ""));
}

test("F16: every metric of the alert rules and of the dashboard is one that a server has", async (t) => {
  const prism = await startPrism(t);
  const { text } = await prism.get("/metrics");
  const known = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
  const expressions = [...alertRules(), ...panels().flatMap(({ targets = [] }) => targets)].map(({ expr }) => expr);
  assert.ok(expressions.length > 40);
  // Those of a cluster: test/cluster/step-down.test.ts.
  for (const expression of expressions)
    for (const name of metricsIn(expression))
      if (!name.startsWith("prism_cluster_")) assert.ok(known.has(name), `${name} in ${expression}`);
});

test("each alert has a severity, a summary and a runbook, and docs/operating.md names it", () => {
  const page = readFileSync(join(deploy, "../docs/operating.md"), "utf8");
  for (const { alert, labels, annotations } of alertRules()) {
    assert.match(labels["severity"] ?? "", /^(critical|warning)$/, alert);
    assert.ok((annotations["summary"] ?? "").length > 10 && (annotations["runbook"] ?? "").length > 20, alert);
    assert.ok(page.includes(`\`${alert}\``), `${alert} is in docs/operating.md`);
  }
});

test("panels of the dashboard do not overlap, and each query is of the chosen data source", () => {
  const taken = new Map<string, string>();
  for (const { title, gridPos } of panels())
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.equal(taken.get(`${x},${y}`), undefined, `${title} is on ${taken.get(`${x},${y}`)}`);
        taken.set(`${x},${y}`, title);
      }
  for (const { targets = [] } of panels())
    for (const target of targets)
      assert.deepEqual((target as { datasource?: unknown }).datasource, {
        type: "prometheus",
        uid: "${" + "datasource}",
      });
});

test("promtool accepts the rules and the scrape configuration", () => {
  for (const args of [
    ["check", "rules", join(deploy, "prometheus/rules.yml")],
    ["check", "config", "--syntax-only", join(deploy, "prometheus/prometheus.yml")],
  ]) {
    const { status, stdout, stderr, error } = spawnSync("promtool", args, { encoding: "utf8" });
    assert.equal(error, undefined, "promtool is not installed: apt-get install prometheus");
    assert.equal(status, 0, stdout + stderr);
  }
});

/** Prometheus with the shipped files, and the test's ports and token. */
async function startPrometheus(t: TestContext, target: number): Promise<string> {
  const dir = temporaryDir(t);
  const port = await lastingPort();
  writeFileSync(join(dir, "prism.token"), `${METRICS_TOKEN}\n`);
  copyFileSync(join(deploy, "prometheus/rules.yml"), join(dir, "rules.yml"));
  const config = readFileSync(join(deploy, "prometheus/prometheus.yml"), "utf8")
    .replaceAll("15s", "1s")
    .replace("credentials_file: /etc/prometheus/prism.token", `credentials_file: ${dir}/prism.token`)
    .replace("127.0.0.1:3000", `127.0.0.1:${target}`);
  writeFileSync(join(dir, "prometheus.yml"), config);
  const args = [`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/tsdb`];
  const child = spawn("prometheus", [...args, `--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
  child.on("error", () => assert.fail("prometheus is not installed: apt-get install prometheus"));
  t.after(() => child.kill("SIGKILL"));
  return `http://127.0.0.1:${port}`;
}

test("Prometheus scrapes a server with the shipped files and a token, and raises an alert", async (t) => {
  const prism = await startPrism(t, { settings: { metricsToken: METRICS_TOKEN } });
  const url = await startPrometheus(t, prism.app.port);
  const query = async (expression: string): Promise<readonly { metric: Record<string, string> }[]> => {
    const reply = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`).catch(() => null);
    if (!reply?.ok) return [];
    return ((await reply.json()) as { data: { result: { metric: Record<string, string> }[] } }).data.result;
  };
  await eventually("the server is scraped", async () => (await query('up{job="prism"} == 1')).length === 1);
  await eventually(
    "the missing backup is a pending alert",
    async () => (await query('ALERTS{alertname="PrismNoRecentBackup"}')).length > 0,
  );
  // A scrape that a busy machine answers late makes it pending for a moment.
  const isUp = async () => (await query('ALERTS{alertname="PrismDown"}')).length === 0;
  await eventually("no alert says that it is down", isUp);
  await eventually("its version", async () => (await query("prism_build_info"))[0]?.metric["job"] === "prism");
});
