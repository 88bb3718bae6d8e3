import { countText, startOf } from "../../core/text/clean-text.ts";
import { isOwnEvent } from "../../core/text/vocabulary.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import type { ReadDb } from "../../store/database.ts";
import {
  compileCondition,
  compileTemplate,
  type DefaultSuppression,
  type IncomingEvent,
  previewAlert,
  type RuleEvent,
  type SuppressionSetting,
} from "../rules/index.ts";
import * as queries from "./queries.ts";
import type { Outcome, RuleView, StormView } from "./schema.ts";

type Trace = NonNullable<RuleView["trace"]>;

/** A rule's outcome for an event, and the version that decided. */
export interface ExplainedRule {
  readonly view: RuleView;
  readonly definition: OutcomeDefinition | null;
}

/** A rule with a decision. */
export async function decidedRule(
  { db, defaults }: { readonly db: ReadDb; readonly defaults: ReturnType<DefaultSuppression> },
  row: queries.DecidedRule,
  event: IncomingEvent,
): Promise<ExplainedRule> {
  const definition = definitionOf(row.definition);
  const { receiverName } = row;
  const name = receiverName === null ? row.name : `Receiver ${receiverName}`;
  const view: RuleView = {
    ...baseView({ ...row, name }, definition),
    outcome: row.outcome,
    reason:
      receiverName !== null && row.outcome === "fired"
        ? `receiver ${receiverName} notifies its project's members; no rule of the project matched`
        : REASONS[row.outcome],
    at: toRfc3339(row.at),
    notificationId: row.notificationId,
    trace: traceOf(definition, event),
  };
  switch (row.outcome) {
    case "suppressed":
      return { definition, view: await suppressedView(db, defaults, view, definition, row, event) };
    case "deduped": {
      const earlier = row.notificationId === null ? undefined : await queries.findNotification(db, row.notificationId);
      return { definition, view: { ...view, earlier: earlierView(earlier) } };
    }
    case "cooled":
      return { definition, view: await cooledView(db, view, definition, row, event) };
    case "counted":
      return { definition, view: await countedView(db, view, definition, row, event) };
    case "alert-opened":
    case "alert-resolved":
      return { definition, view: alertView(view, definition, event) };
    default:
      return { definition, view };
  }
}

/** A rule without a decision. @param state whether the event has been decided at all. */
export function silentRule(
  row: queries.SilentRule,
  event: IncomingEvent,
  state: "decided" | "waiting" | "failed",
): ExplainedRule {
  const definition = definitionOf(row.definition);
  const [outcome, reason, trace] = silence(row, definition, event, state);
  return { definition, view: { ...baseView(row, definition), outcome, reason, trace } };
}

function baseView(
  row: { ruleId: string; version: number | null; name: string | null },
  definition: OutcomeDefinition | null,
) {
  return {
    ruleId: row.ruleId,
    name: definition?.name ?? row.name ?? row.ruleId,
    version: row.version,
    at: null,
    notificationId: null,
    condition: definition?.condition ?? null,
    targets: definition && { roles: [...definition.targetRoles], users: definition.targetUsers.length },
    suppression: null,
    alert: null,
    earlier: null,
    user: null,
  };
}

async function suppressedView(
  db: ReadDb,
  defaults: ReturnType<DefaultSuppression>,
  view: RuleView,
  definition: OutcomeDefinition | null,
  { ruleId }: queries.DecidedRule,
  event: IncomingEvent,
): Promise<RuleView> {
  const own = definition?.suppression ?? null;
  const setting = own ?? defaults;
  if (!setting) return view;
  const { count: limit, windowMs } = setting;
  const template = own ? own.key : definition?.dedupe?.key;
  const key = keyOf(template, event);
  const storm = await queries.stormAround(db, ruleId, key, event.seq);
  const matchesInWindow = template ? null : await queries.matchesBefore(db, ruleId, event, windowMs);
  const keyText = key === "" ? "" : ` of the key "${key}"`;
  const stormText = storm
    ? `; ${countText(storm.count, "was", "were")} suppressed since ${toRfc3339(storm.startedAt)}`
    : "";
  return {
    ...view,
    reason:
      `suppressed: more than ${countText(limit, "match", "matches")}${keyText} ` +
      `within ${briefDuration(windowMs)}${stormText}`,
    suppression: { limit, windowMs, key, matchesInWindow, storm: storm ? stormView(storm) : null },
  };
}

