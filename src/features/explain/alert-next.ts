import type { PermissionHolder } from "../../core/caller.ts";
import { type EpochMs, spanText, toRfc3339 } from "../../core/time/clock.ts";
import type { SteadyClock } from "../../core/time/due-times.ts";
import type { Uses } from "../../module/feature.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { userNames } from "../access/index.ts";
import {
  type AlertView,
  candidatesOf,
  type Forecast,
  type IncidentRow,
  type Incidents,
  type PolicyStep,
  type Withholding,
  waysTo,
} from "../alerts/index.ts";
import { onCall } from "../oncall/index.ts";
import * as queries from "./alert-queries.ts";
import type { Line, NextLine, PersonView } from "./alert-schema.ts";
import { isMirrored, type LogRow, listOf, type Part, type Ref, tell } from "./alert-sentences.ts";
import { unreachableOf } from "./user-reasons.ts";

/* Context of sentences about alerts: the services they read, names, the steps to come, and the reader. */

const SHOWN_PEOPLE = 50;
const NAMED_PEOPLE = 1000;

/** The services of alerts. */
export interface AlertingParts extends Uses<"alerts" | "policies" | "withholding" | "reachable" | "waysOf"> {
  readonly clock: SteadyClock;
  readonly incidents: Pick<Incidents, "hasWays">;
}

export interface AlertExplainContext extends Uses<"projects" | "users"> {
  readonly db: { readonly scan: ReadDb };
  readonly alerting: AlertingParts;
}

/** Services that find the people of a step. */
function peopleParts({ alerting: { clock }, users, projects }: AlertExplainContext) {
  // Shifts follow the wall clock.
  const onCallAt = (db: ReadDb | Trx, id: string, at: EpochMs) => onCall(users, db, id, clock.toWall(at));
  return { users, projects, onCall: onCallAt };
}

/** Services that the state machine reads for a forecast. @param firing alerts that are taken as firing */
export function forecastParts(context: AlertExplainContext, firing: readonly AlertView[] = []) {
  const { clock, alerts, policies, withholding, incidents, reachable } = context.alerting;
  const supposed = { silencesAt: clock.toWall(clock.now()), firing };
  const withheldBy: Withholding["withheldBy"] = (alert, route, at) =>
    withholding.withheldBy(alert, route, at, supposed);
  const services = { reachable, clock, alerts, policies, withheldBy, pages: incidents };
  return { ...peopleParts(context), ...services, db: context.db.scan };
}

/** The next actions of an incident as sentences, with the people on call at the time of each. @param now its begin */
export async function nextLines(
  context: AlertExplainContext,
  principal: PermissionHolder,
  projectId: string,
  actions: readonly Forecast[],
  now: EpochMs,
): Promise<NextLine[]> {
  const { db } = context;
  const lines: NextLine[] = [];
  for (const forecast of actions) {
    const { at, action } = forecast;
    const time = { at: toRfc3339(at), afterMs: at - now };
    if (action.kind === "page") {
      const { users: found, ...more } = await candidatesOf(peopleParts(context), db.scan, projectId, action.notify, at);
      const place = action.step === null ? { by: action.by } : { step: action.step, round: action.round };
      const data = { reason: action.by ?? "step", ...place, urgency: action.notify.urgency };
      const through = Object.fromEntries(more.through);
      const [kind, row] =
        found.length === 0
          ? ["no-targets", { ...data, empty: more.empty }]
          : ["notified", { ...data, users: found, through, shifts: more.shifts }];
      const log: LogRow = { at, kind: kind as string, actor: null, data: row as LogRow["data"] };
      const names = await namesOf(context, projectId, [log]);
      const one = action.notify.roundRobin && found.length > 1 ? " Only one of them, another with each incident." : "";
      const unreachable = await unreachableIn(context, principal, found, names);
      const none = unreachable.map(({ name, text }) => ` ${name}: ${text}.`).join("");
      lines.push({
        ...time,
        kind: log.kind,
        text: sentenceOf(log, names).replace("notified", "notifies") + one + none,
        ...(unreachable.length > 0 ? { unreachable } : {}),
        urgency: action.notify.urgency,
        ...(action.step === null ? {} : { step: action.step }),
        users: await peopleIn(context, principal, projectId, { found, names, urgency: action.notify.urgency }),
      });
      continue;
    }
    const found = await askedAgain(context, projectId, forecast);
    const names = await namesOf(context, projectId, [{ at, kind: "notified", actor: null, data: { users: found } }]);
    const text = forecastText(forecast, names);
    const place = action.kind === "webhook" || action.kind === "channel" ? { step: action.step } : {};
    const asked =
      found.length === 0
        ? {}
        : { users: await peopleIn(context, principal, projectId, { found, names, urgency: "high" }) };
    if (text !== undefined) lines.push({ ...time, kind: kindOf(forecast), text, ...place, ...asked });
  }
  return lines;
}

