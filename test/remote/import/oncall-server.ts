import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { finalShiftsOf, type ModelSchedule, type ModelShift, type ModelSwap } from "./oncall-model.ts";

/* A Grafana OnCall with one team, in the form of its public API. */

export const TOKEN = "oncall-token-0123456789abcdef";
export const ALERTMANAGER_TOKEN = "AAAAAAAAAAAAAAAAAAAAAAAAA1";
export const WEBHOOK_TOKEN = "BBBBBBBBBBBBBBBBBBBBBBBBB2";
/** What no YAML file may have. */
export const SECRETS = [TOKEN, ALERTMANAGER_TOKEN, WEBHOOK_TOKEN, "private-calendar-9", "hook-secret-path"];

type Row = Readonly<Record<string, unknown>>;

const users: Row[] = [
  {
    id: "Uada",
    username: "ada",
    email: "ada@example.com",
    role: "admin",
    timezone: "Europe/Berlin",
    teams: ["T1"],
    is_phone_number_verified: true,
  },
  { id: "Uben", username: "ben", email: "ben@example.com", role: "editor", timezone: "UTC", teams: ["T1"] },
  { id: "Ucy", username: "Cy", email: "cy@example.com", role: "editor", timezone: null, teams: ["T1"] },
  { id: "Uvi", username: "vi | *x* <b>\u202e", email: "vi@example.com", role: "viewer", timezone: null, teams: [] },
];

const shift = (id: string, name: string, rest: Partial<ModelShift>): ModelShift => ({
  ...{ id, name, type: "rolling_users", time_zone: null, level: 0, start: "2026-10-05T09:00:00", duration: 604_800 },
  ...{ rotation_start: rest.start ?? "2026-10-05T09:00:00", frequency: "weekly", interval: 1, week_start: "MO" },
  ...{ rolling_users: [["Uada"], ["Uben"], ["Ucy"]], start_rotation_from_user_index: 0 },
  ...rest,
});

export const SCHEDULES: readonly ModelSchedule[] = [
  {
    ...{ id: "S1", name: "Primary", type: "calendar", time_zone: "Europe/Berlin" },
    shifts: [
      shift("O1", "Weeks", {}),
      shift("O2", "Nights", {
        ...{ level: 1, start: "2026-10-05T20:00:00", rotation_start: "2026-10-05T20:00:00", duration: 43_200 },
        ...{ frequency: "daily", interval: 1, rolling_users: [["Uben"], ["Uada"]] },
      }),
    ],
    swaps: [],
  },
  {
    ...{ id: "S2", name: "Made in the page", type: "web", time_zone: "Europe/Berlin" },
    shifts: [
      shift("O3", "Weeks", {}),
      {
        ...{ id: "O4", name: "Override", type: "override", time_zone: null, level: 99 },
        ...{ start: "2027-01-05T08:00:00", rotation_start: "2027-01-05T08:00:00", duration: 28_800, users: ["Ucy"] },
      },
    ],
    swaps: [
      {
        ...{ id: "W1", schedule: "S2", swap_start: "2026-12-30T09:00:00Z", swap_end: "2027-01-02T09:00:00Z" },
        ...{ beneficiary: "Uben", benefactor: "Uada" },
      },
    ] as ModelSwap[],
  },
];

const link = (type: string, token: string) => `https://oncall.example/integrations/v1/${type}/${token}/`;
const step = (position: number, type: string, rest: Row = {}): Row => ({
  ...{ id: `E${position}`, escalation_chain_id: "C1", position, type },
  ...rest,
});

