import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { makeKey, type RunningPrometheus, startPrometheus } from "./support/programs.ts";

const RULE_PAIRS = 16;

/** Rules that fire and resolve by the clock: in a second as often as others do in a minute. */
const RULES = `
groups:
- name: compressed
  interval: 100ms
  rules:
${Array.from(
  { length: RULE_PAIRS },
  (_, at) => `
  - alert: Wave${at}
    expr: vector((time() * 1000 + ${at * 125}) % 2000) < 1000
    labels: { severity: warning, wave: "${at}" }
    annotations: { summary: "value {{ $value }}" }
  - alert: Held${at}
    expr: vector(${at})
    for: 300ms
    labels: { severity: critical, held: "${at}" }`,
).join("")}
`;

function configuration(port: number, key: string): string {
  return `
global: { evaluation_interval: 100ms, external_labels: { cluster: test } }
rule_files: [ rules.yml ]
alerting:
  alertmanagers:
  - path_prefix: /alertmanager/default
    basic_auth: { username: prometheus, password: "${key}" }
    static_configs: [ { targets: [ "127.0.0.1:${port}" ] } ]
`;
}

async function startBoth(t: TestContext): Promise<{ prism: TestPrism; prometheus: RunningPrometheus }> {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const files = { "prometheus.yml": configuration(prism.app.port, await makeKey(prism)), "rules.yml": RULES };
  return { prism, prometheus: await startPrometheus(t, files, ["--rules.alert.resend-delay=1s"]) };
}

interface FiringAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly generatorURL: string;
}

const EVENTS_OF_AN_HOUR = 60;
const LIST = "/alertmanager/api/v2/alerts";

test("Debian's Prometheus sends alerts to Prism for an hour of compressed time", async (t) => {
  const { prism, prometheus } = await startBoth(t);
  const countOf = async (type: string): Promise<number> => {
    const { body } = await prism.get<{ data: unknown[] }>(`/api/v1/events?projectId=default&type=${type}&limit=200`);
    return body.data.length;
  };
  await eventually("as many transitions as in an hour", async () => {
    const [opened, resolved] = await Promise.all([countOf("alert.opened"), countOf("alert.resolved")]);
    return opened + resolved >= EVENTS_OF_AN_HOUR;
  });

  const firing = await eventually("those with a holding time fire on", async () => {
    const { body } = await prism.get<FiringAlert[]>(`${LIST}?filter=${encodeURIComponent('held!=""')}`);
    return body.length === RULE_PAIRS ? body : null;
  });
  for (const { labels, generatorURL } of firing) {
    assert.equal(labels["cluster"], "test", "external labels are labels of the alert");
    assert.match(generatorURL, /^http:\/\/.*\/graph\?g0\.expr=/);
  }
  const theirs = (await (await fetch(`${prometheus.url}/api/v1/alerts`)).json()) as {
    data: { alerts: { labels: Record<string, string>; activeAt: string }[] };
  };
  for (const { labels, activeAt } of theirs.data.alerts.filter(({ labels: all }) => all["held"] !== undefined)) {
    const ours = firing.find((alert) => alert.labels["held"] === labels["held"]);
    assert.ok(ours && Date.parse(ours.startsAt) >= Date.parse(activeAt), "it starts once it has been held");
  }
  await eventually("repetitions are counted, and are no events", async () => {
    const { text } = await prism.get("/alertmanager/metrics");
    const received = /^alertmanager_alerts_received_total\{status="firing".* (\d+)$/m.exec(text)?.[1];
    return Number(received) > (await countOf("alert.opened")) + RULE_PAIRS;
  });

  const ended = once(prometheus.child, "exit");
  prometheus.child.kill("SIGKILL");
  await ended;
  await eventually("what is no longer repeated times out", async () => {
    const { body } = await prism.get<unknown[]>(LIST);
    return body.length === 0;
  });
});