/** The people of the steps that are asked again, on call at that time. */
async function askedAgain(
  context: AlertExplainContext,
  projectId: string,
  { at, again = [] }: Forecast,
): Promise<string[]> {
  const found = new Set<string>();
  for (const action of again) {
    if (action.kind !== "page") continue;
    const { users } = await candidatesOf(peopleParts(context), context.db.scan, projectId, action.notify, at);
    for (const id of users) found.add(id);
  }
  return [...found];
}

/** The users whom no channel reaches, as far as the caller may read it. */
async function unreachableIn(
  { db }: AlertExplainContext,
  principal: PermissionHolder,
  users: readonly string[],
  names: NameLookup,
): Promise<NonNullable<Line["unreachable"]>> {
  const found = await unreachableOf(db.scan, readable(principal, users));
  return [...found].map(([userId, why]) => ({ userId, name: names.user(userId), ...why }));
}

/** The users of whom the caller may read what reaches them. */
function readable({ permissions, userId }: PermissionHolder, users: readonly string[]): string[] {
  const seesAll = permissions.has("notifications:read_all");
  return users.filter((id) => seesAll || id === userId).slice(0, SHOWN_PEOPLE);
}

interface Found extends Pick<Notify, "urgency"> {
  readonly found: readonly string[];
  readonly names: NameLookup;
}

async function peopleIn(
  { alerting, db }: AlertExplainContext,
  principal: PermissionHolder,
  projectId: string,
  { found, names, urgency }: Found,
): Promise<NonNullable<NextLine["users"]>> {
  const ways = await waysTo(alerting, db.scan, projectId, readable(principal, found), urgency);
  return found.slice(0, NAMED_PEOPLE).map((userId) => {
    const own = ways.get(userId);
    const person = { userId, username: names.username(userId), name: names.user(userId) };
    return own ? { ...person, ways: [...own] } : person;
  });
}

function kindOf({ action }: Forecast): string {
  if (action.kind === "log") return action.entry;
  return action.kind === "renotify" ? action.reason : action.kind;
}

/** The incident's next action, besides steps that notify; undefined: nothing that people see. */
function forecastText({ action, everyMs }: Forecast, names: NameLookup): string | undefined {
  if (everyMs !== undefined)
    return (
      "If no one is reached, the targets of the executed steps are notified again; " +
      `this repeats every ${spanText(everyMs)} until someone is reached or acknowledges it.`
    );
  switch (action.kind) {
    case "renotify":
      if (action.reason === "repeat") return "If no one acknowledges it, those notified before are notified again.";
      if (action.reason === "severity-raised") return "Those notified before are notified that it got worse.";
      return `Those notified before are notified${action.reason === "resolved" ? " of its end" : " of the new alert"}.`;
    case "webhook":
      return `Step ${action.step + 1} calls its webhook.`;
    case "webhooks":
      return action.reason === "repeat" ? "The webhooks and channels of its steps get the repetition, too." : undefined;
    case "channel":
      return `Step ${action.step + 1} sends to its channel.`;
    case "withheld":
      return "Nothing is sent while its alerts are silenced, inhibited or muted; the incident goes on when that ends.";
    case "log":
      return sentenceOf({ kind: action.entry, actor: null, data: action.data }, names);
    default:
      return undefined;
  }
}

/** The names of what timelines refer to by id. An unknown id is its own name. */
export type NameLookup = Readonly<
  Record<"user" | "username" | "role" | "schedule" | "shift" | "silence" | "inhibitor", (id: string) => string>
>;

/** The sentences of a row of the timeline. */
export function sentenceOf(row: Omit<LogRow, "at">, names: NameLookup): string {
  return textOf(tell(row), names);
}

export function textOf(parts: readonly Part[], names: NameLookup): string {
  return parts.map((part) => (typeof part === "string" ? part : nameOf(part, names))).join("");
}

function nameOf({ ref, id, more }: Ref, names: NameLookup): string {
  if (ref === "channel") return "its channel";
  if (ref === "incident" || ref === "time" || ref === "said") return more ?? id;
  return `${names[ref](id)}${more === undefined ? "" : `, shift ${names.shift(more)}`}`;
}

/** Such as `anna, ben and 3 more`. */
export function listText(names: readonly string[]): string {
  return listOf(names).join("");
}

