import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { Migration } from "./import-migration.ts";

test("what cannot be translated is refused by name with what to do, or left to the fallback", async (t) => {
  const migration = await Migration.start(t);
  const hook = { url: "http://127.0.0.1:9/" };
  const receivers = {
    sns: { sns_configs: [{ topic_arn: "arn:aws:sns:eu-central-1:1:ops", sigv4: {} }] },
    oauth: { webhook_configs: [{ ...hook, http_config: { oauth2: { client_id: "a", token_url: "http://x/" } } }] },
    template: { webhook_configs: [{ url: "http://127.0.0.1:9/{{ .GroupLabels.team }}" }] },
    payload: { webhook_configs: [{ ...hook, payload: { text: "x" } }] },
    file: { slack_configs: [{ api_url_file: "missing" }] },
    slack: { slack_configs: [{ api_url: "https://chat.example.com/hooks/abc" }] },
    room: { slack_configs: [{ app_token: "xoxb-1-a", channel: "#{{ .GroupLabels.team }}" }] },
    v1: { pagerduty_configs: [{ service_key: "0123456789abcdef0123456789abcdef" }] },
    short: { pagerduty_configs: [{ routing_key: "short" }] },
    tls: {
      discord_configs: [
        { webhook_url: "https://discord.com/api/webhooks/1/a", http_config: { tls_config: { ca_file: "ca" } } },
      ],
    },
    connector: { msteams_configs: [{ webhook_url: "https://a.webhook.office.com/webhookb2/1" }] },
    mail: { email_configs: [{ to: "who@example.com" }] },
    both: { slack_configs: [{ api_url: "https://hooks.slack.com/services/T/B/x" }], sns_configs: [{}] },
  };
  migration.write("alertmanager.yml", {
    route: { receiver: "both", routes: Object.keys(receivers).map((receiver) => ({ receiver, matchers: ["a=b"] })) },
    receivers: Object.entries(receivers).map(([name, content]) => ({ name, ...content })),
  });
  const before = await migration.stored();
  const refused = await migration.run();
  assert.equal(refused.status, 7, refused.stderr);
  for (const line of [
    /receivers\.0\.sns_configs\.0: Amazon SNS needs requests signed .*use another service/,
    /receivers\.1\.webhook_configs\.0\.http_config\.oauth2: OAuth 2\.0 is not supported: use authorization/,
    /receivers\.2\.webhook_configs\.0\.url: is a template: write one receiver/,
    /receivers\.3\.webhook_configs\.0\.payload: has no counterpart/,
    /receivers\.4\.slack_configs\.0\.api_url_file: missing cannot be read \(ENOENT\)/,
    /receivers\.5\.slack_configs\.0\.api_url: is not the URL of an incoming webhook of Slack/,
    /receivers\.6\.slack_configs\.0\.channel: is a template/,
    /receivers\.7\.pagerduty_configs\.0\.service_key: is a key of the Events API v1: add an integration/,
    /receivers\.8\.pagerduty_configs\.0: key must look like /,
    /receivers\.9\.discord_configs\.0\.http_config\.tls_config: a channel to Discord has no such setting/,
    /receivers\.10\.msteams_configs\.0: .*Office 365 connectors/,
    /receivers\.11\.email_configs\.0\.to: who@example\.com is no active user .*: create the user/,
    /receivers\.12\.sns_configs\.0: Amazon SNS/,
  ])
    assert.match(refused.stderr, line);
  const names = Object.keys(receivers);
  for (const [, name, at] of refused.stderr.matchAll(/^ {2}- line \d+, receiver (\S+): receivers\.(\d+)\./gm))
    assert.equal(name, names[Number(at)]);
  assert.equal(refused.stderr.match(/^ {2}- line \d+, receiver /gm)?.length, refused.stderr.match(/^ {2}- /gm)?.length);
  assert.deepEqual(await migration.stored(), before);

  const rest = await migration.run("--allow-empty");
  assert.equal(rest.status, 8, rest.stderr);
  assert.match(rest.stderr, /not translated: line \d+, receiver [^:]+: receivers\.0\.sns_configs\.0: Amazon SNS/);
  const policies = await migration.policies();
  assert.deepEqual(
    policies.filter(({ steps }) => steps.length > 0).map(({ name }) => name),
    ["default", "both"],
  );
  assert.ok(
    policies.every(({ opensIncidents }) => opensIncidents),
    "an empty policy falls back",
  );
  const warnings = await migration.prism.get<{ data: { code: string }[] }>("/api/v1/policies/warnings");
  assert.equal(warnings.body.data.filter(({ code }) => code === "no-steps").length, 12);
});

