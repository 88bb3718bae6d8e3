import assert from "node:assert/strict";
import test from "node:test";
import { ReceiverTest } from "../support.ts";

interface Tried {
  readonly result: string;
  readonly problem: string | null;
  readonly events: readonly {
    readonly type: string;
    readonly level: string;
    readonly payload: { readonly title: string; readonly message: string | null; readonly link: string | null };
  }[];
  readonly alerts: readonly { readonly key: string; readonly status: string }[];
}

/** What is shown of a request: type, level, title, message, link, and the alert. */
async function shown(it: ReceiverTest, id: string, body: unknown): Promise<readonly (string | null)[]> {
  const request = { contentType: "application/json", body: JSON.stringify(body) };
  const reply = await it.prism.post<Tried>(`/api/v1/receivers/${id}/test`, { request });
  assert.equal(reply.status, 200, reply.text);
  const { problem, events, alerts } = reply.body;
  assert.equal(problem, null, JSON.stringify(body).slice(0, 200));
  const [event, alert] = [events[0], alerts[0]];
  assert.ok(event, reply.text);
  const { type, level, payload } = event;
  const state = alert === undefined ? null : `${alert.status} ${alert.key}`;
  return [type, level, payload.title, payload.message, payload.link, state];
}

const azure = (monitorCondition: string) => ({
  schemaId: "azureMonitorCommonAlertSchema",
  data: {
    essentials: {
      alertId: "/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/b9569717",
      alertRule: "CPU of web",
      severity: "Sev1",
      signalType: "Metric",
      monitorCondition,
      configurationItems: ["web-1"],
      originAlertId: "o1",
      firedDateTime: "2026-01-31T08:00:05.123Z",
      description: "Above 90 %",
      essentialsVersion: "1.0",
    },
    alertContext: {},
  },
});

const google = (state: string) => ({
  incident: {
    incident_id: "0.m9",
    scoping_project_id: "shop",
    url: "https://console.cloud.google.com/monitoring/alerting/alerts/0.m9",
    started_at: 1769846405,
    state,
    summary: "CPU of web-1 is above the threshold of 0.9 with a value of 0.97.",
    severity: "Critical",
    policy_name: "CPU",
    condition_name: "High CPU",
    resource_display_name: "web-1",
  },
  version: "1.2",
});

const statuspage = (status: string, impact = "major") => ({
  meta: { unsubscribe: "https://status.example/unsubscribe", documentation: "https://doers.statuspage.io" },
  page: { id: "p", status_indicator: "major", status_description: "Partial outage" },
  incident: {
    ...{ id: "i9", name: "Login fails", status, impact, shortlink: "https://stspg.io/i9" },
    incident_updates: [{ body: "We look into it.", status }],
  },
});

const rollbar = (event_name: string) => ({
  event_name,
  data: {
    item: { id: 272505123, title: "TypeError: x is undefined", level: 40, environment: "production", counter: 4 },
  },
});

const newRelic = (state: string) => ({
  id: "d1b1f3fd",
  issueUrl: "https://radar-api.service.newrelic.com/accounts/1/issues/d1b1f3fd",
  title: "web-1 CPU is high",
  priority: "CRITICAL",
  impactedEntities: ["web-1"],
  totalIncidents: 1,
  state,
  trigger: "STATE_CHANGE",
  createdAt: 1769846405000,
});

const bitbucket = {
  actor: { display_name: "Ada", type: "user" },
  repository: { full_name: "acme/shop", links: { html: { href: "https://bitbucket.org/acme/shop" } } },
};