async function cooledView(
  db: ReadDb,
  view: RuleView,
  definition: OutcomeDefinition | null,
  { ruleId, at }: queries.DecidedRule,
  event: IncomingEvent,
): Promise<RuleView> {
  const key = definition?.dedupe ? keyOf(definition.dedupe.key, event) : null;
  const earlier = earlierView(await queries.lastFiring(db, ruleId, key, at));
  const silence = definition?.cooldownMs ? ` and its cooldown is ${briefDuration(definition.cooldownMs)}` : "";
  const reason = earlier ? `silent: it had notified users at ${earlier.createdAt}${silence}` : view.reason;
  return { ...view, reason, earlier };
}

/** Why a match was counted and did nothing more. */
async function countedView(
  db: ReadDb,
  view: RuleView,
  definition: OutcomeDefinition | null,
  { ruleId, key }: queries.DecidedRule,
  event: IncomingEvent,
): Promise<RuleView> {
  const { threshold, absence } = definition ?? {};
  if (absence) {
    const reason = `seen: the rule fires when nothing matches for ${briefDuration(absence.forMs)}`;
    return { ...view, reason };
  }
  const opened = alertView(view, definition, event);
  const last = definition?.alert ? await queries.lastAlertChange(db, ruleId, key, event.seq) : undefined;
  if (last?.outcome === "alert-opened")
    return { ...opened, reason: `its alert was opened at ${toRfc3339(last.at)}; this match repeats it` };
  if (!threshold) return opened;
  const { count, windowMs } = threshold;
  const matches = await queries.countedBefore(db, ruleId, key, event, windowMs);
  const reason = `below its threshold: match ${matches} of the ${count} within ${briefDuration(windowMs)} that it takes`;
  return { ...view, reason };
}

/** With the key and labels of the alert. */
function alertView(view: RuleView, definition: OutcomeDefinition | null, event: IncomingEvent): RuleView {
  const alert = definition && alertOf(definition, event);
  if (!alert) return view;
  const { key, labels } = alert;
  const name = key === "" ? "" : ` "${key}"`;
  const reason =
    view.outcome === "alert-opened"
      ? `the condition was true, and it opened the alert${name}`
      : view.outcome === "alert-resolved"
        ? `it resolved the alert${name}`
        : view.reason;
  return { ...view, reason, alert: { key, labels: { ...labels } } };
}

const REASONS = {
  fired: "the condition was true, and it notified its recipients",
  suppressed: "suppressed: it had matched more often than it may notify",
  deduped: "joined to an earlier notification of the same dedupe key",
  cooled: "silent: it had notified users shortly before",
  counted: "counted: below its threshold, or its alert was already firing",
  "alert-opened": "the condition was true, and it opened an alert",
  "alert-resolved": "it resolved its alert",
  "no recipients": "the condition was true, but no active user held its roles or was named",
} as const satisfies Record<queries.DecidedRule["outcome"], string>;

function silence(
  row: queries.SilentRule,
  definition: OutcomeDefinition | null,
  event: IncomingEvent,
  state: "decided" | "waiting" | "failed",
): [Outcome, string, Trace | null] {
  if (!definition)
    return ["later", `the rule was made at ${toRfc3339(row.createdAt)}, after the event was decided`, null];
  if (!definition.active) return ["inactive", "the rule was switched off", null];
  if (definition.projectId !== null && definition.projectId !== event.projectId)
    return ["inactive", "it was a rule of another project then", null];
  const trace = traceOf(definition, event);
  if (!trace) return ["error", "its condition cannot be read by this version of the program", null];
  if (trace.error !== undefined) return ["error", `its condition stopped: ${trace.error}`, trace];
  if (isOwnEvent(event) && !compileCondition(definition.condition).seesOwnEvents)
    return ["condition false", OWN_EVENT, trace];
  if (!trace.matched) return ["condition false", `the condition was false: ${valuesText(trace)}`, trace];
  if (state === "waiting")
    return ["undecided", "the condition is true, but the event still waits to be decided", trace];
  if (state === "failed") return ["undecided", "the condition is true, but the event could not be decided", trace];
  return ["undecided", "the condition is true, but it was not in force yet when the event was decided", trace];
}