test("a webhook with credentials whose host cannot be resolved is refused in one line", async (t) => {
  const migration = await Migration.start(t);
  const url = "http://no-such-host.invalid/";
  migration.write("alertmanager.yml", {
    route: { receiver: "ops" },
    receivers: [{ name: "ops", webhook_configs: [{ url, http_config: { bearer_token: "s3cret" } }] }],
  });
  const refused = await migration.run();
  assert.equal(refused.status, 7, refused.stderr);
  const lines = refused.stderr.split("\n").filter((line) => line.startsWith("  - "));
  assert.equal(lines.length, 1, refused.stderr);
  assert.match(lines[0] ?? "", /receivers\.0\.webhook_configs\.0: url \S/);
});

test("settings of all receivers that have no counterpart cost no channel, and are said once", async (t) => {
  const migration = await Migration.start(t);
  const slack = { api_url: "https://hooks.slack.com/services/T/B/x" };
  migration.write("alertmanager.yml", {
    global: {
      http_config: { proxy_url: "http://proxy:3128", no_proxy: "a", tls_config: { ca_file: "ca.pem" }, odd: true },
    },
    tracing: { endpoint: "localhost:4317" },
    event_recorder: { file: "events.log" },
    route: { receiver: "room" },
    receivers: [
      {
        name: "room",
        slack_configs: [slack, { ...slack, http_config: { proxy_url: "http://other:3128" } }],
        discord_configs: [{ webhook_url: "https://discord.com/api/webhooks/1/a" }],
        pushover_configs: [{ user_key: "u".repeat(30), token: "t".repeat(30) }],
      },
    ],
  });
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  assert.equal((await migration.channels()).length, 4);
  const said = `${done.stdout}${done.stderr}`;
  for (const part of [
    "global.http_config.proxy_url",
    "global.http_config.no_proxy",
    "global.http_config.tls_config",
    "global.http_config.odd",
    "receivers.0.slack_configs.1.http_config.proxy_url",
    "tracing",
    "event_recorder",
  ])
    assert.equal(said.split(`${part}: `).length, 2, `${part} once in ${said}`);
});

test("an import whose last part is refused leaves no channel, policy or route", async (t) => {
  const migration = await Migration.start(t);
  const before = await migration.stored();
  const ref = "0198c0de-0000-4000-8000-000000000001";
  const body = {
    channels: [{ ref, name: "room", preset: "http", fields: { url: "http://127.0.0.1:9/" } }],
    policies: [{ name: "ops", steps: [{ type: "channel", id: ref }] }],
    routing: { route: { policy: "none" } },
  };
  const path = "/api/v1/routes/import?projectId=default";
  const refused = await migration.prism.post<{ error: { details: { path: string }[] } }>(path, body);
  assert.deepEqual([refused.status, /"routing\.route\.policy"/.test(refused.text)], [400, true], refused.text);
  assert.deepEqual(await migration.stored(), before);
  const done = await migration.prism.post(path, { ...body, routing: { route: { policy: "ops" } } });
  assert.equal(done.status, 200, done.text);
  const [channel] = await migration.channels();
  const ops = (await migration.policies()).find(({ name }) => name === "ops");
  assert.deepEqual(ops?.steps, [{ type: "channel", id: channel?.id }]);
});

test("a policy may use a time interval that is stored with it", async (t) => {
  const migration = await Migration.start(t);
  const steps = [
    { type: "onlyIn", interval: "office hours" },
    { type: "notify", members: true },
  ];
  const timeIntervals = [{ name: "office hours", intervals: [{ weekdays: ["monday:friday"] }] }];
  const done = await migration.prism.post("/api/v1/routes/import", {
    policies: [{ name: "office", steps }],
    routing: { route: { policy: "office" }, timeIntervals },
  });
  assert.equal(done.status, 200, done.text);
  assert.deepEqual(done.body, {
    dryRun: false,
    channels: [],
    policies: [{ name: "office", outcome: "created" }],
    routing: "created",
  });
});

test("files of secrets are read only below the configuration's directory, or the one that --secrets-dir names", async (t) => {
  const migration = await Migration.start(t);
  const elsewhere = temporaryDir(t);
  writeFileSync(join(elsewhere, "url"), "https://hooks.slack.com/services/T/B/x\n");
  symlinkSync(join(elsewhere, "url"), join(migration.folder, "linked"));
  for (const file of [join(elsewhere, "url"), "linked"]) {
    migration.write("alertmanager.yml", {
      route: { receiver: "a" },
      receivers: [{ name: "a", slack_configs: [{ api_url_file: file }] }],
    });
    const refused = await migration.run("--dry-run");
    assert.equal(refused.status, 7, refused.stderr);
    assert.match(refused.stderr, /cannot be read \(outside of .*; see --secrets-dir\)/);
    const allowed = await migration.run("--dry-run", "--secrets-dir", elsewhere);
    assert.equal(allowed.status, 0, allowed.stderr);
  }
});
