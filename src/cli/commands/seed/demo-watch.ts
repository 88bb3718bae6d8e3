import { DAY_MS, HOUR_MS, toRfc3339 } from "../../../core/clock.ts";
import { DEMO } from "./demo-respond.ts";
import type { SeededKind, SeedFill } from "./fill.ts";
import * as samples from "./samples.ts";

const SCHEDULES = "/api/v1/oncall/schedules";
const HEARTBEATS = "/api/v1/heartbeats";

const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR"];

interface DemoSchedule {
  readonly name: string;
  readonly description: string;
  readonly timezone: string;
  readonly shifts: (turns: readonly string[][]) => readonly object[];
}

/** The second one has gaps at night. */
const ON_CALL: readonly DemoSchedule[] = [
  {
    name: "Infrastructure",
    description: "Hosts, databases and backups",
    timezone: "Europe/Berlin",
    shifts: (turns) => [
      { name: "Weeks", durationMs: 7 * DAY_MS, recurrence: { frequency: "weekly" }, turns },
      {
        name: "Office hours",
        level: 1,
        durationMs: 8 * HOUR_MS,
        recurrence: { frequency: "weekly", byDay: WEEKDAYS },
        turns: turns.toReversed(),
      },
    ],
  },
  {
    name: "Web shop",
    description: "Checkout and payments, in the shop's hours",
    timezone: "America/New_York",
    shifts: (turns) => [
      { name: "Days", durationMs: 14 * HOUR_MS, recurrence: { frequency: "daily", interval: 1 }, turns },
    ],
  },
];

/** With what its runs have reported: null is a failure, otherwise how many milliseconds one took. */
const JOBS = [
  {
    job: { name: "Nightly backup", tags: ["backup", "db"], schedule: "30 2 * * *", timezone: "Europe/Berlin" },
    runs: [81_000, 84_500, 79_200, 90_300, 88_100, 97_400],
  },
  { job: { name: "Queue worker", tags: ["shop"], timeoutMs: DAY_MS }, runs: [210, 190, 450, 230, 205, 220, 880, 240] },
  { job: { name: "Certificate renewal", tags: ["web"], timeoutMs: 7 * DAY_MS }, runs: [4200, 3900, null] },
  { job: { name: "Weekly report", schedule: "Mon 08:00", timezone: "Europe/Berlin" }, runs: [] },
  { job: { name: "Export to the old system", tags: ["db"] }, runs: [12_000, 11_700], isPaused: true },
] as const;

/** Of the projects but the first. */
const MORE_PAGES = [
  {
    projectId: samples.PROJECT.infra,
    ...{ enabled: true, title: "Infrastructure", description: "Hosts and what runs on them" },
    groups: [
      {
        name: "Hosts",
        components: [
          { name: "Databases", sources: [{ matchers: ['team="db"'], effect: "outage" }] },
          { name: "Web servers", sources: [{ matchers: ['team="web"'], effect: "partial" }] },
        ],
      },
    ],
  },
  {
    projectId: samples.PROJECT.shop,
    ...{ enabled: true, title: "Orders", description: "Whether orders arrive" },
    groups: [
      {
        name: "Orders",
        components: [{ name: "Checkout", sources: [{ matchers: ['team="shop"'], effect: "outage" }] }],
      },
    ],
  },
] as const;

const STATUS_PAGE = {
  projectId: "default",
  enabled: true,
  title: "Web shop",
  description: "Availability of the shop and of what it needs",
  timezone: "Europe/Berlin",
  groups: [
    {
      name: "Shop",
      components: [
        { name: "Website", sources: [{ matchers: ['service="web"'], effect: "outage" }] },
        { name: "Checkout", sources: [{ tag: "shop", effect: "partial" }] },
      ],
    },
    {
      name: "Behind the scenes",
      components: [
        { name: "Certificates", sources: [{ tag: "web", effect: "degraded" }] },
        { name: "Databases", sources: [{ tag: "db", effect: "degraded" }] },
      ],
    },
  ],
};

/** What is connected. The channels are disabled: their addresses are no real ones. */
const CONNECTED = {
  receivers: [
    { name: "Backup scripts", preset: "generic", labels: { team: "ops" } },
    { name: "Repositories", preset: "github", secret: "sample data, no secret" },
    { name: "Grafana", preset: "grafana" },
  ],
  channels: [
    {
      name: "On-call room",
      ...{ preset: "slack", fields: { url: "https://hooks.slack.com/services/T000/B000/SAMPLE" } },
    },
    { name: "PagerDuty", preset: "pagerduty", fields: { key: "0123456789abcdef0123456789abcdef" } },
    {
      name: "Phones",
      ...{ preset: "telegram", fields: { token: "123456789:SAMPLE-DATA-IS-NO-TOKEN", chat: "-1001234567890" } },
    },
  ],
} as const;
const BACKUP = { title: "Backup of db-1 finished", level: "info", size: "81 GB" };

