import { HOUR_MS, MINUTE_MS, toRfc3339 } from "../../../core/clock.ts";
import { COLLEAGUES, FAILED_CHECKOUTS, FORMER, ON_CALL } from "./demo-samples.ts";
import { counted, type SeededKind, type SeedFill, until } from "./fill.ts";
import * as samples from "./samples.ts";

const PROJECT = "default";
const ROUTING = "/api/v1/routes";
const ALERTS = "/api/v1/alerts";
const INCIDENTS = "/api/v1/incidents";

/** Sample accounts: sample data pages no real person. */
const TEAM = COLLEAGUES.flatMap(({ username, status }) => (status === "active" ? username : [])).filter(
  (username) => username !== FORMER,
);
/** Label of all alerts: they never fall back to a real person. */
export const DEMO = { prism_demo: "true" } as const;

const POLICIES = [
  {
    name: "Database on call",
    description: "The on-call team, then everyone, until a person acknowledges",
    steps: [
      { type: "notify", roles: [ON_CALL.name] },
      { type: "wait", ms: 300_000 },
      { type: "notify", users: TEAM },
      { type: "wait", ms: 900_000 },
    ],
    repeat: 2,
  },
  {
    name: "Tickets",
    description: "For what can wait until the morning",
    steps: [
      { type: "onlyIn", interval: "office hours", otherwise: "hold" },
      { type: "notify", users: TEAM, urgency: "low" },
    ],
    autoResolveMs: 604_800_000,
  },
  {
    name: "Demo team",
    description: "For all other alerts of the sample data",
    steps: [{ type: "notify", users: TEAM }],
  },
] as const;

const OFFICE = {
  name: "office hours",
  intervals: [
    { times: [{ start_time: "09:00", end_time: "17:00" }], weekdays: ["monday:friday"], location: "Europe/Berlin" },
  ],
};
const MATCHER = 'prism_demo="true"';
const INHIBITION = {
  name: "A host that is down",
  sourceMatchers: ['alertname="HostDown"', MATCHER],
  targetMatchers: ['severity="warning"'],
  equal: ["instance"],
};
/** The first of the project's routes: its own are for other alerts. */
const ROUTE = {
  matchers: [MATCHER],
  ...{ policy: "Demo team", groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 60_000 },
  routes: [
    { matchers: ['team="db"'], policy: "Database on call", groupWaitMs: 30_000, groupBy: ["alertname", "cluster"] },
    { matchers: ['severity="info"'], policy: "Tickets", repeatMs: 86_400_000 },
  ],
};

const CONTACT_RULES = {
  high: [
    { afterMs: 0, channels: ["in_app", "push"] },
    { afterMs: 300_000, channels: ["email"] },
  ],
  low: [{ afterMs: 0, channels: ["in_app"] }],
};

/** None of them starts or ends by itself within the next hour. */
function silences(now: number) {
  return [
    {
      matchers: ['team="db"', 'instance=~"db-[12].*"'],
      durationMs: 3 * HOUR_MS,
      comment: "The disks of db-1 and db-2 are exchanged",
    },
    {
      matchers: ['team="shop"', 'severity!="critical"'],
      startsAt: toRfc3339(now + 20 * HOUR_MS),
      durationMs: 2 * HOUR_MS,
      comment: "New version of the shop",
    },
    {
      matchers: ['alertname=~"Backup.*|DiskSlow"'],
      startsAt: toRfc3339(now + 24 * HOUR_MS),
      recurrence: { cron: "0 22 * * 6", durationMs: 4 * HOUR_MS, timezone: "Europe/Berlin" },
      comment: "Weekly full backup",
    },
    { matchers: ['cluster="old"'], durationMs: HOUR_MS, comment: "The old cluster was switched off", isEnded: true },
  ];
}

interface DemoIncident {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** One alert each; none: a rule opens it. */
  readonly instances: readonly string[];
  readonly summary?: string;
  readonly startedMs?: number;
  readonly act?: { readonly action: "acknowledge" | "snooze"; readonly durationMs?: number; readonly note: string };
  /** Who acts; default the administrator. */
  readonly by?: string;
  readonly notes?: readonly string[];
  readonly isOver?: boolean;
}

/** In each state. Those that stay open have no further step within the next five minutes. */
const DEMO_INCIDENTS: readonly DemoIncident[] = [
  {
    name: "ReplicationLag",
    labels: { severity: "critical", team: "db", cluster: "main" },
    instances: ["db-3:5432", "db-4:5432"],
    summary: "The replicas are over 5 minutes late",
    startedMs: 4 * MINUTE_MS,
  },
  {
    // A silence withholds it.
    name: "DiskFull",
    labels: { severity: "critical", team: "db", cluster: "main" },
    instances: ["db-1:9100"],
    summary: "96 % of /var/lib/postgresql are used",
    startedMs: 50 * MINUTE_MS,
  },
  {
    name: "HostDown",
    labels: { severity: "critical", team: "web" },
    instances: ["web-3"],
    summary: "No answer to any of 3 monitors",
    startedMs: 25 * MINUTE_MS,
    act: { action: "acknowledge", note: "The provider replaces the power supply" },
    notes: ["A technician is in the data centre, back at about noon"],
  },
  {
    // That host inhibits the first one.
    name: "HighLatency",
    labels: { severity: "warning", team: "web" },
    instances: ["web-3", "web-4", "web-5"],
    summary: "The 95th percentile is above 2 s",
    startedMs: 20 * MINUTE_MS,
    act: { action: "snooze", durationMs: 8 * HOUR_MS, note: "Until the host is back" },
  },
  {
    // The story of a night, from the alert to its end.
    name: "QueueBacklog",
    labels: { severity: "critical", team: "shop", service: "orders" },
    instances: ["worker-1"],
    summary: "18 000 orders wait, the oldest for 40 minutes",
    by: "sofia.rossi",
    act: { action: "acknowledge", note: "I am on it: worker-1 takes no orders" },
    notes: [
      "Cause: old logs fill the disk of worker-1. They are deleted, and the worker is started again",
      "The queue gets shorter: 3 000 orders wait. In the morning: rotate these logs each day",
    ],
    isOver: true,
  },
  {
    name: "CheckoutFails",
    labels: {},
    instances: [],
    act: { action: "acknowledge", note: "The payment provider knows" },
  },
];

