import * as v from "valibot";
import { DAY_MS, type EpochMs, isTimezone, MINUTE_MS, offsetChange, toRfc3339 } from "../../../core/time/clock.ts";
import { FREQUENCIES, WEEKDAYS } from "../../../features/oncall/model/recurrence.ts";
import { Answers, type MissingAnswer, maybe, number, text } from "../answers.ts";
import type { HttpSource } from "../http-source.ts";
import { WEEK_MS } from "../windows.ts";

/* Grafana OnCall by its public API, `/api/v1`. Members that are not read here are left out. */

const id = v.string();
const ids = maybe(v.array(v.string()));
const zone = maybe(v.pipe(v.string(), v.check(isTimezone, "is no time zone")));
/** A time without a zone; of most members it is UTC, of `start` by the clocks of the shift. */
const wall = v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/));
const instant = v.pipe(
  v.string(),
  v.transform((given) => Date.parse(given)),
  v.number(),
);
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const User = v.object({
  ...{ id, username: v.string(), email: text, role: text, timezone: text },
  teams: ids,
  is_phone_number_verified: v.optional(v.boolean(), false),
});
const Team = v.object({ id, name: v.string() });
const Schedule = v.object({
  ...{ id, name: v.string(), team_id: text, time_zone: zone, shifts: ids },
  type: v.string(),
  ical_url_primary: text,
  ical_url_overrides: text,
});
const Shift = v.object({
  ...{ id, name: text, schedule: text, time_zone: zone, start: wall, until: maybe(wall), rotation_start: maybe(wall) },
  type: v.picklist(["single_event", "recurrent_event", "rolling_users", "override"]),
  duration: count,
  level: maybe(count),
  frequency: maybe(v.picklist(FREQUENCIES)),
  interval: maybe(v.pipe(v.number(), v.integer(), v.minValue(1))),
  week_start: maybe(v.picklist(WEEKDAYS)),
  by_day: ids,
  by_month: maybe(v.array(v.number())),
  by_monthday: maybe(v.array(v.number())),
  users: ids,
  rolling_users: maybe(v.array(v.array(v.string()))),
  start_rotation_from_user_index: maybe(count),
});
const FinalShift = v.object({ user_pk: v.string(), user_username: text, shift_start: instant, shift_end: instant });
const Swap = v.object({
  ...{ id, schedule: v.string(), swap_start: instant, swap_end: instant },
  beneficiary: v.string(),
  benefactor: text,
});
const Chain = v.object({ id, name: v.string(), team_id: text });
const ChainStep = v.object({
  ...{ id, escalation_chain_id: text, position: v.optional(v.number(), 0), type: text },
  duration: number,
  important: v.optional(v.nullable(v.boolean()), false),
  persons_to_notify: ids,
  persons_to_notify_next_each_time: ids,
  notify_on_call_from_schedule: text,
  team_to_notify: text,
  action_to_trigger: text,
  notify_if_time_from: text,
  notify_if_time_to: text,
  num_alerts_in_window: number,
  num_minutes_in_window: number,
});
const rooms = { slack: maybe(v.object({ channel_id: text })), telegram: maybe(v.object({ id: text })) };
const Integration = v.object({
  ...{ id, name: text, team_id: text, type: v.string(), link: text, inbound_email: text },
  default_route: maybe(v.object({ escalation_chain_id: text, ...rooms })),
  templates: v.optional(v.nullable(v.record(v.string(), v.unknown())), {}),
  heartbeat: maybe(v.object({ link: text })),
  ...{ maintenance_mode: text, maintenance_started_at: text, maintenance_end_at: text },
});
const Route = v.object({
  ...{ id, integration_id: v.string(), escalation_chain_id: text, position: v.optional(v.number(), 0) },
  routing_type: text,
  routing_regex: text,
  is_the_last_route: v.optional(v.boolean(), false),
  ...rooms,
});
const Rule = v.object({
  ...{ id, user_id: v.string(), position: v.optional(v.number(), 0), type: v.string() },
  duration: number,
  important: v.optional(v.boolean(), false),
});
const Webhook = v.object({
  ...{ id, name: v.string(), team: text, url: text, http_method: text, trigger_type: text, data: text, headers: text },
  ...{ username: text, password: text, authorization_header: text },
  is_webhook_enabled: v.optional(v.nullable(v.boolean()), true),
});

