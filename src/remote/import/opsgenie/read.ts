import * as v from "valibot";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import { Answers, flag, type MissingAnswer, many, maybe, number, text } from "../answers.ts";
import type { HttpSource } from "../http-source.ts";
import { shaped } from "../source-rows.ts";

/* Opsgenie's REST API, and that of Jira Service Management operations, which has the same objects on other paths. */

const Ref = v.object({ type: text, id: text, name: text, username: text });
const Restriction = v.object({
  ...{ startDay: text, endDay: text },
  ...{ startHour: number, startMin: number, endHour: number, endMin: number },
});
const TimeRestriction = maybe(
  v.object({ type: text, restriction: maybe(Restriction), restrictions: many(Restriction) }),
);
const Condition = v.object({ field: text, key: text, not: flag, operation: text, expectedValue: text });
const Criteria = maybe(v.object({ type: text, conditions: many(Condition) }));
const Span = maybe(v.object({ timeAmount: number, timeUnit: text }));

const User = v.object({
  ...{ id: v.string(), username: text, fullName: text, timeZone: text, blocked: flag },
});
const Contact = v.object({ method: text, to: text, status: maybe(v.object({ enabled: flag })) });
const Rule = v.object({ id: v.string(), name: text, actionType: text, enabled: flag });
const RuleDetail = v.object({
  ...{ name: text, criteria: Criteria, timeRestriction: TimeRestriction },
  repeat: maybe(v.object({ loopAfter: number, enabled: flag })),
  steps: many(v.object({ contact: maybe(v.object({ method: text, to: text })), sendAfter: Span, enabled: flag })),
});
const Team = v.object({ id: v.string(), name: v.string() });
const Member = v.object({ user: maybe(Ref), accountId: text, id: text, role: maybe(v.unknown()) });
const RoutingRule = v.object({
  ...{ name: text, order: number, isDefault: flag, criteria: Criteria, timezone: text },
  ...{ timeRestriction: TimeRestriction, notify: maybe(Ref) },
});
const Escalation = v.object({
  ...{ id: v.string(), name: v.string(), description: text, ownerTeam: maybe(Ref) },
  rules: many(
    v.object({ condition: text, notifyType: text, delay: Span, recipient: maybe(Ref), responder: maybe(Ref) }),
  ),
  repeat: maybe(v.object({ waitInterval: number, count: number, closeAlertAfterAll: flag })),
});
const Rotation = v.object({
  ...{ id: v.string(), name: text, startDate: v.string(), endDate: text, type: v.string(), length: number },
  ...{ participants: many(Ref), timeRestriction: TimeRestriction },
});
const Schedule = v.object({
  ...{ id: v.string(), name: v.string(), description: text, timezone: text, enabled: flag },
  ...{ ownerTeam: maybe(Ref), teamId: text, rotations: many(Rotation) },
});
const Period = v.object({
  ...{ startDate: v.string(), endDate: v.string(), recipient: maybe(Ref), flattenedRecipients: many(Ref) },
  ...{ responder: maybe(Ref), flattenedResponders: many(Ref) },
});
const Timeline = v.object({
  endDate: text,
  finalTimeline: v.object({ rotations: many(v.object({ name: text, deleted: flag, periods: many(Period) })) }),
});
const Override = v.object({
  ...{ alias: text, user: maybe(Ref), responder: maybe(Ref), startDate: v.string(), endDate: v.string() },
  rotations: many(v.object({ id: text, name: text })),
});
const Integration = v.object({ id: v.string(), name: v.string(), type: text, enabled: flag, teamId: text });
const Heartbeat = v.object({
  ...{ name: v.string(), description: text, interval: number, intervalUnit: text, enabled: flag },
  ...{ ownerTeam: maybe(Ref), alertMessage: text, alertTags: many(v.string()), alertPriority: text },
});
const Maintenance = v.object({
  ...{ id: v.string(), description: text, status: text },
  time: maybe(v.object({ type: text, startDate: text, endDate: text })),
  rules: many(v.object({ state: text, entity: maybe(v.object({ id: text, type: text })) })),
});
const Forwarding = v.object({ fromUser: maybe(Ref), toUser: maybe(Ref), startDate: text, endDate: text });
const Named = v.object({ id: text, name: text, message: text });

export type OpsgenieRef = v.InferOutput<typeof Ref>;
export type OldCondition = v.InferOutput<typeof Condition>;
export type OldCriteria = v.InferOutput<typeof Criteria>;
export type OldSpan = v.InferOutput<typeof Span>;
export type OldTimeRestriction = v.InferOutput<typeof TimeRestriction>;
export type OpsgenieEscalation = v.InferOutput<typeof Escalation>;
export type OldRoutingRule = v.InferOutput<typeof RoutingRule>;
export type OldTimeline = v.InferOutput<typeof Timeline>;
export type OldOverride = v.InferOutput<typeof Override>;
export type OpsgenieSchedule = v.InferOutput<typeof Schedule> & {
  readonly timeline: OldTimeline | null;
  readonly overrides: readonly OldOverride[];
};
export type OpsgenieUser = v.InferOutput<typeof User> & {
  readonly contacts: readonly v.InferOutput<typeof Contact>[];
  readonly rules: readonly (v.InferOutput<typeof Rule> & Partial<v.InferOutput<typeof RuleDetail>>)[];
};
export type OldTeam = v.InferOutput<typeof Team> & {
  readonly members: readonly { readonly user: OpsgenieRef; readonly isAdmin: boolean }[];
  readonly rules: readonly OldRoutingRule[];
  readonly policies: readonly string[];
};

