import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { PrismError } from "../../src/core/errors.ts";
import { readConfiguration } from "../../src/features/protocols/alertmanager/import/configuration.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { rowsWith, valuesOf } from "../helpers/values.ts";
import { type CliResult, runCli } from "./run-cli.ts";

const FILE = `
global:
  resolve_timeout: 10m
  smtp_auth_password: s3cret
route:
  receiver: ops
  group_by: [alertname, cluster]
  group_interval: 500ms
  routes:
  - match: { team: db }
    match_re: { env: "prod|stage" }
    receiver: pager
    continue: true
    group_wait: 0s
    repeat_interval: 12h
  - matchers: [ 'severity="info", team!="db"', a=b ]
    receiver: sink
    mute_time_intervals: [ nights ]
inhibit_rules:
- source_match: { severity: critical }
  target_matchers: [ severity="warning" ]
  equal: [ instance ]
mute_time_intervals:
- name: nights
  time_intervals: [ { times: [ { start_time: "22:00", end_time: "24:00" } ], location: Europe/Berlin } ]
templates: [ "/etc/*.tmpl" ]
receivers:
- name: ops
  webhook_configs: [ { url: "https://hooks.example.com/a?key=1" } ]
  email_configs: [ { to: "Ada <ada@example.com>, nobody@example.com", send_resolved: true } ]
- name: pager
  pagerduty_configs: [ { routing_key: s3cret } ]
- name: sink
`;

test("a configuration of Alertmanager is read with its defaults and its older forms", () => {
  const { routing, receivers, left, changed } = readConfiguration(FILE);
  assert.deepEqual(routing, {
    route: {
      policy: "ops",
      groupBy: ["alertname", "cluster"],
      groupIntervalMs: 1000,
      routes: [
        {
          policy: "pager",
          matchers: ['team="db"', 'env=~"prod|stage"'],
          continue: true,
          groupWaitMs: 0,
          repeatMs: 43_200_000,
        },
        { policy: "sink", matchers: ['severity="info"', 'team!="db"', 'a="b"'], muteIntervals: ["nights"] },
      ],
    },
    inhibitRules: [
      { sourceMatchers: ['severity="critical"'], targetMatchers: ['severity="warning"'], equal: ["instance"] },
    ],
    timeIntervals: [
      {
        name: "nights",
        intervals: [{ times: [{ start_time: "22:00", end_time: "24:00" }], location: "Europe/Berlin" }],
      },
    ],
  });
  const rows = receivers.map((each) => [
    ...[each.name, each.webhooks.length, each.channels.length, each.addresses, each.sendResolved, each.isSink],
  ]);
  assert.deepEqual(rows, [
    [
      "ops",
      1,
      0,
      ["ada@example.com", "nobody@example.com"].map((address) => ({
        address,
        path: "receivers.0.email_configs.0.to",
      })),
      true,
      false,
    ],
    ["pager", 0, 1, [], true, false],
    ["sink", 0, 0, [], true, true],
  ]);
  assert.deepEqual(valuesOf(changed, "path"), [
    "route.group_interval",
    "global.resolve_timeout",
    "global.smtp_*",
    "templates",
  ]);
  assert.deepEqual(left, []);
  assert.ok(!JSON.stringify([left, changed]).includes("s3cret"), "no secret in the report");
});