export type OldUser = v.InferOutput<typeof User>;
export type OnCallTeam = v.InferOutput<typeof Team>;
export type OldShift = v.InferOutput<typeof Shift>;
export type OldFinalShift = v.InferOutput<typeof FinalShift>;
export type OldSwap = v.InferOutput<typeof Swap>;
export type OldRule = v.InferOutput<typeof Rule>;
export type OldStep = v.InferOutput<typeof ChainStep>;
export type OldChain = v.InferOutput<typeof Chain>;
export type OnCallIntegration = v.InferOutput<typeof Integration>;
export type OnCallRoute = v.InferOutput<typeof Route>;
export type OldWebhook = v.InferOutput<typeof Webhook>;
export type OldSchedule = v.InferOutput<typeof Schedule> & { readonly final: readonly OldFinalShift[] };

/** All of an OnCall that an import takes. */
export interface GrafanaOnCall {
  readonly now: EpochMs;
  /** Schedules are rendered from `now`, at a whole minute, up to here. */
  readonly to: EpochMs;
  readonly users: readonly OldUser[];
  readonly teams: readonly OnCallTeam[];
  readonly schedules: readonly OldSchedule[];
  readonly shifts: readonly OldShift[];
  readonly swaps: readonly OldSwap[];
  readonly chains: readonly OldChain[];
  readonly steps: readonly OldStep[];
  readonly integrations: readonly OnCallIntegration[];
  readonly routes: readonly OnCallRoute[];
  readonly rules: readonly OldRule[];
  readonly webhooks: readonly OldWebhook[];
  readonly missing: readonly MissingAnswer[];
}

/** Members whose values are tokens, or URLs with them. */
export const SECRET_MEMBERS =
  /^(link|inbound_email|ical_url_primary|ical_url_overrides|url|headers|data|password|authorization_header)$/;

/** A request for a rendering may be for 365 days. */
const MAX_RENDERED_MS = 364 * DAY_MS;

/** @throws CommandError 4, 5, 7 */
export async function readOnCall(source: HttpSource, untilMs: number): Promise<GrafanaOnCall> {
  const answers = new Answers(source);
  const list = <T extends v.GenericSchema>(schema: T, path: string): Promise<v.InferOutput<T>[]> =>
    answers.all(path, path.replace(/[/?].*$/, ""), v.object({ next: text, results: v.array(schema) }), (page) => ({
      ...{ entries: page.results, next: page.next },
    }));
  const now = source.now - (source.now % MINUTE_MS);
  const schedules = await list(Schedule, "schedules/");
  const shifts = await list(Shift, "on_call_shifts/");
  const zones = [...schedules, ...shifts].flatMap(({ time_zone }) => time_zone ?? []);
  const to = endOf(now, untilMs, zones);
  const rendered: OldSchedule[] = [];
  for (const schedule of schedules) {
    const span = `start_date=${minuteOf(now)}&end_date=${minuteOf(to)}`;
    const final = await list(FinalShift, `schedules/${encodeURIComponent(schedule.id)}/final_shifts?${span}`);
    rendered.push({ ...schedule, final });
  }
  return {
    ...{ now, to, schedules: rendered, shifts },
    users: await list(User, "users/"),
    teams: await list(Team, "teams/"),
    // Without it only those that have not begun are listed.
    swaps: await list(Swap, `shift_swaps/?starting_after=${toRfc3339(now - 90 * DAY_MS)}`),
    chains: await list(Chain, "escalation_chains/"),
    steps: await list(ChainStep, "escalation_policies/"),
    integrations: await list(Integration, "integrations/"),
    routes: await list(Route, "routes/"),
    rules: await list(Rule, "personal_notification_rules/"),
    webhooks: await list(Webhook, "webhooks/"),
    missing: [...new Map(answers.missing.map((each) => [each.what, each])).values()],
  };
}

/** With a week after the next change of the clocks: before it schedules of different zones can be the same. */
function endOf(now: EpochMs, untilMs: number, zones: readonly string[]): EpochMs {
  const changes = [...new Set(zones)].flatMap((zone) => nextChange(zone, now) ?? []);
  const to = Math.max(now + untilMs, ...changes.map((at) => at + WEEK_MS));
  return Math.min(to, now + MAX_RENDERED_MS);
}

/** The next change of the clocks within a year. */
export function nextChange(zone: string, now: EpochMs): EpochMs | undefined {
  for (let day = now; day < now + MAX_RENDERED_MS; day += WEEK_MS) {
    const at = offsetChange(zone, day, day + WEEK_MS);
    if (at !== undefined) return at;
  }
  return undefined;
}

function minuteOf(at: EpochMs): string {
  return new Date(at).toISOString().slice(0, 16);
}