/** What an account has, as plain data. */
export interface OldOpsgenie {
  readonly now: EpochMs;
  readonly users: readonly OpsgenieUser[];
  readonly teams: readonly OldTeam[];
  readonly escalations: readonly OpsgenieEscalation[];
  readonly schedules: readonly OpsgenieSchedule[];
  readonly integrations: readonly v.InferOutput<typeof Integration>[];
  readonly heartbeats: readonly v.InferOutput<typeof Heartbeat>[];
  readonly maintenance: readonly v.InferOutput<typeof Maintenance>[];
  readonly forwarding: readonly v.InferOutput<typeof Forwarding>[];
  readonly services: readonly string[];
  readonly policies: readonly string[];
  /** Kinds of things whose API is not read. */
  readonly unread: readonly string[];
  readonly missing: readonly MissingAnswer[];
}

/** Where each list is, and in which member. */
interface Paths {
  readonly list: string;
  readonly users: string | null;
  readonly prefix: string;
  readonly teams: string;
  readonly services: string | null;
}

const OPSGENIE: Paths = {
  ...{ list: "data", users: "v2/users?limit=100", prefix: "v2", teams: "v2/teams", services: "v1/services?limit=100" },
};
const JSM: Paths = { list: "values", users: null, prefix: "v1", teams: "v1/teams", services: null };

/** Opsgenie, or with `jsm` the operations of Jira Service Management. @throws CommandError 4, 5, 7 */
export async function readOpsgenie(
  source: HttpSource,
  {
    jsm: jira = null,
    untilMs,
    teams: wanted,
  }: {
    /** Address of Jira's API, where JSM's people are. */
    readonly jsm?: string | null;
    readonly untilMs: number;
    /** Names; null: all. */
    readonly teams: readonly string[] | null;
  },
): Promise<OldOpsgenie> {
  const isJsm = jira !== null;
  const answers = new Answers(source);
  const paths = isJsm ? JSM : OPSGENIE;
  const { prefix } = paths;
  const list = <T extends v.GenericSchema>(path: string, what: string, schema: T, member = paths.list) =>
    answers.all(path, what, v.record(v.string(), v.unknown()), (body, here): Page<v.InferOutput<T>> => {
      const found = member.split(".").reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], body);
      return { entries: shaped(v.array(schema), found, what), next: nextOf(body, here) };
    });
  const one = async <T extends v.GenericSchema>(path: string, what: string, schema: T) =>
    isJsm
      ? answers.one(path, what, schema)
      : ((await answers.one(path, what, v.object({ data: schema })))?.data ?? null);

  const users = paths.users === null ? [] : await list(paths.users, "users", User);
  const heads = await list(paths.teams, "teams", TeamHead, isJsm ? "platformTeams" : "data");
  const teams: OldTeam[] = [];
  const [escalations, heartbeats] = [
    isJsm ? [] : await list("v2/escalations", "escalations", Escalation),
    isJsm ? [] : await list("v2/heartbeats", "heartbeats", Heartbeat, "data.heartbeats"),
  ];
  for (const { id, teamId, name, teamName } of heads) {
    const key = id ?? teamId;
    const title = name ?? teamName;
    if (key === null || title === null) continue;
    const at = `${prefix}/teams/${encodeURIComponent(key)}`;
    const isWanted = wanted === null || wanted.includes(title);
    const members = !isWanted
      ? []
      : isJsm
        ? await list(`${at}/members`, `members of ${title}`, Member)
        : ((await one(at, `team ${title}`, v.object({ members: many(Member) })))?.members ?? []);
    const rules = isWanted ? await list(`${at}/routing-rules`, `routing rules of ${title}`, RoutingRule) : [];
    if (isJsm && isWanted) {
      const owner = { ownerTeam: { type: "team", id: key, name: title, username: null } };
      for (const each of await list(`${at}/escalations`, `escalations of ${title}`, Escalation))
        escalations.push({ ...each, ...owner });
      for (const each of await list(`${at}/heartbeats`, `heartbeats of ${title}`, Heartbeat))
        heartbeats.push({ ...each, ...owner });
    }
    const kinds = !isWanted || isJsm ? [] : ["alert", "notification"];
    const policies = [];
    for (const kind of kinds)
      for (const policy of await list(
        `v2/policies/${kind}?teamId=${encodeURIComponent(key)}`,
        `${kind} policies`,
        Named,
      ))
        policies.push(`${kind} policy ${policy.name ?? policy.id}`);
    teams.push({ id: key, name: title, members: members.map(memberOf), rules, policies });
  }
  const schedules: OpsgenieSchedule[] = [];
  for (const each of await list(`${prefix}/schedules?expand=rotation`, "schedules", Schedule)) {
    const at = `${prefix}/schedules/${encodeURIComponent(each.id)}`;
    // The first month begins before now.
    const months = Math.ceil(untilMs / (28 * DAY_MS)) + 1;
    const date = new Date(source.now).toISOString();
    const window = `interval=${months}&intervalUnit=months&date=${encodeURIComponent(date)}`;
    const timeline = await one(`${at}/timeline?${window}`, `timeline of ${each.name}`, Timeline);
    const overrides = await list(`${at}/overrides`, `overrides of ${each.name}`, Override);
    const rotations =
      isJsm && each.rotations.length === 0
        ? await list(`${at}/rotations`, `rotations of ${each.name}`, Rotation)
        : each.rotations;
    schedules.push({ ...each, rotations, timeline, overrides });
  }
  const details: OpsgenieUser[] = [];
  for (const user of isJsm ? await accountsOf(answers, jira, teams, schedules) : users) {
    const at = `v2/users/${encodeURIComponent(user.id)}`;
    const name = user.username ?? user.id;
    const contacts = isJsm ? [] : await list(`${at}/contacts`, `contacts of ${name}`, Contact);
    const rules: OpsgenieUser["rules"][number][] = [];
    for (const rule of isJsm ? [] : await list(`${at}/notification-rules`, `notification rules of ${name}`, Rule)) {
      const path = `${at}/notification-rules/${encodeURIComponent(rule.id)}`;
      const detail =
        rule.actionType === "create-alert" && (await one(path, `notification rule of ${name}`, RuleDetail));
      rules.push({ ...detail, ...rule });
    }
    details.push({ ...user, contacts, rules });
  }
  const maintenance = [];
  for (const each of await list(
    isJsm ? "v1/maintenances" : "v1/maintenance?type=non-expired",
    "maintenance",
    Maintenance,
  ))
    maintenance.push(
      isJsm ? each : { ...each, ...(await one(`v1/maintenance/${each.id}`, "maintenance", Maintenance)) },
    );
  return {
    now: source.now,
    ...{ users: details, teams, escalations, schedules, heartbeats, maintenance },
    integrations: await list(`${prefix}/integrations`, "integrations", Integration),
    forwarding: await list(`${prefix}/forwarding-rules`, "forwarding rules", Forwarding),
    services: paths.services === null ? [] : (await list(paths.services, "services", Named)).map(nameIn),
    policies: isJsm ? [] : (await list("v2/policies/alert", "alert policies", Named)).map(nameIn),
    unread: isJsm ? ["contacts of people", "notification rules", "alert and notification policies"] : [],
    missing: answers.missing,
  };
}

