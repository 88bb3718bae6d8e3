import { DAY_MS, HOUR_MS, toRfc3339 } from "../../../core/clock.ts";
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

const STATUS_PAGE = {
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

/** On-call schedules, heartbeats and the status page, in the project `default`. @param usernames `admin` first */
export async function seedWatch(fill: SeedFill, usernames: readonly string[]): Promise<readonly SeededKind[]> {
  return [await onCallSchedules(fill, usernames.slice(0, 3)), await heartbeats(fill), await statusPage(fill)];
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
    const { id, pushUrl } = await admin.post<{ id: string; pushUrl: string }>(HEARTBEATS, job);
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
  return fill.each("status pages", [STATUS_PAGE], async (page) => {
    if ((await fill.operator.get<{ version: number }>(path)).version > 0) return false;
    const admin = await fill.as(samples.ADMIN.username);
    await admin.change("PUT", path, page);
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
