import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { stringify } from "yaml";
import { discordWebhook } from "../features/channels/presets/discord.ts";
import { mattermostHook } from "../features/channels/presets/mattermost.ts";
import { jiraSite, opsgenieApi, splunkEndpoint } from "../features/channels/presets/on-call.ts";
import { pagerdutyEvents } from "../features/channels/presets/pagerduty.ts";
import { pushoverApi } from "../features/channels/presets/pushover.ts";
import { rocketChatUser } from "../features/channels/presets/rocket-chat.ts";
import { slackBot, slackWebhook } from "../features/channels/presets/slack.ts";
import { teamsWorkflow } from "../features/channels/presets/teams.ts";
import { telegramBot } from "../features/channels/presets/telegram.ts";
import { webexApi } from "../features/channels/presets/webex.ts";
import { type Service, type StandIn, startStandIn } from "../features/channels/support/stand-in.ts";
import { makeCertificate, type TestCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { type CliResult, runCli } from "./run-cli.ts";

interface Row {
  readonly id: string;
  readonly name: string;
  readonly preset: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly sendResolved: boolean;
}

/** A server, and a folder with the file that is imported. */
class Migration {
  readonly prism: TestPrism;
  readonly folder: string;

  constructor(prism: TestPrism, folder: string) {
    this.prism = prism;
    this.folder = folder;
  }

  static async start(t: TestContext): Promise<Migration> {
    const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
    return new Migration(prism, temporaryDir(t));
  }

  write(name: string, content: string | object): void {
    writeFileSync(join(this.folder, name), typeof content === "string" ? content : stringify(content));
  }

  async user(username: string): Promise<void> {
    const email = `${username}@example.com`;
    const made = await this.prism.post("/api/v1/users", { username, email, password: "correct horse battery" });
    assert.equal(made.status, 201, made.text);
  }

  run(...flags: string[]): Promise<CliResult> {
    return runCli(["import", "alertmanager", "alertmanager.yml", ...flags], {
      cwd: this.folder,
      env: { PRISM_URL: this.prism.url, PRISM_TOKEN: this.prism.adminToken },
    });
  }

  async channels(): Promise<readonly Row[]> {
    const listed = await this.prism.get<{ data: Row[] }>("/api/v1/channels?projectId=default&limit=100");
    return listed.body.data.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async policies() {
    const path = "/api/v1/policies?projectId=default";
    type Policy = { name: string; version: number; steps: Record<string, unknown>[]; opensIncidents: boolean };
    return (await this.prism.get<{ data: Policy[] }>(path)).body.data;
  }

  /** What an import could have stored. */
  async stored() {
    const routes = await this.prism.get<{ version: number }>("/api/v1/routes?projectId=default");
    return [(await this.channels()).length, (await this.policies()).length, routes.body.version];
  }

  async fire(labels: Readonly<Record<string, string>>, endsAt?: string): Promise<void> {
    const alert = { labels, annotations: { summary: "Disk almost full" }, ...(endsAt ? { endsAt } : {}) };
    const sent = await this.prism.post("/alertmanager/api/v2/alerts", [alert]);
    assert.equal(sent.status, 200, sent.text);
  }
}

/** The layout of Alertmanager's own simple example: teams with mail and pagers, and a database team in between. */
const EXAMPLE = `
global:
  smtp_smarthost: localhost:25
  smtp_from: alertmanager@example.com
  smtp_auth_username: alertmanager
  smtp_auth_password: s3cret
templates: [ /etc/alertmanager/template/*.tmpl ]
route:
  group_by: [ alertname, cluster, service ]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 3h
  receiver: team-A-mails
  routes:
  - matchers: [ 'service=~"^(web1|web2|web3)$"' ]
    receiver: team-A-mails
    routes: [ { matchers: [ severity="critical" ], receiver: team-A-pager } ]
  - matchers: [ service="files" ]
    receiver: team-B-mails
    routes: [ { matchers: [ severity="critical" ], receiver: team-B-pager } ]
  - matchers: [ service="database" ]
    receiver: team-DB-pager
    group_by: [ alertname, cluster, database ]
    routes:
    - { matchers: [ owner="team-A" ], receiver: team-A-pager, continue: true }
    - { matchers: [ owner="team-B" ], receiver: team-B-pager }
inhibit_rules:
- source_matchers: [ severity="critical" ]
  target_matchers: [ severity="warning" ]
  equal: [ alertname, cluster, service ]
receivers:
- { name: team-A-mails, email_configs: [ { to: "ann@example.com, Ben <ben@example.com>" } ] }
- name: team-A-pager
  email_configs: [ { to: ann@example.com } ]
  pagerduty_configs: [ { routing_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA } ]
- { name: team-B-mails, email_configs: [ { to: ben@example.com } ] }
- { name: team-B-pager, pagerduty_configs: [ { routing_key: BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB } ] }
- { name: team-DB-pager, pagerduty_configs: [ { routing_key: CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC } ] }
`;

test("a file as Alertmanager's own example becomes channels, policies that reach people, and routes, once", async (t) => {
  const migration = await Migration.start(t);
  migration.write("alertmanager.yml", EXAMPLE);
  const before = await migration.stored();
  const refused = await migration.run();
  assert.equal(refused.status, 7, refused.stderr);
  assert.match(
    refused.stderr,
    /receivers\.0\.email_configs\.0\.to: ann@example\.com is no active user that you can reach: create/,
  );
  assert.deepEqual(await migration.stored(), before, "a refused import stores nothing");

  await migration.user("ann");
  await migration.user("ben");
  const dry = await migration.run("--dry-run");
  assert.equal(dry.status, 0, dry.stderr);
  assert.deepEqual(await migration.stored(), before, "a dry run stores nothing");
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stdout, /team-A-pager +created +1 +0 +ann@example\.com/);
  assert.match(done.stdout, /prism channels test "team-A-pager: PagerDuty"/);
  assert.match(done.stderr, /changed: templates: Go templates are not used/);
  assert.ok(!(done.stdout + done.stderr).includes("s3cret"));
  const policies = await migration.policies();
  const steps = Object.fromEntries(policies.map((each) => [each.name, each.steps.map(({ type }) => type)]));
  assert.deepEqual(steps, {
    default: ["notify"],
    "team-A-mails": ["notify"],
    "team-A-pager": ["notify", "channel"],
    "team-B-mails": ["notify"],
    "team-B-pager": ["channel"],
    "team-DB-pager": ["channel"],
  });
  const receivers = await migration.prism.get<{ name: string }[]>("/alertmanager/api/v2/receivers");
  assert.deepEqual(
    receivers.body.map(({ name }) => name),
    [...EXAMPLE.matchAll(/^- (?:\{ )?name: ([\w-]+)/gm)].map(([, name]) => name).concat("default"),
    "in the order of the file",
  );
  const warned = await migration.prism.get<{ data: { code: string; message: string }[] }>(
    "/api/v1/policies/warnings?projectId=default",
  );
  const untested = warned.body.data.filter(({ code }) => code === "channel-untested");
  assert.equal(untested.length, 3, "doctor lists each imported channel until a test was accepted");

  const stored = await migration.stored();
  const again = await migration.run("--json");
  const report = JSON.parse(again.stdout) as Record<"policies" | "channels", { outcome: string }[]>;
  assert.deepEqual(
    new Set([...report.policies, ...report.channels].map(({ outcome }) => outcome)),
    new Set(["unchanged"]),
  );
  assert.deepEqual(await migration.stored(), stored, "a second import adds nothing");

  const outcomesOf = async (text: string): Promise<unknown> => {
    migration.write("alertmanager.yml", text);
    const dry = await migration.run("--dry-run", "--json");
    return (JSON.parse(dry.stdout) as typeof report).channels.map(({ outcome }) => outcome);
  };
  const guessed = await outcomesOf(EXAMPLE.replaceAll("C".repeat(32), "E".repeat(32)));
  assert.deepEqual(await outcomesOf(EXAMPLE), guessed, "a dry run does not tell which secret is the stored one");
  migration.write("alertmanager.yml", EXAMPLE.replaceAll("C".repeat(32), "D".repeat(32)));
  const changed = await migration.run();
  assert.deepEqual(
    [changed.status, /the channel team-DB-pager: PagerDuty: .*give --replace/.test(changed.stderr)],
    [7, true],
  );
  const replaced = await migration.run("--replace", "--json");
  assert.equal(replaced.status, 0, replaced.stderr);
  assert.deepEqual(
    (JSON.parse(replaced.stdout) as typeof report).channels.map(({ outcome }) => outcome),
    ["unchanged", "unchanged", "updated"],
  );
  assert.deepEqual(await migration.stored(), stored);
});

test("the receivers of every service that has a preset deliver to it after the import", async (t) => {
  const migration = await Migration.start(t);
  await migration.user("ann");
  const standIns = new Map<string, StandIn>();
  const at = async (make: () => Service): Promise<{ base: string; fields: Record<string, string> }> => {
    const standIn = await startStandIn(t, make());
    standIns.set(standIn.service.preset, standIn);
    return { base: standIn.url, fields: standIn.service.fields(standIn.url) };
  };
  const [slack, bot, pager] = [await at(slackWebhook), await at(slackBot), await at(pagerdutyEvents)];
  const [genie, chat, discord] = [await at(opsgenieApi), await at(telegramBot), await at(discordWebhook)];
  const [flow, victor, push] = [await at(teamsWorkflow), await at(splunkEndpoint), await at(pushoverApi)];
  const [webex, rocket, matter] = [await at(webexApi), await at(rocketChatUser), await at(mattermostHook)];
  const jira = await at(jiraSite);
  const moved = ({ base, fields }: typeof slack): string => {
    const { pathname, search } = new URL(fields["url"] ?? "");
    return base + pathname + search;
  };
  migration.write("token", `${chat.fields["token"]}\n`);
  migration.write("alertmanager.yml", {
    global: {
      slack_api_url: moved(slack),
      pagerduty_url: `${pager.base}/v2/enqueue`,
      opsgenie_api_url: `${genie.base}/`,
      opsgenie_api_key: genie.fields["key"],
      telegram_api_url: chat.base,
      victorops_api_url: `${victor.base}/integrations/generic/20131114/alert/`,
      victorops_api_key: victor.fields["key"],
      webex_api_url: `${webex.base}/v1/messages`,
      rocketchat_api_url: rocket.base,
      jira_api_url: jira.base,
    },
    route: { receiver: "all", group_wait: "0s" },
    receivers: [
      {
        name: "all",
        slack_configs: [
          { channel: "#alerts", title: "{{ .CommonLabels.alertname }}", send_resolved: true },
          { app_token: bot.fields["token"], app_url: `${bot.base}/api/chat.postMessage`, channel: "C0123456789" },
        ],
        pagerduty_configs: [{ routing_key: pager.fields["key"], severity: "warning", class: "disk" }],
        opsgenie_configs: [{ responders: [{ name: "ops", type: "team" }], priority: "P2" }],
        telegram_configs: [{ bot_token_file: "token", chat_id: -100123, disable_notifications: true }],
        discord_configs: [{ webhook_url: moved(discord) }],
        msteamsv2_configs: [{ webhook_url: moved(flow) }],
        victorops_configs: [{ routing_key: "database" }],
        pushover_configs: [{ token: push.fields["token"], user_key: push.fields["user"], priority: "0" }],
        webex_configs: [
          { room_id: webex.fields["room"], http_config: { authorization: { credentials: webex.fields["token"] } } },
        ],
        rocketchat_configs: [{ token: rocket.fields["token"], token_id: rocket.fields["user"], channel: "#alerts" }],
        mattermost_configs: [{ webhook_url: matter.fields["url"], channel: "town-square" }],
        jira_configs: [
          {
            project: "OPS",
            issue_type: "Task",
            http_config: { basic_auth: { username: "ada@example.com", password: jira.fields["token"] } },
          },
        ],
        email_configs: [{ to: "ann@example.com" }],
      },
    ],
  });
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  const channels = await migration.channels();
  assert.equal(channels.length, 13);
  for (const { fields } of channels)
    for (const secret of [pager.fields["key"], chat.fields["token"], push.fields["user"]])
      assert.ok(!JSON.stringify(fields).includes(secret ?? ""), "secrets are sealed");
  assert.equal(channels.find(({ preset }) => preset === "slack-api")?.sendResolved, false);
  // Alertmanager has no setting for Pushover's address either.
  const pushover = channels.find(({ preset }) => preset === "pushover");
  const patched = await migration.prism.patch(`/api/v1/channels/${pushover?.id}`, { fields: push.fields });
  assert.equal(patched.status, 200, patched.text);

  await migration.fire({ alertname: "DiskFull", severity: "critical" });
  for (const [preset, { seen, requests }] of standIns) {
    const shown = () => `${preset} shows it: ${JSON.stringify(requests.map(({ path, text }) => [path, text]))}`;
    await eventually(shown, () => seen.length === 1);
    assert.match(seen[0]?.text ?? "", /DiskFull|Disk almost full/, preset);
  }
  const event = JSON.parse(standIns.get("pagerduty")?.requests[0]?.text ?? "{}") as { payload: object };
  assert.deepEqual(
    Object.fromEntries(Object.entries(event.payload).filter(([name]) => name === "severity" || name === "class")),
    { severity: "warning", class: "disk" },
  );
  await eventually("what accepted a message is tested", async () => {
    const counted = await migration.prism.get<{ data: { code: string }[] }>("/api/v1/policies/warnings");
    return !counted.body.data.some(({ code }) => code === "channel-untested");
  });
});

interface Call {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: { readonly alerts: readonly unknown[]; readonly truncatedAlerts: number };
}

async function startCalled(t: TestContext, tls?: TestCertificate): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = [];
  const answer: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Call["body"];
      calls.push({ path: request.url ?? "", headers: request.headers, body });
      response.end();
    });
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => new Promise((resolve) => server.close(resolve)));
  return { url: `${tls ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

test("webhooks keep max_alerts and http_config: basic authentication, bearer tokens and headers", async (t) => {
  const migration = await Migration.start(t);
  const { url, calls } = await startCalled(t);
  migration.write("password", "s3cret-password\n");
  migration.write("url", `${url}/from-file\n`);
  migration.write("alertmanager.yml", {
    global: { http_config: { follow_redirects: true } },
    route: { receiver: "hooks", group_wait: "0s" },
    receivers: [
      {
        name: "hooks",
        webhook_configs: [
          { url: `${url}/plain`, max_alerts: 1 },
          {
            url: `${url}/basic`,
            http_config: {
              basic_auth: { username: "prometheus", password_file: "password" },
              http_headers: { "X-Team": { values: ["db"] }, "X-Key": { secrets: ["s3cret-header"] } },
            },
          },
          { url_file: "url", http_config: { authorization: { credentials: "s3cret-token" } } },
        ],
        incidentio_configs: [{ url: `${url}/incident-io`, alert_source_token: "s3cret-source" }],
      },
    ],
  });
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  assert.ok(!JSON.stringify(await migration.policies()).includes("s3cret"), "credentials are in channels only");
  assert.ok(!JSON.stringify(await migration.channels()).includes("s3cret-"), "and sealed there");
  await migration.fire({ alertname: "DiskFull", n: "1" });
  await migration.fire({ alertname: "DiskFull", n: "2" });
  const called = await eventually("every webhook is called", () => {
    const byPath = new Map(calls.map((call) => [call.path, call]));
    return byPath.size === 4 ? byPath : null;
  });
  assert.deepEqual([...called.keys()].sort(), ["/basic", "/from-file", "/incident-io", "/plain"]);
  assert.equal(called.get("/plain")?.headers.authorization, undefined);
  assert.equal(called.get("/plain")?.body.alerts.length, 1);
  const basic = called.get("/basic")?.headers;
  const credentials = Buffer.from("prometheus:s3cret-password").toString("base64");
  assert.deepEqual(
    [basic?.authorization, basic?.["x-team"], basic?.["x-key"], basic?.["user-agent"]],
    [`Basic ${credentials}`, "db", "s3cret-header", "Alertmanager/0.34.0"],
  );
  assert.equal(called.get("/from-file")?.headers.authorization, "Bearer s3cret-token");
  assert.equal(called.get("/incident-io")?.headers.authorization, "Bearer s3cret-source");

  const [channel] = await migration.channels();
  const gone = await migration.prism.delete(`/api/v1/channels/${channel?.id}`);
  assert.equal(gone.status, 409, "a policy needs it");
  const [policy] = (await migration.policies()).filter(({ name }) => name === "hooks");
  const stolen = { type: "webhook", url: "http://127.0.0.1:9/steal", channel: channel?.id };
  const refused = await migration.prism.post("/api/v1/policies", { name: "other", steps: [stolen] });
  assert.equal(refused.status, 400, refused.text);
  const steps = [{ ...stolen, url: `${url}/steal` }];
  const other = await migration.prism.post<{ id: string }>("/api/v1/policies", { name: "other", steps });
  assert.equal(other.status, 201, other.text);
  const moved = await migration.prism.patch(
    `/api/v1/channels/${channel?.id}`,
    { fields: { url: "http://127.0.0.1:9/moved", token: "another" } },
    { headers: { "if-match": '"1"' } },
  );
  assert.equal(moved.status, 200, moved.text);
  assert.equal(policy?.steps.length, 4);
  await migration.prism.put("/api/v1/routes", { route: { policy: "other", groupWaitMs: 0 } });
  await migration.fire({ alertname: "Other" });
  await eventually("credentials go to no other host", async () => {
    const incidents = await migration.prism.get<{ data: { id: string; title: string }[] }>("/api/v1/incidents");
    const id = incidents.body.data.find(({ title }) => title.includes("Other"))?.id;
    return (await migration.prism.get(`/api/v1/incidents/${id}`)).text.includes("is not for this address");
  });
});

test("webhooks keep tls_config: an authority of one's own, or none that is checked", async (t) => {
  const migration = await Migration.start(t);
  const certificate = makeCertificate();
  const { url, calls } = await startCalled(t, certificate);
  migration.write("ca.pem", certificate.cert);
  const receiver = (name: string, tls?: object) => ({
    name,
    webhook_configs: [{ url: `${url}/${name}`, http_config: { tls_config: tls } }],
  });
  const receivers = [
    receiver("own", { ca_file: "ca.pem" }),
    receiver("named", { ca_file: "ca.pem", server_name: "localhost" }),
    receiver("any", { insecure_skip_verify: true }),
    receiver("unknown"),
  ];
  const routes = receivers.map(({ name }) => ({ receiver: name, continue: true }));
  migration.write("alertmanager.yml", { route: { receiver: "own", group_wait: "0s", routes }, receivers });
  const done = await migration.run();
  assert.equal(done.status, 0, done.stderr);
  await migration.fire({ alertname: "DiskFull" });
  await eventually("three are called", () => new Set(calls.map(({ path }) => path)).size === 3);
  await eventually("the fourth has no TLS", async () => {
    const incidents = await migration.prism.get<{ data: { id: string }[] }>("/api/v1/incidents");
    const shown = incidents.body.data.map(({ id }) => migration.prism.get(`/api/v1/incidents/${id}`));
    return (await Promise.all(shown)).some(({ text }) => /no TLS: self-signed certificate/.test(text));
  });
  assert.ok(!calls.some(({ path }) => path === "/unknown"));
});

test("what cannot be translated is refused by name with what to do, or left to the fallback", async (t) => {
  const migration = await Migration.start(t);
  const hook = { url: "http://127.0.0.1:9/" };
  const receivers = {
    sns: { sns_configs: [{ topic_arn: "arn:aws:sns:eu-central-1:1:ops", sigv4: {} }] },
    oauth: { webhook_configs: [{ ...hook, http_config: { oauth2: { client_id: "a", token_url: "http://x/" } } }] },
    proxy: { webhook_configs: [{ ...hook, http_config: { proxy_url: "http://proxy:3128" } }] },
    template: { webhook_configs: [{ url: "http://127.0.0.1:9/{{ .GroupLabels.team }}" }] },
    payload: { webhook_configs: [{ ...hook, payload: { text: "x" } }] },
    file: { slack_configs: [{ api_url_file: "missing" }] },
    slack: { slack_configs: [{ api_url: "https://chat.example.com/hooks/abc" }] },
    room: { slack_configs: [{ app_token: "xoxb-1-a", channel: "#{{ .GroupLabels.team }}" }] },
    v1: { pagerduty_configs: [{ service_key: "0123456789abcdef0123456789abcdef" }] },
    short: { pagerduty_configs: [{ routing_key: "short" }] },
    tls: {
      discord_configs: [
        { webhook_url: "https://discord.com/api/webhooks/1/a", http_config: { proxy_url: "http://p" } },
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
    /receivers\.2\.webhook_configs\.0\.http_config\.proxy_url: Prism calls services directly/,
    /receivers\.3\.webhook_configs\.0\.url: is a template: write one receiver/,
    /receivers\.4\.webhook_configs\.0\.payload: has no counterpart/,
    /receivers\.5\.slack_configs\.0\.api_url_file: missing cannot be read \(ENOENT\)/,
    /receivers\.6\.slack_configs\.0\.api_url: is not the URL of an incoming webhook of Slack/,
    /receivers\.7\.slack_configs\.0\.channel: is a template/,
    /receivers\.8\.pagerduty_configs\.0\.service_key: is a key of the Events API v1: add an integration/,
    /receivers\.9\.pagerduty_configs\.0: key does not fit/,
    /receivers\.10\.discord_configs\.0\.http_config\.proxy_url: a channel to Discord has no such setting/,
    /receivers\.11\.msteams_configs\.0: .*Office 365 connectors/,
    /receivers\.12\.email_configs\.0\.to: who@example\.com is no active user .*: create the user/,
    /receivers\.13\.sns_configs\.0: Amazon SNS/,
  ])
    assert.match(refused.stderr, line);
  assert.deepEqual(await migration.stored(), before);

  const rest = await migration.run("--allow-empty");
  assert.equal(rest.status, 8, rest.stderr);
  assert.match(rest.stderr, /not translated: receivers\.0\.sns_configs\.0: Amazon SNS/);
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
  assert.equal(warnings.body.data.filter(({ code }) => code === "no-steps").length, 13);
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