test("mail alone is not notified of the end, as in Alertmanager", () => {
  const of = (receiver: string) => {
    const { receivers, changed } = readConfiguration(
      `{ route: { receiver: a }, receivers: [ { name: a, ${receiver} } ] }`,
    );
    return [receivers[0]?.sendResolved, changed.length];
  };
  assert.deepEqual(of("email_configs: [ { to: a@b.c } ]"), [false, 0]);
  assert.deepEqual(of("webhook_configs: [ { url: 'http://x/', send_resolved: false } ]"), [false, 0]);
  assert.deepEqual(of("webhook_configs: [ { url: 'http://x/' } ], email_configs: [ { to: a@b.c } ]"), [true, 1]);
  const mixed = "webhook_configs: [ { url: 'http://x/', send_resolved: false }, { url: 'http://y/' } ]";
  assert.deepEqual(of(mixed), [true, 0]);
  const { receivers } = readConfiguration(`{ route: { receiver: a }, receivers: [ { name: a, ${mixed} } ] }`);
  assert.deepEqual(valuesOf(receivers[0]?.webhooks ?? [], "sendResolved"), [false, undefined]);
});

test("max_alerts of a webhook is kept", () => {
  const of = (entry: string) =>
    readConfiguration(
      `{ route: { receiver: a }, receivers: [ { name: a, webhook_configs: [ { ${entry} } ] } ] }`,
    ).receivers[0]?.webhooks.map(({ path: _, ...webhook }) => webhook);
  assert.deepEqual(of("url: 'http://x/', max_alerts: 20"), [{ url: "http://x/", maxAlerts: 20 }]);
  assert.deepEqual(of("url: 'http://x/', max_alerts: 0"), [{ url: "http://x/" }]);
  assert.throws(() => of("url: 'http://x/', max_alerts: -1"));
});

test("every problem of a file is reported with its position", () => {
  const problemsOf = (text: string): string[] => {
    try {
      readConfiguration(text);
    } catch (error) {
      assert.ok(error instanceof PrismError);
      return (error.details ?? []).map(({ path, message }) => `${path}: ${message}`);
    }
    return [];
  };
  const problems = problemsOf(`
route: { receiver: none, group_wait: soon, matchers: [ "a=~(" ], routes: 5, mute_time_intervals: 3 }
receivers: [ { name: a, webhook_configs: [ {} ] }, { name: a }, { email_configs: [ {} ] } ]
time_intervals: [ { name: x, time_intervals: [ { weekdays: [ someday ] } ] } ]
`);
  for (const path of [
    "route.receiver",
    "route.group_wait",
    "route",
    "route.routes",
    "receivers.0.webhook_configs.0.url",
    "receivers.1.name",
    "receivers.2.name",
    "receivers.2.email_configs.0.to",
    "time_intervals.0.time_intervals.0",
  ])
    assert.ok(
      problems.some((problem) => problem.startsWith(`${path}: `)),
      `${path} in ${problems.join("\n")}`,
    );
  assert.match(problemsOf("route: [\n  - x: {")[0] ?? "", /^line \d+, column \d+: /);
  assert.match(problemsOf("a: *b").join(), /Unresolved alias/);
  const endless = "route: &r { receiver: a, routes: [ *r ] }\nreceivers: [ { name: a } ]";
  assert.match(problemsOf(endless).join(), /deeper than 32 routes/);
});

interface Report {
  readonly policies: readonly {
    readonly name: string;
    readonly outcome: string;
    readonly users: readonly string[];
    readonly opensIncidents: boolean;
  }[];
  readonly routing: { readonly outcome: string; readonly routes: number };
  readonly notTranslated: readonly { readonly path: string; readonly message: string }[];
}

interface World {
  readonly prism: TestPrism;
  run(...args: string[]): Promise<CliResult>;
  report(...args: string[]): Promise<Report>;
}

async function start(t: TestContext): Promise<World> {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const ada = await prism.post("/api/v1/users", {
    username: "ada",
    email: "ada@example.com",
    password: "correct horse battery",
  });
  assert.equal(ada.status, 201, ada.text);
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "alertmanager.yml"), FILE.replace("https://hooks.example.com", "http://127.0.0.1:9"));
  writeFileSync(join(cwd, "bad.yml"), "route: {}\n");
  writeFileSync(join(cwd, "small.yml"), "route: { receiver: default }\nreceivers: [ { name: default } ]\n");
  const run = (...args: string[]) =>
    runCli(["import", "alertmanager", ...args], {
      cwd,
      env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken },
    });
  const report = async (...args: string[]): Promise<Report> => {
    const { status, stdout, stderr } = await run(...args, "--allow-empty", "--json");
    assert.equal(status, 8, stderr);
    return JSON.parse(stdout) as Report;
  };
  return { prism, run, report };
}

