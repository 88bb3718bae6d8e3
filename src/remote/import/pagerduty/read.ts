import * as v from "valibot";
import type { EpochMs } from "../../../core/time/clock.ts";
import { Answers, flag, type MissingAnswer, many, maybe, number, text } from "../answers.ts";
import type { HttpSource } from "../http-source.ts";

/* PagerDuty's REST API v2. */

const Ref = v.object({ id: v.string(), type: text, summary: text });
const ContactMethod = v.object({ id: v.string(), type: text, address: text, country_code: maybe(v.unknown()) });
const User = v.object({
  ...{ id: v.string(), name: text, email: text, time_zone: text },
  contact_methods: many(ContactMethod),
  notification_rules: many(
    v.object({ start_delay_in_minutes: number, urgency: text, contact_method: maybe(Ref), type: text }),
  ),
});
const Team = v.object({ id: v.string(), name: v.string() });
const Member = v.object({ user: Ref, role: text });
const Layer = v.object({
  ...{ name: text, start: v.string(), end: text, rotation_virtual_start: v.string() },
  ...{ rotation_turn_length_seconds: v.number(), users: many(v.object({ user: maybe(Ref) })) },
  restrictions: many(
    v.object({ type: text, start_time_of_day: v.string(), duration_seconds: v.number(), start_day_of_week: number }),
  ),
});
const Entry = v.object({ start: v.string(), end: v.string(), user: maybe(Ref) });
const Schedule = v.object({
  ...{ id: v.string(), name: v.string(), description: text, time_zone: text, http_cal_url: text },
  ...{ teams: many(Ref), schedule_layers: many(Layer) },
  final_schedule: maybe(v.object({ rendered_schedule_entries: many(Entry) })),
});
const ShiftMemberShape = v.object({ type: text, user_id: text });
const ZonedTime = v.object({ date_time: v.string(), time_zone: v.string() });
const Event = v.object({
  ...{ id: v.string(), name: v.string(), start_time: ZonedTime, end_time: ZonedTime, effective_since: v.string() },
  ...{ effective_until: text, recurrence: v.array(v.string()) },
  assignment_strategy: v.object({ type: text, shifts_per_member: number, members: many(ShiftMemberShape) }),
});
const Head = v.object({ id: v.string(), summary: text });
const Flexible = v.object({
  ...{ id: v.string(), name: v.string(), time_zone: v.string(), teams: many(Ref), http_cal_url: text },
  rotations: many(v.object({ id: v.string(), events: many(Event) })),
  final_schedule: maybe(
    v.object({
      computed_shift_assignments: v.array(
        v.object({ start_time: v.string(), end_time: v.string(), member: ShiftMemberShape }),
      ),
    }),
  ),
});
const Span = { start_time: v.string(), end_time: v.string() };
const CustomShift = v.object({ ...Span, assignments: many(v.object({ member: ShiftMemberShape })) });
const OverrideShift = v.object({
  ...{ ...Span, overridden_member: ShiftMemberShape, overriding_member: ShiftMemberShape },
});
const Escalation = v.object({
  ...{ id: v.string(), name: v.string(), description: text, num_loops: number, teams: many(Ref) },
  escalation_rules: many(
    v.object({
      ...{ escalation_delay_in_minutes: number, targets: many(Ref) },
      escalation_rule_assignment_strategy: maybe(v.union([v.string(), v.object({ type: text })])),
    }),
  ),
});
const Urgency = maybe(v.object({ type: text, urgency: text }));
const Integration = v.object({
  ...{ id: v.string(), type: text, name: text, summary: text, integration_key: text, integration_email: text },
});
const Service = v.object({
  ...{ id: v.string(), name: v.string(), status: text, teams: many(Ref), escalation_policy: maybe(Ref) },
  ...{ auto_resolve_timeout: number, acknowledgement_timeout: number, integrations: many(Integration) },
  incident_urgency_rule: maybe(
    v.object({ type: text, urgency: text, during_support_hours: Urgency, outside_support_hours: Urgency }),
  ),
  support_hours: maybe(v.object({ time_zone: text, start_time: text, end_time: text, days_of_week: many(v.number()) })),
  alert_grouping_parameters: maybe(v.object({ type: text })),
});
const Rule = v.object({
  ...{ label: text, disabled: flag, conditions: many(v.object({ expression: v.string() })) },
  actions: maybe(v.object({ route_to: text })),
});
const Orchestration = v.object({ id: v.string(), name: v.string(), team: maybe(v.object({ id: text })) });
const Router = v.object({
  sets: many(v.object({ id: text, rules: many(Rule) })),
  catch_all: maybe(v.object({ actions: maybe(v.object({ route_to: text })) })),
});
const RouterKey = v.object({ label: text, parameters: maybe(v.object({ routing_key: text })) });
/** What events go through after or before a router. */
const EventRules = v.object({
  sets: many(v.object({ rules: many(v.unknown()) })),
  catch_all: maybe(v.object({ actions: maybe(v.record(v.string(), v.unknown())) })),
});
const Maintenance = v.object({
  ...{ id: v.string(), description: text, summary: text, start_time: v.string(), end_time: v.string() },
  services: many(Ref),
});

