/** The row's name, the body, and what is shown of it. */
export type SenderRow = readonly [string, unknown, readonly (string | null)[]];

const bitbucket = {
  actor: { display_name: "Ada", type: "user" },
  repository: { full_name: "acme/shop", links: { html: { href: "https://bitbucket.org/acme/shop" } } },
};

/** Programs at home, code and builds, chat messages. */
export const PROGRAMS: readonly SenderRow[] = [
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
    "Linear",
    {
      ...{ action: "create", type: "Issue", webhookTimestamp: 1769846405123, url: "https://linear.app/a/issue/OPS-7" },
      ...{
        data: { id: "u", identifier: "OPS-7", title: "Disk full", state: { name: "Todo" } },
        actor: { name: "Ada" },
      },
    },
    [
      "linear.issue-create",
      "info",
      "issue created: OPS-7 Disk full",
      "state Todo",
      "https://linear.app/a/issue/OPS-7",
      null,
    ],
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