/** The row's name, the body, and what is shown of it. */
const ROWS: readonly [string, unknown, readonly (string | null)[]][] = [
  [
    "Sonarr, a download",
    {
      eventType: "Download",
      instanceName: "Sonarr",
      series: { id: 2, title: "The Wire", year: 2002 },
      episodes: [{ id: 67, episodeNumber: 3, seasonNumber: 1, title: "The Buys" }],
      isUpgrade: false,
    },
    ["servarr.download", "info", "Sonarr: Download – The Wire 1x03 The Buys", "The Wire 1x03 The Buys", null, null],
  ],
  [
    "Radarr, a grab",
    {
      eventType: "Grab",
      instanceName: "Radarr",
      movie: { title: "Heat" },
      release: { releaseTitle: "Heat.1995.1080p" },
    },
    ["servarr.grab", "info", "Radarr: Grab – Heat", "Heat.1995.1080p", null, null],
  ],
  [
    "Prowlarr, a failed check",
    {
      ...{ eventType: "Health", instanceName: "Prowlarr", level: "error", type: "IndexerStatusCheck" },
      ...{ message: "All indexers are unavailable", wikiUrl: "https://wiki.servarr.com/prowlarr/system#indexers" },
    },
    [
      ...["servarr.health", "error", "Prowlarr: Health – IndexerStatusCheck", "All indexers are unavailable"],
      ...["https://wiki.servarr.com/prowlarr/system#indexers", "firing Prowlarr/IndexerStatusCheck"],
    ],
  ],
  [
    "Prowlarr, a check that passes again",
    {
      eventType: "HealthRestored",
      instanceName: "Prowlarr",
      level: "error",
      type: "IndexerStatusCheck",
      message: "ok",
    },
    [
      ...["servarr.health-restored", "error", "Prowlarr: Health restored – IndexerStatusCheck", "ok", null],
      "resolved Prowlarr/IndexerStatusCheck",
    ],
  ],
  [
    "Diun",
    {
      ...{ diun_version: "4.29.0", hostname: "nas", status: "new", provider: "docker" },
      ...{ image: "docker.io/library/redis:7", hub_link: "https://hub.docker.com/_/redis", digest: "sha256:5f" },
      ...{ created: "2026-01-30T04:00:00Z", platform: "linux/amd64" },
    },
    [
      ...["diun.new", "info", "New image docker.io/library/redis:7", "linux/amd64, 2026-01-30T04:00:00Z, sha256:5f"],
      ...["https://hub.docker.com/_/redis", null],
    ],
  ],
  [
    "UniFi Protect",
    {
      alarm: {
        name: "Person at the door",
        sources: [{ device: "74ACB99F4E24", type: "include" }],
        conditions: [{ condition: { type: "is", source: "person" } }],
        triggers: [{ device: "74ACB99F4E24", key: "person", eventId: "e1" }],
        eventLocalLink: "https://192.168.1.1/protect/events/event/e1",
      },
      timestamp: 1769846405123,
    },
    [
      ...["unifi-protect.person", "warn", "Person at the door", "Person 74ACB99F4E24"],
      ...["https://192.168.1.1/protect/events/event/e1", null],
    ],
  ],
  [
    "Bitbucket, a push",
    {
      ...bitbucket,
      push: { changes: [{ new: { type: "branch", name: "main" }, commits: [{ message: "Round totals\n" }] }] },
    },
    [
      ...["repository.push", "info", "acme/shop: push to main by Ada", "Round totals"],
      ...["https://bitbucket.org/acme/shop", null],
    ],
  ],
  [
    "Bitbucket, a failed build",
    {
      ...bitbucket,
      commit_status: { key: "ci", name: "Build 7", state: "FAILED", refname: "main", url: "https://ci.example/7" },
    },
    [
      ...["repository.build", "error", "acme/shop: build Build 7 failed by Ada", null],
      ...["https://ci.example/7", "firing acme/shop/main/ci"],
    ],
  ],
  [
    "Bitbucket Data Center, a pull request",
    {
      eventKey: "pr:opened",
      actor: { displayName: "Ada" },
      repository: { slug: "shop", project: { key: "ACME" } },
      pullRequest: { id: 4, title: "Faster", links: { self: [{ href: "https://git.example/pr/4" }] } },
    },
    [
      ...["repository.pull-request", "info", "ACME/shop: pull request #4 Faster by Ada", null],
      ...["https://git.example/pr/4", null],
    ],
  ],
  [
    "Gogs, a push",
    {
      ...{ ref: "refs/heads/main", compare_url: "https://gogs.example/c", commits: [{ message: "Fix" }] },
      ...{ repository: { full_name: "ada/shop" }, pusher: { username: "ada" } },
    },
    ["repository.push", "info", "ada/shop: push to main by ada", "Fix", "https://gogs.example/c", null],
  ],
  [
    "Statuspage, an incident",
    statuspage("investigating"),
    [
      ...["statuspage.incident", "error", "Login fails: investigating", "We look into it."],
      ...["https://stspg.io/i9", "firing i9"],
    ],
  ],
  [
    "Statuspage, its end",
    statuspage("resolved"),
    [
      ...["statuspage.incident", "info", "Login fails: resolved", "We look into it."],
      ...["https://stspg.io/i9", "resolved i9"],
    ],
  ],
  [
    "Linear",
    {
      ...{ action: "create", type: "Issue", webhookTimestamp: 1769846405123, url: "https://linear.app/a/issue/OPS-7" },
      ...{
        data: { id: "u", identifier: "OPS-7", title: "Disk full", state: { name: "Todo" } },
        actor: { name: "Ada" },
      },
    },
    ["linear.issue-create", "info", "issue created: OPS-7 Disk full", "Todo", "https://linear.app/a/issue/OPS-7", null],
  ],
  [
    "Jira",
    {
      ...{ timestamp: 1769846405123, webhookEvent: "jira:issue_created", user: { displayName: "Ada" } },
      issue: {
        ...{ id: "1", key: "OPS-7", self: "https://acme.atlassian.net/rest/api/2/issue/1" },
        fields: { summary: "Disk full", status: { name: "Open" }, priority: { name: "High" } },
      },
    },
    [
      "jira.issue-created",
      "info",
      "Issue created: OPS-7 Disk full",
      "Open",
      "https://acme.atlassian.net/browse/OPS-7",
      null,
    ],
  ],
  [
    "Rollbar",
    rollbar("new_item"),
    ["rollbar.new-item", "error", "New item: TypeError: x is undefined", "production", null, "firing 272505123"],
  ],
  [
    "Rollbar, resolved",
    rollbar("resolved_item"),
    [
      "rollbar.resolved-item",
      "error",
      "Resolved item: TypeError: x is undefined",
      "production",
      null,
      "resolved 272505123",
    ],
  ],
  [
    "Azure Monitor, fired",
    azure("Fired"),
    ["azure-monitor.fired", "error", "CPU of web on web-1", "Above 90 %", null, "firing o1"],
  ],
  [
    "Azure Monitor, resolved",
    azure("Resolved"),
    ["azure-monitor.resolved", "error", "CPU of web on web-1", "Above 90 %", null, "resolved o1"],
  ],
  [
    "Azure Monitor, a metric before the common schema",
    {
      schemaId: "AzureMonitorMetricAlert",
      data: {
        status: "Activated",
        context: {
          id: "/a",
          name: "CPU",
          severity: "3",
          resourceName: "web-1",
          portalLink: "https://portal.azure.com/x",
        },
      },
    },
    ["azure-monitor.activated", "info", "CPU on web-1", null, "https://portal.azure.com/x", "firing /a/web-1"],
  ],
  [
    "Google Cloud Monitoring, open",
    google("open"),
    [
      ...["google-monitoring.open", "fatal", "CPU: web-1"],
      "CPU of web-1 is above the threshold of 0.9 with a value of 0.97.",
      ...["https://console.cloud.google.com/monitoring/alerting/alerts/0.m9", "firing 0.m9"],
    ],
  ],
  [
    "Google Cloud Monitoring, closed",
    google("closed"),
    [
      ...["google-monitoring.closed", "fatal", "CPU: web-1"],
      "CPU of web-1 is above the threshold of 0.9 with a value of 0.97.",
      ...["https://console.cloud.google.com/monitoring/alerting/alerts/0.m9", "resolved 0.m9"],
    ],
  ],
  [
    "New Relic, activated",
    newRelic("ACTIVATED"),
    [
      ...["new-relic.activated", "fatal", "web-1 CPU is high", "STATE_CHANGE\nweb-1"],
      ...["https://radar-api.service.newrelic.com/accounts/1/issues/d1b1f3fd", "firing d1b1f3fd"],
    ],
  ],
  [
    "New Relic, closed",
    newRelic("CLOSED"),
    [
      ...["new-relic.closed", "fatal", "web-1 CPU is high", "STATE_CHANGE\nweb-1"],
      ...["https://radar-api.service.newrelic.com/accounts/1/issues/d1b1f3fd", "resolved d1b1f3fd"],
    ],
  ],
  [
    "Graylog",
    {
      ...{ event_definition_id: "6", event_definition_title: "Too many 500s", event_definition_description: "" },
      ...{
        event: { id: "01", message: "Too many 500s: count()=812", source: "web-1", priority: 3, alert: true },
        backlog: [],
      },
    },
    ["graylog.event", "error", "Too many 500s", "Too many 500s: count()=812", null, null],
  ],
  [
    "Aria Operations",
    {
      ...{ alertId: "a1", alertName: "Datastore is full", resourceName: "ds-1", status: "ACTIVE", info: "97 %" },
      ...{ criticality: "ALERT_CRITICALITY_LEVEL_CRITICAL", alertURL: "https://vrops.example/a1" },
    },
    [
      ...["aria-operations.alert", "fatal", "ds-1: Datastore is full", "97 %"],
      ...["https://vrops.example/a1", "firing a1"],
    ],
  ],
  [
    "Azure DevOps",
    {
      ...{ id: "4a5d", eventType: "build.complete", publisherId: "tfs" },
      message: { text: "Build 20260131.2 succeeded", html: "Build <b>20260131.2</b>", markdown: "Build" },
      resource: { result: "succeeded", _links: { web: { href: "https://dev.azure.com/b/2" } } },
    },
    [
      ...["azure-devops.build-complete", "info", "Build 20260131.2 succeeded", "Build 20260131.2 succeeded"],
      ...["https://dev.azure.com/b/2", null],
    ],
  ],
  [
    "CircleCI",
    {
      ...{ id: "c1", type: "workflow-completed", happened_at: "2026-01-31T08:00:05Z" },
      workflow: { id: "w", name: "build", status: "failed", url: "https://app.circleci.com/w" },
      ...{ project: { name: "shop" }, pipeline: { number: 2, vcs: { branch: "main" } } },
    },
    [
      ...["circleci.workflow-completed", "error", "shop: build failed", "main"],
      ...["https://app.circleci.com/w", "firing shop/build/main"],
    ],
  ],
  [
    "Vercel",
    {
      ...{ id: "v1", type: "deployment.error", createdAt: 1769846405123 },
      payload: {
        deployment: { id: "dpl_1", name: "shop", url: "shop-x.vercel.app", meta: { githubCommitMessage: "Fix" } },
        links: { deployment: "https://vercel.com/acme/shop/1" },
      },
    },
    [
      ...["vercel.deployment-error", "error", "shop: deployment error", "Fix"],
      ...["https://vercel.com/acme/shop/1", "firing shop/deployment"],
    ],
  ],
  [
    "Flux",
    {
      ...{ involvedObject: { kind: "HelmRelease", namespace: "shop", name: "web" }, severity: "error" },
      ...{ message: "install retries exhausted", reason: "InstallFailed", reportingController: "helm-controller" },
    },
    [
      ...["flux.install-failed", "error", "HelmRelease/shop/web: InstallFailed", "install retries exhausted"],
      ...[null, null],
    ],
  ],
  [
    "LibreNMS",
    {
      title: "Alert for device sw-1",
      hostname: "sw-1",
      rule: "Port down",
      state: 1,
      severity: "critical",
      msg: "Port 4",
    },
    ["librenms.alert", "fatal", "Alert for device sw-1", "Port 4", null, "firing sw-1/Port down"],
  ],
  [
    "LibreNMS, recovered",
    { title: "Device sw-1 recovered", hostname: "sw-1", rule: "Port down", state: 0, severity: "ok", msg: "Port 4" },
    ["librenms.alert", "info", "Device sw-1 recovered", "Port 4", null, "resolved sw-1/Port down"],
  ],
  [
    "Pingdom",
    { check_id: 12345, check_name: "Shop", current_state: "DOWN", previous_state: "UP", description: "HTTP 500" },
    ["pingdom.down", "error", "Shop is down", "HTTP 500", null, "firing 12345"],
  ],
  [
    "Netdata",
    { alert: "ram_in_use", chart: "system.ram", node: "db-1", severity: "warning", message: "RAM is at 93 %" },
    [
      "netdata.warning",
      "warn",
      "ram_in_use db-1 system.ram is warning",
      "RAM is at 93 %",
      null,
      "firing db-1/system.ram/ram_in_use",
    ],
  ],
  [
    "Kapacitor",
    { id: "cpu:web-1", message: "cpu:web-1 is OK", level: "OK", data: { series: [] }, time: "2026-01-31T08:00:05Z" },
    ["kapacitor.ok", "info", "cpu:web-1 is ok", "cpu:web-1 is OK", null, "resolved cpu:web-1"],
  ],
  [
    "Riemann",
    { host: "web-1", service: "cpu", state: "critical", metric: 0.97, description: "97 %" },
    ["riemann.critical", "fatal", "cpu web-1 is critical", "97 %", null, "firing web-1/cpu"],
  ],
  [
    "Teams, a MessageCard",
    {
      "@type": "MessageCard",
      summary: "Shop is down",
      sections: [
        { activityTitle: "**Uptime Kuma**" },
        { activityTitle: "Shop is down" },
        { facts: [{ name: "URL", value: "https://shop.example" }] },
      ],
      potentialAction: [
        { "@type": "OpenUri", name: "Open", targets: [{ os: "default", uri: "https://kuma.example/3" }] },
      ],
    },
    [
      ...["teams.message", "info", "Shop is down", "Uptime Kuma\nURL: https://shop.example"],
      ...["https://kuma.example/3", null],
    ],
  ],
  [
    "Teams, an Adaptive Card",
    {
      type: "message",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          content: {
            type: "AdaptiveCard",
            body: [
              {
                type: "Container",
                style: "attention",
                items: [
                  {
                    type: "ColumnSet",
                    columns: [{ type: "Column", items: [{ type: "TextBlock", text: "**Shop** is down" }] }],
                  },
                ],
              },
              { type: "FactSet", facts: [{ title: "Status", value: "503" }] },
            ],
            actions: [{ type: "Action.OpenUrl", title: "Open", url: "https://kuma.example/3" }],
          },
        },
      ],
    },
    ["teams.message", "error", "Shop is down", "Status: 503", "https://kuma.example/3", null],
  ],
  [
    "Google Chat, a card",
    {
      fallbackText: "Shop is down",
      cardsV2: [
        {
          card: {
            header: { title: "Shop is down", subtitle: "Uptime Kuma" },
            sections: [
              {
                widgets: [
                  { textParagraph: { text: "<b>Message:</b> timeout" } },
                  { decoratedText: { topLabel: "Time", text: "08:00" } },
                ],
              },
              {
                widgets: [
                  {
                    buttonList: {
                      buttons: [{ text: "Open", onClick: { openLink: { url: "https://kuma.example/3" } } }],
                    },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
    [
      ...["google-chat.message", "info", "Shop is down", "Uptime Kuma\nMessage: timeout\nTime\n08:00"],
      ...["https://kuma.example/3", null],
    ],
  ],
];

test("the preset generic names what well-known senders report, and knows their states", async (t) => {
  const it = await ReceiverTest.start(t);
  const { id } = await it.make({});
  for (const [name, body, wanted] of ROWS) assert.deepEqual(await shown(it, id, body), wanted, name);
});

test("the receiver's own mapping comes before what is known of a sender", async (t) => {
  const it = await ReceiverTest.start(t);
  const { id } = await it.make({ mapping: { title: "= body.data.essentials.signalType", status: "event" } });
  const [, , title, , , state] = await shown(it, id, azure("Fired"));
  assert.deepEqual([title, state], ["Metric", null]);
});

test("the preset generic knows the words for firing and resolved, and says which one it does not know", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const firing = ["firing", "active", "ACTIVATED", "fired", "ALARM", "critical", "failed", "error", "Warning", "DOWN"];
  const resolved = ["resolved", "ok", "OK", "inactive", "recovered", "success", "CLEARED", "normal", "UP", "closed"];
  for (const [i, word] of firing.entries()) {
    const names = { key: `k${i}`, title: "Disk" };
    await it.send(receiver, { ...names, status: word });
    assert.equal((await it.alerts()).length, 1, word);
    await it.send(receiver, { ...names, state: resolved[i] });
    assert.deepEqual(await it.alerts(), [], resolved[i]);
  }
  for (const { outcome } of await it.requests(receiver)) assert.equal(outcome["problem"], undefined);
  await it.send(receiver, { title: "Disk", key: "d", status: "Wobbly" });
  const [unknown] = await it.requests(receiver, 1);
  assert.equal(unknown?.outcome["problem"], 'status: "wobbly" is not firing, resolved, acknowledged or event');
  await it.send(receiver, { title: "Built", status: "Wobbly" });
  const [withoutKey] = await it.requests(receiver, 1);
  assert.equal(withoutKey?.outcome["problem"], undefined, "without a key there is no alert to miss");
});

test("a form that a preset knows leaves no problem in the log", async (t) => {
  const it = await ReceiverTest.start(t);
  const rows: readonly [string, unknown][] = [
    ["uptime-kuma", { heartbeat: null, monitor: null, msg: "My Kuma Testing" }],
    ["grafana", { ruleId: 7, ruleName: "CPU", title: "[OK] CPU", state: "ok", orgId: 1 }],
    ["cloudevents", { specversion: "1.0", id: "1", source: "/a", type: "a.b", data: { message: "x" } }],
  ];
  for (const [preset, body] of rows) {
    const receiver = await it.make({ name: preset, preset });
    await it.send(receiver, body);
    const [logged] = await it.requests(receiver);
    assert.deepEqual([logged?.result, logged?.outcome["problem"]], ["accepted", undefined], preset);
  }
  const mistaken = await it.make({ preset: "generic", mapping: { split: "body.alert" } });
  await it.send(mistaken, { title: "x", alerts: [] });
  assert.equal((await it.requests(mistaken))[0]?.outcome["problem"], "split: no list");
});

test("a link in a block of a Slack message is kept", async (t) => {
  const it = await ReceiverTest.start(t);
  const { id } = await it.make({ preset: "slack" });
  const block = { type: "section", text: { type: "mrkdwn", text: "See <https://ci.example/7|run 7>" } };
  const button = {
    type: "actions",
    elements: [{ type: "button", url: "https://ci.example/8", text: { text: "Open" } }],
  };
  assert.equal((await shown(it, id, { text: "Failed", blocks: [block] }))[4], "https://ci.example/7");
  assert.equal((await shown(it, id, { text: "Failed", blocks: [button] }))[4], "https://ci.example/8");
});