export type PagerDutyRef = v.InferOutput<typeof Ref>;
export type PagerDutyUser = v.InferOutput<typeof User>;
export type OldLayer = v.InferOutput<typeof Layer>;
export type PagerDutySchedule = v.InferOutput<typeof Schedule> & {
  /** False: the token may not read it. */
  readonly isShown: boolean;
  readonly overrides: readonly v.InferOutput<typeof Entry>[];
};
export type ShiftMember = v.InferOutput<typeof ShiftMemberShape>;
export type FlexibleEvent = v.InferOutput<typeof Event>;
/** A schedule of the API v3. */
export type FlexibleSchedule = Omit<v.InferOutput<typeof Flexible>, "rotations"> & {
  readonly events: readonly FlexibleEvent[];
  readonly customShifts: readonly v.InferOutput<typeof CustomShift>[];
  readonly overrides: readonly v.InferOutput<typeof OverrideShift>[];
};
export type PagerDutyEscalation = v.InferOutput<typeof Escalation>;
export type OldService = v.InferOutput<typeof Service> & {
  /** Its own orchestration has rules. */
  readonly hasRules: boolean;
};
export type OldOrchestration = v.InferOutput<typeof Orchestration> & {
  readonly router: v.InferOutput<typeof Router>;
  readonly keys: readonly v.InferOutput<typeof RouterKey>[];
  /** It has rules for all events, before the router. */
  readonly hasRules: boolean;
};

/** What an account has, as plain data. */
export interface OldPagerDuty {
  readonly now: EpochMs;
  /** Schedules are shown up to here. */
  readonly shownTo: EpochMs;
  readonly users: readonly PagerDutyUser[];
  readonly teams: readonly (v.InferOutput<typeof Team> & { readonly members: v.InferOutput<typeof Member>[] })[];
  readonly schedules: readonly PagerDutySchedule[];
  readonly flexible: readonly FlexibleSchedule[];
  readonly escalations: readonly PagerDutyEscalation[];
  readonly services: readonly OldService[];
  readonly orchestrations: readonly OldOrchestration[];
  readonly maintenance: readonly v.InferOutput<typeof Maintenance>[];
  readonly missing: readonly MissingAnswer[];
}

const PAGE = 100;

