import { DAY, HOUR, type OldLayer, peopleAt, rendered } from "./old-schedules.ts";

/* An account of Opsgenie as its API answers, by path; written anew from its published description. */

const iso = (at: number) => new Date(at).toISOString();
const zone = "Europe/Berlin";
const ids: Readonly<Record<string, string>> = { ada: "u1", ben: "u2", cy: "u3" };
const user = (name: string) => ({ type: "user", id: ids[name], username: `${name}@example.com` });

const layer: OldLayer = {
  ...{ hand: Date.UTC(2026, 0, 5, 9), unitHours: 168, length: 1, people: ["ada", "ben"] },
  ...{ windows: [], fromDays: 0, untilDays: null },
};
const nights: OldLayer = { ...layer, people: ["cy"], windows: [{ day: null, startHour: 22, hours: 8 }] };

/** @param url of the server, for the addresses of pages @param from where lists are, as JSM has them */
export function opsgenieAccount(url: string, now: number): Readonly<Record<string, unknown>> {
  const start = Math.floor(now / HOUR) * HOUR;
  const [begin, end] = [start + 30 * DAY, start + 31 * DAY];
  const onCall = (layers: readonly OldLayer[]) =>
    rendered((at) => peopleAt({ zone, layers }, at, false), start - DAY, start + 125 * DAY);
  const overridden = rendered(
    (at) => (at >= begin && at < end ? ["cy"] : peopleAt({ zone, layers: [layer, nights] }, at, false)),
    start - DAY,
    start + 125 * DAY,
  );
  const timeline = (spans: ReturnType<typeof onCall>) => ({
    data: {
      finalTimeline: {
        rotations: [
          {
            name: "All",
            periods: spans.flatMap(({ start: from, end: to, people }) =>
              people.map((name) => ({
                ...{ startDate: iso(from), endDate: iso(to), type: "default" },
                recipient: { ...user(name), name: `${name}@example.com` },
              })),
            ),
          },
        ],
      },
    },
  });
  const rotation = (id: string, people: readonly string[]) => ({
    ...{ id, name: id, startDate: "2026-01-05T08:00:00Z", type: "weekly", length: 1 },
    participants: people.map(user),
  });
  const team = { id: "t1", name: "Data & <b>bases</b>" };
  const contacts = (name: string, phone: string) => ({
    data: [
      { id: `c-${name}`, method: "email", to: `${name}@example.com`, status: { enabled: true } },
      ...(phone ? [{ id: `p-${name}`, method: "voice", to: phone, status: { enabled: true } }] : []),
    ],
  });
  const step = (method: string, minutes: number) => ({
    ...{ contact: { method, to: "x" }, sendAfter: { timeAmount: minutes, timeUnit: "minutes" }, enabled: true },
  });
  const people = ["ada", "ben", "cy"].map((name) => ({
    ...{ id: ids[name], username: `${name}@example.com`, fullName: `${name} "[31m" : {x}` },
    ...{ role: { name: "User" }, timeZone: zone, blocked: name === "cy", verified: true },
  }));
  const routing = [
    {
      ...{
        id: "r1",
        name: "Urgent",
        order: 0,
        isDefault: false,
        notify: { type: "escalation", id: "e1", name: "Night" },
      },
      criteria: {
        type: "match-any-condition",
        conditions: [
          { field: "priority", operation: "equals", expectedValue: "P1", order: 0 },
          { field: "tags", operation: "contains", expectedValue: "page me", order: 1 },
          { field: "description", operation: "contains", expectedValue: "secret word", order: 2 },
        ],
      },
    },
    {
      ...{ id: "r2", name: "Office", order: 1, isDefault: false, notify: { type: "schedule", id: "s1", name: "Duty" } },
      criteria: {
        type: "match-all-conditions",
        conditions: [
          { field: "extra-properties", key: "env", operation: "equals", expectedValue: "test" },
          { field: "message", not: true, operation: "starts-with", expectedValue: "[info] (a|b)" },
        ],
      },
      timezone: zone,
      timeRestriction: {
        type: "weekday-and-time-of-day",
        restrictions: ["monday", "tuesday", "wednesday", "thursday", "friday"].map((day) => ({
          ...{ startDay: day, endDay: day, startHour: 9, startMin: 0, endHour: 17, endMin: 30 },
        })),
      },
    },
    {
      ...{ id: "r3", name: "Tests", order: 2, isDefault: false, notify: { type: "none" } },
      criteria: {
        type: "match-all-conditions",
        conditions: [{ field: "extra-properties", key: "env", operation: "equals", expectedValue: "test" }],
      },
    },
    {
      ...{ id: "r4", name: "Default", isDefault: true, criteria: { type: "match-all" } },
      notify: { type: "escalation", id: "e2", name: "Slow" },
    },
  ];
  const rule = (notifyType: string, minutes: number, recipient: object, condition = "if-not-acked") => ({
    ...{ condition, notifyType, delay: { timeAmount: minutes, timeUnit: "minutes" }, recipient },
  });
  const schedule = { type: "schedule", id: "s1", name: "Duty" };
  return {
    "/v2/users?limit=100": { data: people.slice(0, 2), paging: { next: `${url}/v2/users?limit=100&offset=2` } },
    "/v2/users?limit=100&offset=2": { data: people.slice(2), paging: {} },
    "/v2/users/u1/contacts": contacts("ada", "49-15112345678"),
    "/v2/users/u2/contacts": contacts("ben", ""),
    "/v2/users/u3/contacts": contacts("cy", ""),
    "/v2/users/u1/notification-rules": {
      data: [
        { id: "n1", name: "New", actionType: "create-alert", order: 1, enabled: true },
        { id: "n2", name: "Closed", actionType: "close-alert", order: 2, enabled: true },
      ],
    },
    "/v2/users/u1/notification-rules/n1": {
      data: {
        ...{ id: "n1", name: "New", actionType: "create-alert", enabled: true },
        criteria: {
          type: "match-any-condition",
          conditions: [{ field: "priority", operation: "equals", expectedValue: "P1" }],
        },
        steps: [step("mobile", 0), step("email", 0), step("voice", 5), step("pager", 9)],
        timeRestriction: { type: "time-of-day", restriction: { startHour: 9, startMin: 0, endHour: 17, endMin: 0 } },
        repeat: { loopAfter: 10, enabled: true },
      },
    },
    "/v2/users/u2/notification-rules": { data: [] },
    "/v2/users/u3/notification-rules": { data: [] },
    "/v2/teams": { data: [team, { id: "t2", name: "Web" }] },
    "/v2/teams/t1": {
      data: {
        ...team,
        members: [
          { user: user("ada"), role: "admin" },
          { user: user("ben"), role: "user" },
          { user: { type: "user", id: "u9", username: "zoe@example.com" }, role: "user" },
          { role: "user" },
        ],
      },
    },
    "/v2/teams/t2": { data: { id: "t2", name: "Web", members: [{ user: user("cy"), role: "admin" }] } },
    "/v2/teams/t1/routing-rules": { data: routing },
    "/v2/teams/t2/routing-rules": { data: [{ ...routing[3], notify: { type: "schedule", id: "s2", name: "Web" } }] },
    "/v2/policies/alert?teamId=t1": { data: [{ id: "p1", name: "Rename", type: "alert", enabled: true }] },
    "/v2/policies/notification?teamId=t1": { data: [] },
    "/v2/policies/alert?teamId=t2": { data: [] },
    "/v2/policies/notification?teamId=t2": { data: [] },
    "/v2/policies/alert": { data: [] },
    "/v2/escalations": {
      data: [
        {
          ...{ id: "e1", name: "Night", description: "All night", ownerTeam: team },
          rules: [
            rule("default", 0, schedule),
            rule("next", 10, schedule),
            rule("admins", 20, { type: "team", ...team }),
            rule("previous", 30, schedule),
          ],
          repeat: { waitInterval: 15, count: 2, closeAlertAfterAll: true },
        },
        {
          ...{ id: "e2", name: "Slow", ownerTeam: team, repeat: { waitInterval: 30, count: 20 } },
          rules: [rule("default", 0, user("ben")), rule("all", 5, { type: "team", ...team }, "if-not-closed")],
        },
      ],
    },
    "/v2/schedules?expand=rotation": {
      data: [
        {
          ...{ id: "s1", name: "Duty", timezone: zone, enabled: true, ownerTeam: team },
          rotations: [
            rotation("Weeks", ["ada", "ben"]),
            {
              ...rotation("Nights", ["cy"]),
              timeRestriction: {
                type: "time-of-day",
                restriction: { startHour: 22, startMin: 0, endHour: 6, endMin: 0 },
              },
            },
          ],
        },
        {
          ...{ id: "s2", name: "Web", timezone: zone, enabled: true, ownerTeam: { id: "t2", name: "Web" } },
          rotations: [rotation("Weeks", ["cy", "ada"])],
        },
      ],
    },
    "/v2/schedules/s1/timeline": timeline(overridden),
    "/v2/schedules/s1/overrides": {
      data: [
        { alias: "o1", user: user("cy"), startDate: iso(begin), endDate: iso(end) },
        {
          alias: "o2",
          user: { type: "user", id: "u9", username: "zoe@example.com" },
          startDate: iso(begin),
          endDate: iso(end),
        },
      ],
    },
    // Not what its rotation says: who knows why.
    "/v2/schedules/s2/timeline": timeline(onCall([layer])),
    "/v2/schedules/s2/overrides": { data: [] },
    "/v2/heartbeats": {
      data: {
        heartbeats: [
          {
            ...{ name: "Backup", interval: 2, intervalUnit: "hours", enabled: true, ownerTeam: team },
            ...{ alertMessage: "The backup is late", alertTags: ["backup", "two words"], alertPriority: "P2" },
          },
        ],
      },
    },
    "/v1/maintenance?type=non-expired": {
      data: [
        { id: "m1", status: "planned", description: "Move" },
        { id: "m2", status: "active", description: "Going on" },
      ],
    },
    "/v1/maintenance/m2": {
      data: {
        ...{ id: "m2", status: "active", description: "Going on" },
        time: { type: "schedule", startDate: "2024-05-01T10:00:00Z", endDate: iso(end) },
        rules: [
          { state: "disabled", entity: { id: "i5", type: "integration" } },
          { state: "disabled", entity: { id: "i3", type: "integration" } },
        ],
      },
    },
    "/v1/maintenance/m1": {
      data: {
        ...{ id: "m1", status: "planned", description: "Move" },
        time: { type: "schedule", startDate: iso(begin), endDate: iso(end) },
        rules: [{ state: "disabled", entity: { id: "i1", type: "integration" } }],
      },
    },
    "/v2/integrations": {
      data: [
        { id: "i1", name: "Checks", type: "API", enabled: true, teamId: "t1" },
        { id: "i2", name: "Graphs", type: "Grafana", enabled: true, teamId: "t1" },
        { id: "i3", name: "Chat", type: "Slack", enabled: true, teamId: "t1" },
        { id: "i4", name: "Out", type: "Webhook", enabled: true, teamId: "t1" },
        { id: "i5", name: "Checks", type: "API", enabled: true, teamId: "t1" },
      ],
    },
    "/v2/forwarding-rules": {
      data: [
        {
          ...{ fromUser: { type: "user", id: "u9", username: "zoe@example.com" }, toUser: user("ada") },
          ...{ startDate: iso(begin), endDate: iso(end) },
        },
      ],
    },
    "/v1/services?limit=100": { data: [{ id: "sv1", name: "Shop" }] },
  };
}