test("prism import alertmanager stores policies and routes once, and names what it left out", async (t) => {
  const { prism, run, report } = await start(t);
  const policies = async () =>
    (await prism.get<{ data: { name: string; steps: { type: string }[] }[] }>("/api/v1/policies?projectId=default"))
      .body.data;

  const dry = await report("alertmanager.yml", "--dry-run");
  assert.deepEqual(rowsWith(dry.policies, "name", "outcome", "users", "opensIncidents"), [
    ["ops", "created", ["ada@example.com"], true],
    ["pager", "created", [], true],
    ["sink", "created", [], false],
  ]);
  assert.deepEqual(dry.routing, { outcome: "created", routes: 3 });
  assert.equal((await policies()).length, 1, "a dry run changes nothing");

  const done = await report("alertmanager.yml");
  assert.deepEqual(done.policies, dry.policies);
  assert.ok(done.notTranslated.some(({ message }) => message.includes("nobody@example.com")));
  assert.deepEqual(valuesOf(done.notTranslated, "path"), [
    "receivers.0.email_configs.0.to",
    "receivers.1.pagerduty_configs.0",
  ]);
  const ops = (await policies()).find(({ name }) => name === "ops");
  assert.deepEqual(
    ops?.steps.map(({ type }) => type),
    ["notify", "webhook"],
  );
  const tested = await prism.post<{ matches: { policy: { name: string } }[] }>(
    "/api/v1/routes/test?projectId=default",
    {
      labels: { team: "db", env: "prod", alertname: "A" },
    },
  );
  const names = tested.body.matches.map(({ policy }) => policy.name);
  assert.deepEqual(names, ["pager"]);

  const again = await report("alertmanager.yml");
  assert.deepEqual(
    [...again.policies.map(({ outcome }) => outcome), again.routing.outcome],
    ["unchanged", "unchanged", "unchanged", "unchanged"],
  );

  const other = await run("small.yml");
  assert.deepEqual([other.status, /give --replace/.test(other.stderr)], [7, true], other.stderr);
  const tried = await run("small.yml", "--dry-run");
  assert.equal(tried.status, 7, tried.stderr);
  assert.match(tried.stdout, /^Routes would be updated: /m);
  assert.match(tried.stderr, /this would change the routes of the project default: give --replace/);
  const replaced = await run("small.yml", "--replace", "--json");
  assert.equal((JSON.parse(replaced.stdout) as Report).routing.outcome, "updated", replaced.stderr);
});

test("prism import alertmanager refuses an invalid file, an unknown project and a missing file", async (t) => {
  const { run } = await start(t);
  const bad = await run("bad.yml");
  assert.equal(bad.status, 7);
  assert.match(bad.stderr, /nothing was imported:\n {2}- line \d+: route.receiver: is required/);
  assert.equal((await run("alertmanager.yml", "--project", "none")).status, 6);
  assert.equal((await run("missing.yml")).status, 2);
  const text = await run("alertmanager.yml", "--allow-empty");
  assert.equal(text.status, 8);
  assert.match(text.stdout, /POLICY +OUTCOME +CHANNELS +WEBHOOKS +USERS\nops +created +0 +1 +ada@example\.com/);
  assert.match(text.stdout, /sink +created +0 +0 +opens no incidents/);
  assert.match(
    text.stderr,
    /not translated: line \d+, receiver [^:]+: receivers\.1\.pagerduty_configs\.0: key must look like /,
  );
  assert.ok(!(text.stdout + text.stderr).includes("s3cret"));
});