export const LISTS: Readonly<Record<string, readonly Row[]>> = {
  users,
  teams: [{ id: "T1", name: "Duty team", email: null, avatar_url: null }],
  schedules: [
    ...SCHEDULES.map(({ id, name, type, time_zone, shifts }) => ({
      ...{ id, name, type, time_zone, team_id: "T1", on_call_now: [], shifts: shifts.map((each) => each.id) },
      ...{ slack: { channel_id: null, user_group_id: null } },
    })),
    {
      ...{
        id: "S3",
        name: "Calendar",
        type: "ical",
        team_id: "T1",
        ical_url_overrides: "https://cal.example/overrides.ics",
      },
      ical_url_primary: "https://cal.example/private-calendar-9/basic.ics",
    },
  ],
  on_call_shifts: SCHEDULES.flatMap(({ id, shifts }) =>
    shifts.map((each) => ({ ...each, schedule: id, team_id: "T1" })),
  ),
  shift_swaps: SCHEDULES.flatMap(({ swaps }) => swaps.map((each) => ({ ...each, status: "taken", description: "" }))),
  escalation_chains: [
    { id: "C1", name: "Default", team_id: "T1" },
    { id: "C2", name: "Daytime", team_id: "T1" },
  ],
  escalation_policies: [
    step(0, "notify_on_call_from_schedule", { notify_on_call_from_schedule: "S1", important: false }),
    step(1, "wait", { duration: 300 }),
    step(2, "notify_on_call_from_schedule", { notify_on_call_from_schedule: "S2", important: true }),
    step(3, "wait", { duration: 900 }),
    step(4, "notify_persons", { persons_to_notify: ["Uada", "Ucy"], important: true }),
    step(5, "trigger_webhook", { action_to_trigger: "WH1" }),
    step(6, "notify_user_group", { group_to_notify: "G1", important: false }),
    step(7, "repeat_escalation"),
    ...[
      step(0, "notify_if_num_alerts_in_window", { num_alerts_in_window: 3, num_minutes_in_window: 10 }),
      step(1, "notify_if_time_from_to", { notify_if_time_from: "21:00:00Z", notify_if_time_to: "06:00:00Z" }),
      step(2, "notify_person_next_each_time", { persons_to_notify_next_each_time: ["Uben", "Uada"], important: false }),
      step(3, "notify_team_members", { team_to_notify: "T1", important: true }),
      step(4, "resolve"),
    ].map((each) => ({ ...each, id: `${String(each["id"])}b`, escalation_chain_id: "C2" })),
  ],
  integrations: [
    {
      ...{ id: "I1", name: 'Prometheus "main" 🔥', team_id: "T1", type: "alertmanager" },
      ...{ link: link("alertmanager", ALERTMANAGER_TOKEN), inbound_email: null },
      default_route: { id: "R3", escalation_chain_id: "C1", slack: { channel_id: "CROOM", enabled: true } },
      templates: { grouping_key: null, resolve_signal: null, slack: { title: null } },
      heartbeat: { link: `${link("alertmanager", ALERTMANAGER_TOKEN)}heartbeat/` },
      ...{
        maintenance_mode: "maintenance",
        maintenance_started_at: "2026-11-28T17:00:00Z",
        maintenance_end_at: "2026-11-28T20:00:00Z",
      },
    },
    {
      ...{
        id: "I2",
        name: "Jobs",
        team_id: "T1",
        type: "webhook",
        link: link("webhook", WEBHOOK_TOKEN),
        inbound_email: null,
      },
      ...{ default_route: { id: "R4", escalation_chain_id: null }, heartbeat: null, maintenance_mode: null },
      templates: { grouping_key: "{{ payload.job }}", resolve_signal: null },
    },
    {
      id: "I3",
      name: "Direct paging",
      team_id: "T1",
      type: "direct_paging",
      link: null,
      default_route: null,
      templates: {},
    },
  ],
  routes: [
    {
      id: "R1",
      integration_id: "I1",
      escalation_chain_id: "C2",
      position: 0,
      routing_type: "jinja2",
      routing_regex: '{{ payload.commonLabels.severity == "info" }}',
    },
    {
      id: "R2",
      integration_id: "I1",
      escalation_chain_id: "C1",
      position: 1,
      routing_type: "regex",
      routing_regex: '"team": "db"',
    },
    {
      id: "R3",
      integration_id: "I1",
      escalation_chain_id: "C1",
      position: 2,
      routing_type: "regex",
      routing_regex: "",
      is_the_last_route: true,
    },
    {
      id: "R5",
      integration_id: "I2",
      escalation_chain_id: "C2",
      position: 0,
      routing_type: "regex",
      routing_regex: "back.*up",
    },
    {
      id: "R4",
      integration_id: "I2",
      escalation_chain_id: null,
      position: 1,
      routing_type: null,
      routing_regex: null,
      is_the_last_route: true,
    },
  ],
  personal_notification_rules: [
    { id: "N1", user_id: "Uada", position: 0, important: true, type: "notify_by_mobile_app_critical" },
    { id: "N2", user_id: "Uada", position: 1, important: true, type: "wait", duration: 60 },
    { id: "N3", user_id: "Uada", position: 2, important: true, type: "notify_by_phone_call" },
    { id: "N4", user_id: "Uada", position: 0, important: false, type: "notify_by_email" },
  ],
  webhooks: [
    {
      ...{ id: "WH1", name: "Ticket", team: "T1", url: "https://hooks.example/hook-secret-path", http_method: "POST" },
      ...{
        trigger_type: "escalation",
        data: '{"id": 1}',
        headers: null,
        username: null,
        password: "****",
        authorization_header: null,
      },
      is_webhook_enabled: true,
    },
    {
      id: "WH2",
      name: "Templated",
      team: "T1",
      url: "https://x.example/{{ alert_group_id }}",
      http_method: "POST",
      trigger_type: "resolve",
    },
  ],
};