/** @throws CommandError 4, 5, 7 */
export async function readPagerDuty(
  source: HttpSource,
  { untilMs, teams: wanted }: { readonly untilMs: number; readonly teams: readonly string[] | null },
): Promise<OldPagerDuty> {
  const answers = new Answers(source);
  const list = <T extends v.GenericSchema>(
    path: string,
    member: string,
    schema: T,
    { what = member, isOptional = false } = {},
  ) => {
    const page = v.object({ [member]: v.array(schema), more: flag });
    const first = `${path}${path.includes("?") ? "&" : "?"}limit=${PAGE}&offset=`;
    const pageOf = (body: unknown, here: string) => {
      const { more, ...rest } = body as { readonly more: boolean | null } & Record<string, v.InferOutput<T>[]>;
      const entries = rest[member] ?? [];
      const at = Number(/\d+$/.exec(here)?.[0] ?? 0) + entries.length;
      return { entries, next: more === true ? `${first}${at}` : null };
    };
    return answers.all(`${first}0`, what, page, pageOf, { isOptional });
  };
  const users = await list("users?include[]=contact_methods&include[]=notification_rules", "users", User);
  const teams: OldPagerDuty["teams"][number][] = [];
  for (const team of await list("teams", "teams", Team)) {
    const isWanted = wanted === null || wanted.includes(team.name);
    const path = `teams/${encodeURIComponent(team.id)}/members`;
    teams.push({
      ...team,
      members: isWanted ? await list(path, "members", Member, { what: `members of ${team.name}` }) : [],
    });
  }
  const shownTo = source.now + untilMs;
  const span = `since=${iso(source.now)}&until=${iso(shownTo)}`;
  const flexible: FlexibleSchedule[] = [];
  const ofV3 = { what: "schedules of the API v3", isOptional: true };
  for (const { id, summary } of await list("v3/schedules", "schedules", Head, ofV3)) {
    const path = `v3/schedules/${encodeURIComponent(id)}`;
    const what = `schedule ${summary ?? id}`;
    const shown = await answers.one(
      ...([`${path}?${span}&include[]=final_schedule`, what, v.object({ schedule: Flexible })] as const),
    );
    if (!shown) continue;
    const { rotations, ...rest } = shown.schedule;
    const events: FlexibleEvent[] = [];
    for (const rotation of rotations) {
      const at = `${path}/rotations/${encodeURIComponent(rotation.id)}/events`;
      events.push(...(rotation.events.length > 0 ? rotation.events : await list(at, "events", Event, { what })));
    }
    const customShifts = await list(`${path}/custom_shifts?${span}`, "custom_shifts", CustomShift, { what });
    const overrides = await list(`${path}/overrides?${span}`, "overrides", OverrideShift, { what });
    flexible.push({ ...rest, events, customShifts, overrides });
  }
  const schedules: PagerDutySchedule[] = [];
  for (const head of await list("schedules", "schedules", Schedule)) {
    if (flexible.some(({ id }) => id === head.id)) continue;
    const path = `schedules/${encodeURIComponent(head.id)}`;
    const shown = await answers.one(`${path}?${span}`, `schedule ${head.name}`, v.object({ schedule: Schedule }));
    const overrides = await answers.one(
      ...([`${path}/overrides?${span}`, `overrides of ${head.name}`, v.object({ overrides: many(Entry) })] as const),
    );
    schedules.push({
      ...(shown?.schedule ?? head),
      http_cal_url: shown?.schedule.http_cal_url ?? head.http_cal_url,
      ...{ isShown: shown !== null, overrides: overrides?.overrides ?? [] },
    });
  }
  const hasRules = async (path: string, what: string) => {
    const schema = v.object({ orchestration_path: EventRules });
    const answer = await answers.one(`event_orchestrations/${path}`, what, schema, { isOptional: true });
    const { sets = [], catch_all: rest = null } = answer?.orchestration_path ?? {};
    return sets.some(({ rules }) => rules.length > 0) || Object.keys(rest?.actions ?? {}).length > 0;
  };
  const services: OldService[] = [];
  for (const each of await list("services?include[]=integrations", "services", Service)) {
    const path = `services/${encodeURIComponent(each.id)}`;
    services.push({ ...each, hasRules: await hasRules(path, `orchestration of service ${each.name}`) });
  }
  const orchestrations: OldOrchestration[] = [];
  for (const each of await list("event_orchestrations", "orchestrations", Orchestration, {
    what: "event orchestrations",
  })) {
    const path = `event_orchestrations/${encodeURIComponent(each.id)}`;
    const router = await answers.one(
      ...([`${path}/router`, `router of ${each.name}`, v.object({ orchestration_path: Router })] as const),
    );
    const keys = await answers.one(
      ...([`${path}/integrations`, `keys of ${each.name}`, v.object({ integrations: many(RouterKey) })] as const),
    );
    const isGlobal = await hasRules(`${encodeURIComponent(each.id)}/global`, `global rules of ${each.name}`);
    const own = { keys: keys?.integrations ?? [], hasRules: isGlobal };
    if (router) orchestrations.push({ ...each, ...own, router: router.orchestration_path });
  }
  return {
    ...{ now: source.now, shownTo, users, teams, schedules, flexible, services, orchestrations },
    escalations: await list("escalation_policies", "escalation_policies", Escalation, { what: "escalation policies" }),
    maintenance: await list("maintenance_windows?filter=open", "maintenance_windows", Maintenance, {
      what: "maintenance windows",
    }),
    missing: answers.missing,
  };
}

function iso(at: EpochMs): string {
  return encodeURIComponent(new Date(at).toISOString());
}
