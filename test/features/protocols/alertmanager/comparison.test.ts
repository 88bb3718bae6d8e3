import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runCli } from "../../../cli/run-cli.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { membersOf, problemsOf } from "./comparison/compare.ts";
import { Lab, type Urls } from "./comparison/lab.ts";
import { type Recorder, startRecorder } from "./comparison/recorder.ts";
import { type Scenario, TIME_INTERVALS } from "./comparison/scenario.ts";
import { SCENARIOS } from "./comparison/scenarios.ts";
import { makeKey, startAlertmanager, urlWithKey } from "./support/programs.ts";

/** One file for both. JSON is YAML. */
function configurationOf(url: string): string {
  const path = (name: string): string => `${url}/${name.replace("-", "/")}`;
  const receiverOf = (name: string, webhooks: readonly object[] = [{}]) => ({
    name,
    webhook_configs: webhooks.map((each, at) => ({ url: path(name) + (at === 0 ? "" : `/${at}`), ...each })),
  });
  const own = ({ id, route }: Scenario) => ({ matchers: [`scenario="${id}"`], receiver: id, ...route });
  const times = { group_wait: "1s", group_interval: "2s", repeat_interval: "1h" };
  return JSON.stringify({
    route: {
      ...{ receiver: "sink", group_by: ["alertname"], ...times },
      routes: [
        { matchers: ['scenario="look"'], receiver: "look" },
        ...SCENARIOS.flatMap((scenario) => scenario.routes ?? [own(scenario)]),
      ],
    },
    receivers: [
      { name: "sink" },
      receiverOf("look"),
      ...SCENARIOS.flatMap(({ id, receivers, webhooks }) => [
        receiverOf(id, webhooks),
        ...(receivers ?? []).map((name) => receiverOf(`${id}-${name}`)),
      ]),
    ],
    inhibit_rules: SCENARIOS.flatMap(({ inhibitRules = [] }) => inhibitRules),
    time_intervals: TIME_INTERVALS,
  });
}

interface World {
  readonly recorder: Recorder;
  readonly urls: Urls;
  /** Of the installed Alertmanager. */
  readonly version: string;
}

async function start(t: TestContext): Promise<World> {
  const recorder = await startRecorder(t);
  const configuration = configurationOf(recorder.url);
  const [theirs, prism] = await Promise.all([
    startAlertmanager(t, configuration),
    startPrism(t, { settings: { "rateLimit.enabled": "false", "webhooks.allowPrivateCidrs": "127.0.0.0/8" } }),
  ]);
  await importInto(t, prism, configuration);
  const status = (await (await fetch(`${theirs}/api/v2/status`)).json()) as { versionInfo: { version: string } };
  const urls = { alertmanager: theirs, prism: urlWithKey(prism, await makeKey(prism)) };
  return { recorder, urls, version: status.versionInfo.version };
}

async function importInto(t: TestContext, prism: TestPrism, configuration: string): Promise<void> {
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "alertmanager.yml"), configuration);
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const { status, stderr } = await runCli(["import", "alertmanager", "alertmanager.yml"], { cwd, env });
  assert.equal(status, 0, stderr);
}

test("49 scenarios have the same webhooks as Debian's Alertmanager, except for the listed differences", async (t) => {
  assert.deepEqual(
    SCENARIOS.map(({ id }) => id).sort(),
    Array.from({ length: 49 }, (_, at) => `S${String(at + 1).padStart(2, "0")}`),
  );
  const { recorder, urls, version } = await start(t);
  t.diagnostic(`Alertmanager ${version}`);
  const runs = SCENARIOS.map((scenario) => ({ scenario, lab: new Lab(scenario.id, recorder, urls) }));
  const played = await Promise.allSettled(runs.map(({ scenario, lab }) => scenario.play(lab)));
  // What is posted too often comes until the next look.
  await new Lab("END", recorder, urls).look();
  for (const [at, { scenario, lab }] of runs.entries())
    await t.test(`${scenario.id}: ${scenario.title}`, () => {
      const run = played[at];
      if (run?.status === "rejected") throw run.reason;
      assert.deepEqual(problemsOf(scenario, lab, version), []);
    });
  await t.test("bodies have the members of Alertmanager, in its order", () => {
    const [theirs, ours] = (["alertmanager", "prism"] as const).map((side) => {
      const bodies = recorder.posts.filter((post) => post.side === side).map(({ body }) => membersOf(body, version));
      return [...new Set(bodies.map((members) => members.join()))];
    });
    assert.deepEqual(ours, theirs);
  });
});