/**
 * On-call schedules, heartbeats, receivers and channels in the project `default`, and the status
 * pages. @param usernames `admin` first
 */
export async function seedWatch(fill: SeedFill, usernames: readonly string[]): Promise<readonly SeededKind[]> {
  return [
    // No person is put on call: sample data would page them, and test the way to them each week.
    await onCallSchedules(fill, usernames.filter((username) => !fill.isPerson(username)).slice(0, 3)),
    await heartbeats(fill),
    await statusPage(fill),
    ...(await connected(fill)),
  ];
}

async function connected(fill: SeedFill): Promise<SeededKind[]> {
  const hasOne = (path: string, name: string) =>
    fill.has(path, { projectId: STATUS_PAGE.projectId }, (found) => found["name"] === name);
  const receivers = await fill.each("receivers", CONNECTED.receivers, async (receiver) => {
    if (await hasOne("/api/v1/receivers", receiver.name)) return false;
    const admin = await fill.as(samples.ADMIN.username);
    const { url } = await admin.post<{ url: string | null }>("/api/v1/receivers", receiver);
    if (receiver.preset === "generic" && url !== null) await admin.post(new URL(url).pathname, BACKUP);
    return true;
  });
  const channels = await fill.each("channels", CONNECTED.channels, async (channel) => {
    if (await hasOne("/api/v1/channels", channel.name)) return false;
    const body = { ...channel, projectId: STATUS_PAGE.projectId, active: false };
    await (await fill.as(samples.ADMIN.username)).post("/api/v1/channels", body);
    return true;
  });
  return [receivers, channels];
}

async function onCallSchedules(fill: SeedFill, users: readonly string[]): Promise<SeededKind> {
  const turns = users.map((username) => [username]);
  return fill.each("on-call schedules", ON_CALL, async ({ shifts, ...schedule }) => {
    if (await fill.has(SCHEDULES, {}, ({ name }) => name === schedule.name)) return false;
    const admin = await fill.as(samples.ADMIN.username);
    const { id } = await admin.post<{ id: string }>(SCHEDULES, schedule);
    const start = `${toRfc3339(Date.now() - 7 * DAY_MS).slice(0, 10)}T09:00:00`;
    for (const shift of shifts(turns)) await admin.post(`${SCHEDULES}/${id}/shifts`, { start, ...shift });
    const inDays = (days: number) => toRfc3339(Math.floor(Date.now() / HOUR_MS) * HOUR_MS + days * DAY_MS);
    const [first = samples.ADMIN.username] = users;
    const last = users.at(-1) ?? first;
    const override = { start: inDays(2), end: inDays(2.5), users: [last], reason: "Dentist" };
    await admin.post(`${SCHEDULES}/${id}/overrides`, override);
    const swap = { start: inDays(9), end: inDays(11), userId: last, reason: "Family visit" };
    await admin.post(`${SCHEDULES}/${id}/swaps`, swap);
    return true;
  });
}

async function heartbeats(fill: SeedFill): Promise<SeededKind> {
  return fill.each("heartbeats", JOBS, async ({ job, runs, ...more }) => {
    if (await fill.has(HEARTBEATS, {}, ({ name }) => name === job.name)) return false;
    const admin = await fill.as(samples.ADMIN.username);
    const body = { ...job, labels: DEMO };
    const { id, pushUrl } = await admin.post<{ id: string; pushUrl: string }>(HEARTBEATS, body);
    const path = new URL(pushUrl).pathname;
    for (const ping of runs) {
      const report = ping === null ? { status: "down", msg: "The provider did not answer" } : { status: "up", ping };
      await admin.get(path, report);
    }
    if ("isPaused" in more) await admin.post(`${HEARTBEATS}/${id}/pause`, {});
    return true;
  });
}

async function statusPage(fill: SeedFill): Promise<SeededKind> {
  const path = "/api/v1/status-page";
  return fill.each("status pages", [STATUS_PAGE, ...MORE_PAGES], async ({ projectId, ...page }) => {
    if ((await fill.operator.get<{ version: number }>(path, { projectId })).version > 0) return false;
    const admin = await fill.as(samples.ADMIN.username);
    await admin.change("PUT", `${path}?projectId=${projectId}`, page);
    if (projectId !== STATUS_PAGE.projectId) return true;
    const inDays = (days: number) => toRfc3339(Math.floor(Date.now() / HOUR_MS) * HOUR_MS + days * DAY_MS);
    const move = { title: "Move to new hardware", text: "The shop is slower for an hour." };
    await admin.post(`${path}/notices`, { kind: "maintenance", startsAt: inDays(3), endsAt: inDays(3.1), ...move });
    const { id } = await admin.post<{ id: string }>(`${path}/notices`, {
      kind: "incident",
      title: "Card payments fail",
      text: "We are looking into failed payments.",
    });
    await admin.change("PATCH", `${path}/notices/${id}`, { state: "resolved", text: "The provider has fixed it." });
    return true;
  });
}
