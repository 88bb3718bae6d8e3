import { toRfc3339 } from "../../core/clock.ts";
import type { ReadDb } from "../../store/database.ts";
import type { DefaultSuppression, IncomingEvent } from "../rules/index.ts";
import { compileCondition } from "../rules/index.ts";
import { type Definition, definitionOf, keyOf } from "./definition.ts";
import * as queries from "./queries.ts";
import type { Outcome, RuleView, StormView } from "./schema.ts";
import { briefDuration, countText, valuesText } from "./texts.ts";

type Trace = NonNullable<RuleView["trace"]>;

/** A rule's part in the way of an event, and the version that met it. */
export interface ExplainedRule {
  readonly view: RuleView;
  readonly definition: Definition | null;
}

/** Says what each rule made of an event, and why. */
export class RuleOutcomes {
  readonly #db: ReadDb;
  readonly #defaults: DefaultSuppression;

  constructor(db: ReadDb, defaults: DefaultSuppression) {
    this.#db = db;
    this.#defaults = defaults;
  }

  /** A rule that left a decision. */
  async decided(row: queries.DecidedRule, event: IncomingEvent): Promise<ExplainedRule> {
    const definition = definitionOf(row.definition);
    const view: RuleView = {
      ...this.#base(row, definition),
      outcome: row.outcome,
      reason: REASONS[row.outcome],
      at: toRfc3339(row.at),
      notificationId: row.notificationId,
      trace: traceOf(definition, event),
    };
    switch (row.outcome) {
      case "suppressed":
        return { definition, view: await this.#suppressed(view, definition, row, event) };
      case "deduped":
        return { definition, view: { ...view, earlier: await this.#earlier(row.notificationId) } };
      case "cooled":
        return { definition, view: await this.#cooled(view, definition, row, event) };
      default:
        return { definition, view };
    }
  }

  /** A rule that left none. @param state whether the event has been decided at all. */
  silent(row: queries.SilentRule, event: IncomingEvent, state: "decided" | "waiting" | "failed"): ExplainedRule {
    const definition = definitionOf(row.definition);
    const [outcome, reason, trace] = silence(row, definition, event, state);
    return { definition, view: { ...this.#base(row, definition), outcome, reason, trace } };
  }

  #base(row: { ruleId: string; version: number | null; name: string | null }, definition: Definition | null) {
    return {
      ruleId: row.ruleId,
      name: definition?.name ?? row.name ?? row.ruleId,
      version: row.version,
      at: null,
      notificationId: null,
      condition: definition?.condition ?? null,
      suppression: null,
      earlier: null,
      user: null,
    };
  }

  async #suppressed(
    view: RuleView,
    definition: Definition | null,
    { ruleId }: queries.DecidedRule,
    event: IncomingEvent,
  ): Promise<RuleView> {
    const own = definition?.suppression ?? null;
    const setting = own ?? this.#defaults();
    if (!setting) return view;
    const { count: limit, windowMs } = setting;
    const template = own ? own.key : definition?.dedupe?.key;
    const key = keyOf(template, event);
    const storm = await queries.stormAround(this.#db, ruleId, key, event.seq);
    const matchesInWindow = template ? null : await queries.matchesBefore(this.#db, ruleId, event, windowMs);
    const keyText = key === "" ? "" : ` of the key "${key}"`;
    const stormText = storm
      ? `; ${countText(storm.count, "was", "were")} held back since ${toRfc3339(storm.startedAt)}`
      : "";
    return {
      ...view,
      reason: `held back: more than ${countText(limit, "match", "matches")}${keyText} within ${briefDuration(windowMs)}${stormText}`,
      suppression: { limit, windowMs, key, matchesInWindow, storm: storm ? stormView(storm) : null },
    };
  }

  async #earlier(notificationId: string | null): Promise<RuleView["earlier"]> {
    if (notificationId === null) return null;
    return earlierView(await queries.findNotification(this.#db, notificationId));
  }

  async #cooled(
    view: RuleView,
    definition: Definition | null,
    { ruleId, at }: queries.DecidedRule,
    event: IncomingEvent,
  ): Promise<RuleView> {
    const key = definition?.dedupe ? keyOf(definition.dedupe.key, event) : null;
    const earlier = earlierView(await queries.lastFiring(this.#db, ruleId, key, at));
    const silence = definition?.cooldownMs
      ? ` and is silent for ${briefDuration(definition.cooldownMs)} after that`
      : "";
    const reason = earlier ? `silent: it had told somebody at ${earlier.createdAt}${silence}` : view.reason;
    return { ...view, reason, earlier };
  }
}

const REASONS = {
  fired: "the condition was true, and it told its people",
  suppressed: "held back: it had matched more often than it may tell",
  deduped: "joined to an earlier notification of the same dedupe key",
  cooled: "silent: it had told somebody shortly before",
  "no recipients": "the condition was true, but no active user held its roles or was named",
} as const satisfies Record<queries.DecidedRule["outcome"], string>;

function silence(
  row: queries.SilentRule,
  definition: Definition | null,
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
  if (!trace.matched) return ["condition false", `the condition was false: ${valuesText(trace)}`, trace];
  if (state === "waiting")
    return ["undecided", "the condition is true, but the event still waits to be decided", trace];
  if (state === "failed") return ["undecided", "the condition is true, but the event could not be decided", trace];
  return ["undecided", "the condition is true, but it was not in force yet when the event was decided", trace];
}

function traceOf(definition: Definition | null, event: IncomingEvent): Trace | null {
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