const OWN_EVENT =
  "not asked: the event is of the server itself, and the condition compares nothing with its source or type";

function traceOf(definition: OutcomeDefinition | null, event: IncomingEvent): Trace | null {
  if (!definition) return null;
  try {
    const result = compileCondition(definition.condition).trace(event);
    return { ...result, trace: [...result.trace] };
  } catch {
    return null;
  }
}

function earlierView(row: Pick<queries.Notification, "id" | "createdAt" | "title" | "aggregateCount"> | undefined) {
  if (!row) return null;
  const { id: notificationId, title, aggregateCount } = row;
  return { notificationId, createdAt: toRfc3339(row.createdAt), title, aggregateCount };
}

export function stormView({ id, key, count, startedAt, lastAt, closedAt, noticeId }: queries.Storm): StormView {
  return {
    id,
    key,
    heldBack: count,
    startedAt: toRfc3339(startedAt),
    lastAt: toRfc3339(lastAt),
    closedAt: closedAt === null ? null : toRfc3339(closedAt),
    noticeId,
  };
}

/** The content of a stored rule version; old versions lack newer members. */
export interface OutcomeDefinition {
  readonly projectId: string | null;
  readonly name: string;
  readonly condition: string;
  /** Names at that time. */
  readonly targetRoles: readonly string[];
  readonly targetUsers: readonly string[];
  readonly channels: readonly string[];
  readonly active: boolean;
  readonly suppression?: SuppressionSetting | null;
  readonly dedupe?: { readonly key: string; readonly windowMs: number } | null;
  readonly cooldownMs?: number;
  readonly titleTemplate?: string | null;
  readonly messageTemplate?: string | null;
  readonly threshold?: { readonly count: number; readonly windowMs: number } | null;
  readonly absence?: { readonly forMs: number } | null;
  readonly alert?: object | null;
}

/** The alert of a stored version for an event; null if the version has none or cannot be read. */
function alertOf(definition: OutcomeDefinition, event: IncomingEvent): ReturnType<typeof previewAlert> {
  const column = (value: object | null | undefined): string | null => (value ? JSON.stringify(value) : null);
  const { name, titleTemplate = null, messageTemplate = null } = definition;
  const [threshold, absence, alert] = [definition.threshold, definition.absence, definition.alert].map(column);
  const settings = { threshold: threshold ?? null, absence: absence ?? null, alert: alert ?? null };
  try {
    return previewAlert({ name, titleTemplate, messageTemplate, ...settings }, event);
  } catch {
    return null;
  }
}

function definitionOf(json: string | null): OutcomeDefinition | null {
  return json === null ? null : (JSON.parse(json) as OutcomeDefinition);
}

const MAX_KEY_LENGTH = 256;

/** The value of a key's template for the event; '' without one, or if it can no longer be read. */
function keyOf(template: string | undefined, event: RuleEvent): string {
  if (template === undefined) return "";
  try {
    return compileTemplate(template, "key").render(event, MAX_KEY_LENGTH);
  } catch {
    return "";
  }
}

const SHOWN_VALUES = 4;
const SHOWN_LENGTH = 80;

/** `60 s`, `5 min`, `24 h`: in the largest unit without a fraction. */
function briefDuration(ms: number): string {
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ] as const)
    if (ms >= size && ms % size === 0) return `${ms / size} ${unit}`;
  return `${ms} ms`;
}

/** The values of a condition's paths and comparisons. */
function valuesText({ trace, error }: NonNullable<RuleView["trace"]>): string {
  const paths = trace.filter(({ text }) => /^event\.[\w.[\]"-]+$/.test(text));
  const said = (paths.length > 0 ? paths : trace).map(
    ({ text, value }) => `${cut(text)} was ${cut(JSON.stringify(value))}`,
  );
  // A condition may read one path several times.
  const values = [...new Set(said)].slice(0, SHOWN_VALUES);
  return [...values, ...(error === undefined ? [] : [`it stopped: ${error}`])].join(", ");
}

function cut(text: string): string {
  return text.length <= SHOWN_LENGTH ? text : `${startOf(text, SHOWN_LENGTH)}…`;
}

/** Joins the rule's outcome and the reason why it could not have notified the user. */
export const OUT_OF_REACH = "; and the user would not have been notified: ";