/** Fires the alerts, waits for the first notification, and acts like a person on call. */
async function seedIncidents(fill: SeedFill): Promise<SeededKind> {
  const idOf = async (name: string): Promise<string | undefined> => {
    const found = fill.operator.list<{ id: string; title: string }>(INCIDENTS, { projectId: PROJECT, q: name });
    for await (const { id, title } of found) if (title.includes(name)) return id;
    return undefined;
  };
  return fill.each("incidents", DEMO_INCIDENTS, async (incident) => {
    const { name, instances, act, by = samples.ADMIN.username, notes = [], isOver } = incident;
    if ((await idOf(name)) !== undefined) return false;
    const admin = await fill.as(samples.ADMIN.username);
    const alerts = alertsOf(incident, Date.now());
    if (instances.length > 0) await admin.post(ALERTS, { projectId: PROJECT, alerts });
    else await fill.events(FAILED_CHECKOUTS);
    let id: string | undefined;
    await until(async () => {
      id = await idOf(name);
      if (id === undefined) return false;
      const { timeline } = await admin.get<{ timeline: readonly { kind: string }[] }>(`${INCIDENTS}/${id}`);
      return timeline.some(({ kind }) => kind === "notified" || kind === "withheld" || kind === "no-targets");
    });
    if (id === undefined) return false;
    const person = await fill.as(by);
    if (act) {
      const { action, ...body } = act;
      await person.post(`${INCIDENTS}/${id}/${action}`, body);
    }
    for (const text of notes) await person.post(`${INCIDENTS}/${id}/notes`, { text });
    if (isOver)
      await admin.post(ALERTS, {
        projectId: PROJECT,
        alerts: alerts.map((alert) => ({ ...alert, status: "resolved" })),
      });
    return true;
  });
}

function alertsOf({ name, labels, instances, summary = "", startedMs = 0 }: DemoIncident, now: number) {
  return instances.map((instance) => ({
    labels: { alertname: name, instance, ...DEMO, ...labels },
    annotations: { summary, runbook_url: `https://wiki.prism.example/runbooks/${name}` },
    startsAt: toRfc3339(now - startedMs),
  }));
}

interface Routing {
  readonly route: { readonly routes?: readonly { readonly matchers?: readonly string[] }[] };
  readonly inhibitRules: readonly object[];
  readonly timeIntervals: readonly { readonly name: string }[];
}

/** The project's routes with those of the sample data before them. */
function withDemo({ route, inhibitRules, timeIntervals }: Routing) {
  const hasOffice = timeIntervals.some(({ name }) => name === OFFICE.name);
  return {
    route: { ...route, routes: [ROUTE, ...(route.routes ?? [])] },
    inhibitRules: [...inhibitRules, INHIBITION],
    timeIntervals: hasOffice ? timeIntervals : [...timeIntervals, OFFICE],
  };
}

/** Silences, policies with routes, contact rules and incidents, in the project `default`. */
export async function seedRespond(fill: SeedFill): Promise<readonly SeededKind[]> {
  const admin = () => fill.as(samples.ADMIN.username);
  const stored = await fill.operator.get<Routing>(ROUTING);
  const isFirst = !stored.route.routes?.some(({ matchers }) => matchers?.includes(MATCHER));
  const { data: known } = await fill.operator.get<{ data: readonly { name: string }[] }>("/api/v1/policies");
  const missing = POLICIES.filter(({ name }) => !known.some((each) => each.name === name));
  // Steps of policies name intervals of the routes, which name the policies.
  const routing = isFirst ? { routing: withDemo(stored) } : {};
  if (isFirst || missing.length > 0)
    await (await admin()).post(`${ROUTING}/import`, { policies: missing, ...routing, replace: true });
  const hasContactRules = isFirst && !fill.isPerson(samples.ADMIN.username);
  if (hasContactRules) await (await admin()).change("PUT", "/api/v1/users/me/contact-rules", CONTACT_RULES);
  const policies = counted(
    "policies",
    POLICIES.map((policy) => missing.includes(policy)),
  );
  const made = await fill.each("silences", silences(Date.now()), async ({ isEnded, ...silence }) => {
    if (await fill.has("/api/v1/silences", {}, ({ comment }) => comment === silence.comment)) return false;
    const { id } = await (await admin()).post<{ id: string }>("/api/v1/silences", silence);
    if (isEnded) await (await admin()).delete(`/api/v1/silences/${id}`);
    return true;
  });
  return [
    policies,
    counted("routes", [isFirst]),
    counted("contact rules", [hasContactRules]),
    made,
    await seedIncidents(fill),
  ];
}
