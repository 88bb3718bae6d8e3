import { DAY, HOUR, type OldLayer, type OldSpan, peopleAt, rendered } from "./old-schedules.ts";

/* An account of PagerDuty as its API answers, by path; written anew from its published description. */

export const KEYS = ["0123456789abcdef0123456789abcdef", "R0123456789ABCDEF0123456789ABCDE"];
export const FEED = "https://example.pagerduty.com/private/5ecre7feed0123456789/feed/PS2";
const iso = (at: number) => new Date(at).toISOString();
const zone = "Europe/Berlin";
const ids: Readonly<Record<string, string>> = { ada: "PU1", ben: "PU2", cy: "PU3" };
const user = (name: string) => ({ id: ids[name], type: "user_reference", summary: name });

const weeks: OldLayer = {
  ...{ hand: Date.UTC(2026, 0, 5, 9), unitHours: 168, length: 1, people: ["ada", "ben"] },
  ...{ windows: [], fromDays: 0, untilDays: null },
};
const nights: OldLayer = { ...weeks, people: ["cy"], windows: [{ day: null, startHour: 22, hours: 8 }] };

export function pagerDutyAccount(now: number): Readonly<Record<string, unknown>> {
  const start = Math.floor(now / HOUR) * HOUR;
  const [begin, end] = [start + 30 * DAY, start + 31 * DAY];
  const layers = [nights, weeks];
  const onCall = (of: readonly OldLayer[], isOverridden = false) =>
    rendered(
      (at) => (isOverridden && at >= begin && at < end ? ["ben"] : peopleAt({ zone, layers: of }, at, true)),
      start - DAY,
      start + 125 * DAY,
    );
  const entries = (spans: readonly OldSpan[]) =>
    spans.flatMap(({ start: from, end: to, people }) =>
      people.map((name) => ({ start: iso(from), end: iso(to), user: user(name) })),
    );
  const team = { id: "PT1", type: "team_reference", summary: "Data" };
  const layer = (name: string, people: readonly string[], restrictions: readonly object[] = []) => ({
    ...{ id: name, name, start: "2026-01-05T08:00:00Z", end: null, rotation_virtual_start: "2026-01-05T08:00:00Z" },
    rotation_turn_length_seconds: 604_800,
    ...{ users: people.map((each) => ({ user: user(each) })), restrictions },
  });
  const night = { type: "daily_restriction", start_time_of_day: "22:00:00", duration_seconds: 28_800 };
  const schedule = (id: string, name: string, own: readonly object[], spans: readonly OldSpan[]) => ({
    ...{ id, name, time_zone: zone, teams: [team], schedule_layers: own },
    final_schedule: { rendered_schedule_entries: entries(spans) },
    ...(id === "PS2" && { http_cal_url: FEED }),
  });
  const first = schedule(
    "PS1",
    "Primary",
    [layer("Nights", ["cy"], [night]), layer("Weeks", ["ada", "ben"])],
    onCall(layers, true),
  );
  const second = schedule("PS2", "Second", [layer("Weeks", ["cy"])], onCall([weeks]));
  const people = ["ada", "ben", "cy"].map((name, at) => ({
    ...{ id: ids[name], name: `${name} "[31m" : {x}`, email: `${name}@example.com`, time_zone: zone },
    contact_methods: [
      { id: `E${at}`, type: "email_contact_method", address: `${name}@example.com` },
      { id: `S${at}`, type: "sms_contact_method", address: `151234567${at}`, country_code: 49 },
    ],
    notification_rules: [
      {
        ...{ start_delay_in_minutes: 0, urgency: "high", type: "assignment_notification_rule" },
        contact_method: { id: `S${at}`, type: "sms_contact_method_reference" },
      },
      {
        ...{ start_delay_in_minutes: 5, urgency: "low", type: "assignment_notification_rule" },
        contact_method: { id: `E${at}`, type: "email_contact_method_reference" },
      },
    ],
  }));
  const service = (id: string, name: string, more: object) => ({
    ...{ id, name, status: "active", teams: [team], escalation_policy: { id: "PE1", summary: "Data" } },
    ...{ auto_resolve_timeout: 14_400, acknowledgement_timeout: 1800, integrations: [] },
    ...{ incident_urgency_rule: { type: "constant", urgency: "high" }, ...more },
  });
  const rule = (label: string, expressions: readonly string[], route: string) => ({
    ...{ label, disabled: false, conditions: expressions.map((expression) => ({ expression })) },
    actions: { route_to: route },
  });
  return {
    "/users": { users: people, more: false },
    "/teams": {
      teams: [
        { id: "PT1", name: "Data" },
        { id: "PT2", name: "Web" },
      ],
      more: false,
    },
    "/teams/PT2/members": {
      members: [
        { user: user("cy"), role: "manager" },
        { user: { id: "PGONE", summary: "Zoe" }, role: "responder" },
      ],
      more: false,
    },
    "/teams/PT1/members": {
      members: [
        { user: user("ada"), role: "manager" },
        { user: user("ben"), role: "responder" },
      ],
      more: false,
    },
    "/schedules?limit=100&offset=0": { schedules: [first], more: true },
    "/schedules?limit=100&offset=1": { schedules: [second], more: false },
    "/schedules/PS1": { schedule: first },
    "/schedules/PS2": { schedule: second },
    "/schedules/PS1/overrides": {
      overrides: [
        { id: "O1", start: iso(begin), end: iso(end), user: user("ben") },
        { id: "O2", start: iso(begin), end: iso(end), user: { id: "PGONE", summary: "Zoe" } },
      ],
    },
    "/schedules/PS2/overrides": { overrides: [] },
    "/escalation_policies": {
      escalation_policies: [
        {
          ...{ id: "PE1", name: "Data", description: "Primary, then all", num_loops: 2, teams: [team] },
          escalation_rules: [
            {
              ...{ escalation_delay_in_minutes: 10, targets: [{ id: "PS1", type: "schedule_reference" }] },
              escalation_rule_assignment_strategy: { type: "assign_to_everyone" },
            },
            { escalation_delay_in_minutes: 30, targets: [user("ben"), user("cy")] },
          ],
        },
        {
          ...{ id: "PE2", name: "Unused", num_loops: 0, teams: [team] },
          escalation_rules: [
            {
              ...{
                escalation_delay_in_minutes: 10,
                targets: [user("ada"), { id: "PGONE", type: "user_reference", summary: "Zoe" }],
              },
              escalation_rule_assignment_strategy: { type: "round_robin" },
            },
          ],
        },
      ],
      more: false,
    },
    "/services": {
      services: [
        service("PV1", "Shop", {
          integrations: [
            { id: "PI1", type: "events_api_v2_inbound_integration", name: "Events", integration_key: KEYS[0] },
            {
              id: "PI2",
              type: "generic_email_inbound_integration",
              name: "Mail",
              integration_email: "shop@example.pagerduty.com",
            },
            { id: "PI3", type: "nagios_inbound_integration", name: "Nagios", integration_key: "x" },
          ],
          incident_urgency_rule: {
            type: "use_support_hours",
            during_support_hours: { type: "constant", urgency: "high" },
            outside_support_hours: { type: "constant", urgency: "low" },
          },
          support_hours: {
            ...{ type: "fixed_time_per_day", time_zone: zone, start_time: "09:00:00", end_time: "17:00:00" },
            days_of_week: [1, 2, 3, 4, 5],
          },
        }),
        service("PV2", "Lake", {
          incident_urgency_rule: { type: "constant", urgency: "severity_based" },
          alert_grouping_parameters: { type: "intelligent" },
        }),
        service("PV3", "Old", { status: "disabled" }),
        service("PV4", "Site", {
          teams: [{ id: "PT2", type: "team_reference", summary: "Web" }, team],
          incident_urgency_rule: {
            type: "use_support_hours",
            during_support_hours: { type: "constant", urgency: "high" },
            outside_support_hours: { type: "constant", urgency: "low" },
          },
          support_hours: { type: "other", time_zone: zone, start_time: "09:00:00", days_of_week: [1, 2] },
        }),
      ],
      more: false,
    },
    "/event_orchestrations": { orchestrations: [{ id: "EO1", name: "All events", team: { id: "PT1" } }], more: false },
    "/event_orchestrations/EO1/router": {
      orchestration_path: {
        sets: [
          {
            id: "start",
            rules: [
              rule("shop", ["event.source matches part 'shop.' and event.severity matches 'critical'"], "PV1"),
              rule("lake", ["event.component matches 'lake'", "event.class matches regex '^(io|disk)$'"], "PV2"),
              rule("custom", ["event.custom_details.env matches 'prod'"], "PV2"),
            ],
          },
        ],
        catch_all: { actions: { route_to: "unrouted" } },
      },
    },
    "/event_orchestrations/EO1/global": {
      orchestration_path: { sets: [{ id: "start", rules: [] }], catch_all: { actions: { suppress: true } } },
    },
    "/event_orchestrations/services/PV1": {
      orchestration_path: { sets: [{ id: "start", rules: [{ actions: { severity: "info" } }] }], catch_all: {} },
    },
    "/event_orchestrations/EO1/integrations": {
      integrations: [{ id: "K1", label: "Main", parameters: { routing_key: KEYS[1], type: "global" } }],
    },
    "/maintenance_windows": {
      maintenance_windows: [
        {
          ...{ id: "PM1", description: "Move", start_time: "2024-05-01T10:00:00Z", end_time: iso(end) },
          services: [{ id: "PV1", type: "service_reference", summary: "Shop" }],
        },
      ],
      more: false,
    },
  };
}