export interface FakeOnCall {
  readonly url: string;
  readonly requests: { readonly method: string; readonly path: string }[];
  /** The spans of `final_shifts` move by so much: OnCall says something else than its shifts. */
  shiftedBy: number;
  /** Answers 403. */
  forbidden: string;
  /** `next` of pages is at another server. */
  isElsewhere: boolean;
  /** What names and conditions end with. */
  suffix: string;
  /** Of `alert_groups`. */
  groups: Row[];
  /** Further integrations, each with a room of its own. */
  jobs: number;
}

const PAGE = 3;

function jobsLike(job: Row | undefined, count: number): Row[] {
  return Array.from({ length: count }, (_, at) => ({
    ...job,
    ...{ id: `J${at}`, name: `Job ${at}`, link: link("webhook", `${WEBHOOK_TOKEN}${at}`) },
    default_route: { id: `RJ${at}`, escalation_chain_id: null, slack: { channel_id: `CJOB${at}`, enabled: true } },
  }));
}

export async function fakeOnCall(t: TestContext): Promise<FakeOnCall> {
  const fake = {
    url: "",
    requests: [] as FakeOnCall["requests"],
    shiftedBy: 0,
    forbidden: "",
    isElsewhere: false,
    suffix: "",
    groups: [] as Row[],
    jobs: 0,
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", fake.url);
    fake.requests.push({ method: request.method ?? "", path: url.pathname });
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.headers.authorization !== TOKEN) return answer(401, { detail: "Invalid token." });
    const [, list = "", id, action] = /^\/oncall\/api\/v1\/(\w+)\/(?:([^/]+)\/(\w+))?$/.exec(url.pathname) ?? [];
    if (list === fake.forbidden) return answer(403, { detail: "Forbidden" });
    if (action === "final_shifts") {
      const schedule = SCHEDULES.find((each) => each.id === id);
      const [from, to] = ["start_date", "end_date"].map((name) => Date.parse(`${url.searchParams.get(name)}Z`));
      const spans = schedule ? finalShiftsOf(schedule, from ?? 0, to ?? 0) : [];
      const moved = (text: string) => new Date(Date.parse(text) + fake.shiftedBy).toISOString();
      const results = spans.map((span) => ({
        ...span,
        shift_start: moved(span.shift_start),
        shift_end: moved(span.shift_end),
      }));
      return answer(200, { count: results.length, next: null, previous: null, results });
    }
    const known = list === "alert_groups" ? fake.groups : LISTS[list];
    const rows = list === "integrations" && known ? [...known, ...jobsLike(known[1], fake.jobs)] : known;
    if (!rows) return answer(404, { detail: "Not found." });
    const named = rows.map((row) => ({
      ...row,
      ...(fake.suffix !== "" &&
        Object.fromEntries(
          ["name", "username", "routing_regex"].flatMap((key) =>
            typeof row[key] === "string" ? [[key, `${row[key]}${fake.suffix}`]] : [],
          ),
        )),
    }));
    const page = Number(url.searchParams.get("page") ?? 1);
    const origin = fake.isElsewhere ? "http://127.0.0.1:9" : fake.url.replace(/\/oncall$/, "");
    const next = page * PAGE < rows.length ? `${origin}/oncall/api/v1/${list}/?page=${page + 1}` : null;
    answer(200, { count: rows.length, next, previous: null, results: named.slice((page - 1) * PAGE, page * PAGE) });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/oncall`;
  t.after(() => server.close());
  return fake;
}
