import { toRfc3339 } from "../../../core/clock.ts";
import { ON_CALL } from "./demo-samples.ts";
import { counted, type SeededKind, type SeedFill } from "./fill.ts";
import * as samples from "./samples.ts";

const HOUR_MS = 3_600_000;
const PROJECT = "default";
const ROUTING = "/api/v1/routes";

const POLICIES = [
  {
    name: "Database on call",
    description: "The on-call team, then everyone, until a person acknowledges",
    steps: [
      { type: "notify", roles: [ON_CALL.name] },
      { type: "wait", ms: 300_000 },
      { type: "notify", roles: ["Operator"], members: true },
      { type: "wait", ms: 900_000 },
    ],
    repeat: 2,
  },
  {
    name: "Tickets",
    description: "For what can wait until the morning",
    steps: [
      { type: "onlyIn", interval: "office hours", otherwise: "hold" },
      { type: "notify", members: true, urgency: "low" },
    ],
    autoResolveMs: 604_800_000,
  },
] as const;

const OFFICE = {
  name: "office hours",
  intervals: [
    { times: [{ start_time: "09:00", end_time: "17:00" }], weekdays: ["monday:friday"], location: "Europe/Berlin" },
  ],
};
const ROOT = { policy: PROJECT, groupBy: ["alertname"], groupWaitMs: 0, groupIntervalMs: 60_000 };
const INHIBITION = {
  name: "A host that is down",
  sourceMatchers: ['alertname="HostDown"'],
  targetMatchers: ['severity="warning"'],
  equal: ["instance"],
};
const ROUTES = [
  { matchers: ['team="db"'], policy: "Database on call", groupWaitMs: 30_000, groupBy: ["alertname", "cluster"] },
  { matchers: ['severity="info"'], policy: "Tickets", repeatMs: 86_400_000 },
];

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

/** Silences, policies with routes, and contact rules, in the project `default`. */
export async function seedRespond(fill: SeedFill): Promise<readonly SeededKind[]> {
  const admin = () => fill.as(samples.ADMIN.username);
  const { version } = await fill.operator.get<{ version: number }>(ROUTING);
  const isFirst = version === 0;
  // Steps of policies name its intervals, its routes name policies.
  if (isFirst) await (await admin()).change("PUT", ROUTING, { route: ROOT, timeIntervals: [OFFICE] });
  const { data: known } = await fill.operator.get<{ data: readonly { name: string }[] }>("/api/v1/policies");
  const policies = await fill.each("policies", POLICIES, async (policy) => {
    if (known.some(({ name }) => name === policy.name)) return false;
    await (await admin()).post("/api/v1/policies", policy);
    return true;
  });
  if (isFirst) {
    const document = { route: { ...ROOT, routes: ROUTES }, inhibitRules: [INHIBITION], timeIntervals: [OFFICE] };
    await (await admin()).change("PUT", ROUTING, document);
    await (await admin()).change("PUT", "/api/v1/users/me/contact-rules", CONTACT_RULES);
  }
  const made = await fill.each("silences", silences(Date.now()), async ({ isEnded, ...silence }) => {
    if (await fill.has("/api/v1/silences", {}, ({ comment }) => comment === silence.comment)) return false;
    const { id } = await (await admin()).post<{ id: string }>("/api/v1/silences", silence);
    if (isEnded) await (await admin()).delete(`/api/v1/silences/${id}`);
    return true;
  });
  return [policies, counted("routes", [isFirst]), counted("contact rules", [isFirst]), made];
}