interface Page<T> {
  readonly entries: readonly T[];
  readonly next: string | null;
}

const TeamHead = v.object({ id: text, teamId: text, name: text, teamName: text });
const NextPage = v.object({
  paging: maybe(v.object({ next: text })),
  links: maybe(v.object({ next: text })),
});

function nextOf(body: unknown, here: string): string | null {
  const found = v.parse(v.fallback(NextPage, { paging: null, links: null }), body);
  const next = found.paging?.next ?? found.links?.next ?? null;
  return next === here ? null : next;
}

function nameIn({ name, message, id }: v.InferOutput<typeof Named>): string {
  return name ?? message ?? id ?? "";
}

function memberOf({ user, accountId, id, role }: v.InferOutput<typeof Member>): OldTeam["members"][number] {
  const of = user ?? { type: "user", id: accountId ?? id, name: null, username: null };
  const name = typeof role === "object" && role !== null && "name" in role ? role.name : role;
  return { user: of, isAdmin: name === "admin" };
}

/** JSM's people are accounts of Jira, whose addresses only some tokens show. */
async function accountsOf(
  answers: Answers,
  jira: string,
  teams: readonly OldTeam[],
  schedules: readonly OpsgenieSchedule[],
): Promise<v.InferOutput<typeof User>[]> {
  const refs = [
    ...teams.flatMap(({ members }) => members.map(({ user }) => user)),
    ...schedules.flatMap(({ rotations }) => rotations.flatMap(({ participants }) => participants)),
    ...schedules.flatMap(({ overrides }) => overrides.flatMap(({ user, responder }) => user ?? responder ?? [])),
  ];
  const ids = new Set(refs.flatMap(({ id, type }) => (id !== null && (type === "user" || type === null) ? [id] : [])));
  const found: v.InferOutput<typeof User>[] = [];
  for (const id of [...ids].sort()) {
    const account = await answers.one(`${jira}/user?accountId=${encodeURIComponent(id)}`, `account ${id}`, Account);
    const { emailAddress = null, displayName = null, timeZone = null } = account ?? {};
    found.push({ id, username: emailAddress, fullName: displayName, timeZone, blocked: false });
  }
  return found;
}

const Account = v.object({ emailAddress: text, displayName: text, timeZone: text });