/** The names of everything that rows refer to. @param supposed alerts that are taken as firing */
export async function namesOf(
  context: AlertExplainContext,
  projectId: string,
  rows: readonly LogRow[],
  supposed: readonly AlertView[] = [],
): Promise<NameLookup> {
  const { db, alerting } = context;
  const sources = rows.flatMap(({ data }) => [...Object.values(data.through ?? {}), ...(data.empty ?? [])]);
  const schedules = [
    ...sources.flatMap((source) => (source.startsWith("schedule:") ? [source.split(":")[1] ?? ""] : [])),
    ...rows.flatMap(({ data }) => data.schedules ?? []),
  ];
  const people = rows.flatMap(({ actor, data }) => [
    ...(data.users ?? []),
    ...Object.keys(data.delayed ?? {}),
    ...[actor, data.by].filter((id) => typeof id === "string"),
  ]);
  const shifts = rows.flatMap(({ data }) => Object.values(data.shifts ?? {}));
  const silences = rows.flatMap(({ data }) => data.silences ?? []);
  const inhibitors = new Set(rows.flatMap(({ data }) => [...(data.inhibitedBy ?? [])]));
  const users = await userNames(db.scan, [...new Set(people)]);
  const roles = await named(
    sources.filter((source) => source.startsWith("role:")),
    () => queries.roleNames(db.scan),
  );
  const ofSchedule = await named(schedules, (ids) => queries.scheduleNames(db.scan, ids));
  const ofShift = await named(shifts, (ids) => queries.shiftNames(db.scan, ids));
  const comments = await named(silences, (ids) => queries.silenceTexts(db.scan, ids));
  const firing =
    inhibitors.size === 0 ? [] : alerting.alerts.list(projectId, (each) => inhibitors.has(each.fingerprint));
  const labels = new Map([...firing, ...supposed].map((each) => [each.fingerprint, labelsText(each.labels)]));
  return {
    user: (id) => users.get(id)?.name || users.get(id)?.username || actorText(id),
    username: (id) => users.get(id)?.username ?? id,
    role: (id) => `the role ${roles.get(id) ?? id}`,
    schedule: (id) => ofSchedule.get(id) ?? `the deleted schedule ${id}`,
    shift: (id) => ofShift.get(id) ?? id,
    silence: (id) => comments.get(id) ?? `the deleted silence ${id}`,
    inhibitor: (fingerprint) => `the firing alert ${labels.get(fingerprint) ?? fingerprint}`,
  };
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `{${pairs.join(", ")}}`;
}

/** Reads names only of what is there. */
async function named(
  ids: readonly string[],
  read: (ids: readonly string[]) => Promise<ReadonlyMap<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  return ids.length === 0 ? new Map() : read([...new Set(ids)]);
}

function actorText(id: string): string {
  if (id === "operator") return "The operator";
  if (id.startsWith("key:")) return "An API key";
  if (id === "mirror") return "Someone in the other system";
  if (id.startsWith("channel:")) return "A reader of a channel";
  return id.startsWith("integration:") ? "An integration" : id;
}

type Notify = Extract<PolicyStep, { type: "notify" }>;

/** Why a user was paged, or was not. Null: the caller is no person. @param name of another user; null: the reader */
export async function readerPart(
  context: AlertExplainContext,
  userId: string | null,
  row: IncidentRow,
  timeline: readonly LogRow[],
  people: readonly PersonView[],
  name: string | null = null,
): Promise<{ notified: boolean; mirrored?: true; lines: string[] } | null> {
  if (userId === null) return null;
  const own = people.find((person) => person.userId === userId);
  const isNotified = timeline.some(({ kind, data }) => NOTIFIED.has(kind) && data.users?.includes(userId));
  if (own || isNotified) {
    const isInMirror = isNotified && areMirrored(timeline, userId);
    const lines = [...(own?.reasons ?? [])];
    return { notified: isNotified && !isInMirror, ...(isInMirror && { mirrored: true }), lines };
  }
  return {
    notified: false,
    lines: await whyNot(context, { userId, words: name === null ? YOU : wordsOf(name) }, row, timeline),
  };
}

/** Whether all notices of an incident, or those to a user, were made in a mirror. */
export function areMirrored(timeline: readonly LogRow[], userId?: string): boolean {
  const rows = timeline.filter(
    ({ kind, data }) => NOTIFIED.has(kind) && (userId === undefined || data.users?.includes(userId)),
  );
  const known = rows.filter(({ data }) => data.outcomes !== undefined);
  return known.length > 0 && known.every(({ data }) => isMirrored(data));
}

export const NOTIFIED: ReadonlySet<string> = new Set(["notified", "contact-notified", "fallback"]);

