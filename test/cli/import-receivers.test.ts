import assert from "node:assert/strict";
import test from "node:test";
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
import { eventually } from "../helpers/eventually.ts";
import { Migration } from "./import-migration.ts";

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
  assert.match(done.stderr, /changed: line \d+: templates: Go templates are not used/);
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