/** How sentences speak of the user. */
interface Words {
  readonly who: string;
  readonly are: string;
  readonly were: string;
  readonly belong: string;
  readonly hold: string;
  readonly turn: string;
}

const YOU: Words = {
  ...{ who: "you", are: "are", were: "were" },
  ...{ belong: "belong", hold: "do not hold", turn: "your" },
};

function wordsOf(name: string): Words {
  return {
    ...{ who: name, are: "is", were: "was" },
    ...{ belong: "belongs", hold: "does not hold", turn: "their" },
  };
}

function sentence(text: string): string {
  return text.startsWith("you ") ? `You ${text.slice(4)}` : text;
}

async function whyNot(
  context: AlertExplainContext,
  { userId, words }: { readonly userId: string; readonly words: Words },
  row: IncidentRow,
  timeline: readonly LogRow[],
): Promise<string[]> {
  const { alerting, users } = context;
  if (users.reachable([userId], row.projectId).length === 0)
    return [
      sentence(
        `${words.who} ${words.are} not an active member of its project: the steps of a policy notify members only.`,
      ),
    ];
  const { steps } = alerting.policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const notifying = steps.flatMap((step, index) => (step.type === "notify" ? [{ step, index }] : []));
  if (notifying.length === 0) return ["No step of its policy notifies a person."];
  const sources = notifying.flatMap(({ step }) => sourcesOf(step));
  const names = await namesOf(context, row.projectId, [
    { at: 0, kind: "no-targets", actor: null, data: { empty: sources } },
    ...timeline,
  ]);
  const lines: string[] = [];
  // While it is silenced no step runs: that is the reason, whatever the steps name.
  const last = timeline.findLast(({ kind }) => RAN.has(kind) || kind === "withheld");
  if (last?.kind === "withheld") lines.push(sentenceOf(last, names));
  for (const { step, index } of notifying) {
    const run = timeline.find(({ kind, data }) => RAN.has(kind) && data.step === index);
    const at = run?.at ?? alerting.clock.now();
    const { users: found } = await candidatesOf(peopleParts(context), context.db.scan, row.projectId, step, at);
    const isTarget = found.includes(userId);
    const reached = (run?.data.users ?? []).map((id) => names.user(id));
    lines.push(`Step ${index + 1} ${stepText(step, run, { isTarget, reached, names, row, words })}`);
  }
  return lines;
}

const RAN: ReadonlySet<string> = new Set(["notified", "no-targets"]);

interface Facts {
  /** The user is one of the people whom the step names. */
  readonly isTarget: boolean;
  readonly reached: readonly string[];
  readonly names: NameLookup;
  readonly row: IncidentRow;
  readonly words: Words;
}

function stepText(step: Notify, run: LogRow | undefined, { isTarget, reached, names, row, words }: Facts): string {
  if (!run)
    return isTarget
      ? `notifies ${words.who}, but ${waitText(row)}.`
      : `does not notify ${words.who}: ${missText(step, names, words)}.`;
  const who = reached.length === 0 ? "notified no one" : `notified ${listText(reached)}`;
  if (!isTarget) return `${who}, not ${words.who}: ${missText(step, names, words)}.`;
  if (step.roundRobin) return `${who}: it notifies one person in turn, and it was not ${words.turn} turn.`;
  return `${who}. ${sentence(`${words.who} ${words.belong}`)} to its people, but did not when it ran, or had acknowledged before.`;
}

function waitText({ state, snoozedUntil, stepAt }: IncidentRow): string {
  if (state === "resolved") return "the incident was resolved before";
  if (state === "acknowledged") return "a person acknowledged the incident before";
  if (snoozedUntil !== null) return "the incident is snoozed";
  return stepAt === null ? "it has not run" : "it has not run yet";
}

/** Why the user is none of the people of a step, for each of its targets. */
function missText(step: Notify, names: NameLookup, { who: person, are, were, hold }: Words): string {
  const parts = [
    ...step.schedules.map(({ id, who }) =>
      who === "next"
        ? `${person} ${were} not next on call on ${names.schedule(id)}`
        : `${person} ${were} not on call on ${names.schedule(id)}`,
    ),
    ...step.roles.map((id) => `${person} ${hold} ${names.role(id)}`),
    ...(step.users.length > 0 ? [`${person} ${are} not named in it`] : []),
    ...(step.members ? [`${person} ${are} not a member of the project`] : []),
  ];
  return parts.length === 0 ? "it names no one" : parts.join(", ");
}

/** In the form of {@link LogRow}, for the names. */
function sourcesOf({ schedules, roles }: Notify): string[] {
  return [...schedules.map(({ id }) => `schedule:${id}:current`), ...roles.map((id) => `role:${id}`)];
}
