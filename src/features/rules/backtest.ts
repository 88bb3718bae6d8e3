import type { Worker } from "node:worker_threads";
import type { PermissionHolder } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { type DeferredPromise, deferred, withinOr } from "../../core/promises.ts";
import { startThread } from "../../core/runtime.ts";
import { DAY_MS, type EpochMs, toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { streamReply } from "../../http/api/replies.ts";
import { ANSWERS_LATER, Reply } from "../../http/api/route.ts";
import { holderOf } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { Uses } from "../../module/feature.ts";
import type { BacktestReply, BacktestRule } from "./backtest-schema.ts";
import { compileCondition, conditionWarnings } from "./language/language.ts";
import { requireOverTime } from "./over-time/settings.ts";
import { Rule, type RuleRow } from "./rule.ts";
import { ruleAccess } from "./rule-access.ts";
import type { RulesContext } from "./service.ts";
import { throttleSettings } from "./throttle/throttle.ts";

/** The deciding members of a rule, as stored. */
export interface TriedRule
  extends Pick<RuleRow, "condition" | "suppression" | "dedupe" | "cooldownMs" | "threshold" | "absence" | "alert"> {
  readonly name: string;
  /** For samples. */
  readonly titleTemplate: string | null;
  readonly messageTemplate: string | null;
  /** False for a rule that opens alerts only. */
  readonly hasTargets: boolean;
}

/** An alert that the rule would have opened. */
export interface AlertSpan {
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  /** When it became pending, or fired at once. */
  readonly startedAt: EpochMs;
  readonly firedAt: EpochMs;
  /** Null: it would still fire. */
  readonly resolvedAt: EpochMs | null;
  readonly matches: number;
}

export interface ReplayedAlerts {
  readonly opened: number;
  readonly resolved: number;
  /** Pending ones that ended before they fired. */
  readonly dropped: number;
  /** How often an absence was over its time. */
  readonly absences: number;
  /** The first ones, in the order of their start. */
  readonly spans: readonly AlertSpan[];
}

/** The input of a backtest. JSON-safe, because it is sent to a thread. */
export interface BacktestPlan {
  readonly projectId: string;
  /** By time of receipt; null: from the first stored event. */
  readonly from: EpochMs | null;
  readonly to: EpochMs;
  readonly now: EpochMs;
  readonly samples: number;
  /** Limit of listed changes of each kind. */
  readonly changes: number;
  readonly rule: TriedRule;
  /** The current version to compare with. */
  readonly stored: TriedRule | null;
  /** Default suppression for rules without their own; null: none. */
  readonly defaults: { readonly count: number; readonly windowMs: number } | null;
}

export interface BacktestProgress {
  readonly scanned: number;
  readonly total: number;
}

export type BacktestSample = Omit<BacktestReply["samples"][number], "receivedAt"> & { readonly receivedAt: EpochMs };
export type BacktestChange = Omit<NonNullable<BacktestReply["changes"]>[number], "receivedAt"> & {
  readonly receivedAt: EpochMs;
};

/** Numbers per bucket of equal length. */
export interface BacktestSeries {
  readonly from: EpochMs | null;
  readonly stepMs: number;
  readonly matched: readonly number[];
  readonly fired: readonly number[];
  readonly firedBefore: readonly number[];
}

export type BacktestCounts = Readonly<
  Record<
    ("matched" | "fired" | "suppressed" | "deduped" | "cooled") | ("counted" | "alertsOpened" | "alertsResolved"),
    number
  >
>;

export interface BacktestOutcome extends BacktestCounts {
  readonly scanned: number;
  /** Events on which the condition or a key failed. */
  readonly errors: number;
  /** Time of receipt of the first and the last event read; null without any. */
  readonly firstAt: EpochMs | null;
  readonly lastAt: EpochMs | null;
  /** Days in UTC. */
  readonly perDay: readonly (BacktestCounts & { readonly day: string })[];
  readonly series: BacktestSeries;
  readonly samples: readonly BacktestSample[];
  readonly changes: readonly BacktestChange[];
  /** Events that would newly notify, and events that no longer would. */
  readonly diff: { readonly added: number; readonly removed: number } | null;
  /** Null for a rule without an alert or an absence. */
  readonly alerts: ReplayedAlerts | null;
}

export interface BacktestThreadData {
  readonly file: string;
  readonly plan: BacktestPlan;
}

export type BacktestMessage =
  | { readonly kind: "progress"; readonly progress: BacktestProgress }
  | { readonly kind: "outcome"; readonly outcome: BacktestOutcome }
  | { readonly kind: "failed"; readonly message: string };

/** Limit of concurrent backtests: each has a thread. */
const MAX_RUNNING = 2;

interface BacktestRun {
  readonly outcome: Promise<BacktestOutcome>;
  /** Ends the run at once; its outcome rejects. */
  cancel(): void;
}

/** Runs rules over stored events beside the server, each in a thread that can be terminated. */
export class Backtests {
  readonly #file: string;
  readonly #running = new Set<BacktestRun>();

  constructor(file: string) {
    this.#file = file;
  }

  /** Number of running backtests. */
  get size(): number {
    return this.#running.size;
  }

  get isFull(): boolean {
    return this.#running.size >= MAX_RUNNING;
  }

  /** @throws OVERLOADED when too many are running */
  start(plan: BacktestPlan, onProgress: (progress: BacktestProgress) => void): BacktestRun {
    if (this.isFull)
      throw new PrismError("OVERLOADED", `${MAX_RUNNING} backtests are running; try again when one has ended`);
    const thread = startThread("backtest", { file: this.#file, plan });
    const answer = deferred<BacktestOutcome>();
    const run: BacktestRun = {
      outcome: answer.promise.finally(() => {
        this.#running.delete(run);
        return thread.terminate();
      }),
      cancel: () => answer.reject(new PrismError("OVERLOADED", "The backtest was cancelled")),
    };
    // A caller that cancels may not await the outcome.
    run.outcome.catch(() => undefined);
    this.#running.add(run);
    listen(thread, answer, onProgress);
    return run;
  }

  /** Terminates all runs when the program ends. */
  stop(): void {
    for (const run of this.#running) run.cancel();
  }
}

function listen(
  thread: Worker,
  answer: DeferredPromise<BacktestOutcome>,
  onProgress: (progress: BacktestProgress) => void,
): void {
  thread.on("message", (message: BacktestMessage) => {
    if (message.kind === "progress") onProgress(message.progress);
    else if (message.kind === "outcome") answer.resolve(message.outcome);
    else answer.reject(new Error(`a backtest failed: ${message.message}`));
  });
  thread.on("error", (error) => answer.reject(error));
  thread.on("exit", (code) => answer.reject(new Error(`the backtest's thread ended with code ${code}`)));
}

const NDJSON = "application/x-ndjson";
const DEFAULT_SAMPLES = 5;
const DEFAULT_CHANGES = 20;
/** Recipients are counted up to this number. */
const COUNTED_USERS = 10_000;
const PAGE_USERS = 500;

/** Work of a backtest, in steps: some microseconds for an event, and a second after a cancellation. */
const STEPS_PER_EVENT = 400;
const CANCELLED_STEPS = 8_000_000;

interface Prepared {
  readonly plan: BacktestPlan;
  readonly rule: RuleRow | null;
}

/**
 * Answers with one document, or with lines of progress and the result as the last. A client that
 * disconnects ends the run.
 */
export async function answerBacktest(
  context: RulesContext,
  backtests: Backtests,
  exchange: Exchange,
  input: BacktestRule,
) {
  const startedAt = context.clock.elapsed();
  const { work } = context;
  const payer = work.ofPrincipal(holderOf(exchange));
  work.require(payer);
  const prepared = await prepare(context, holderOf(exchange), input);
  if (exchange.isOver) return ANSWERS_LATER;
  const isLive = exchange.header("accept").includes(NDJSON);
  const steps = new Steps();
  const run = backtests.start(prepared.plan, (progress) => steps.put(progress));
  const cancel = () => run.cancel();
  // The thread uses the machine although the loop is free.
  run.outcome.then(
    ({ scanned }) => work.charge(payer, { steps: scanned * STEPS_PER_EVENT }, true),
    () => work.charge(payer, { steps: CANCELLED_STEPS }, true),
  );
  if (isLive)
    return streamReply(
      exchange,
      { contentType: NDJSON, live: { gone: cancel } },
      progressLines(context, run, steps, prepared, startedAt),
    );
  exchange.onAbort = cancel;
  const outcome = await run.outcome;
  exchange.onAbort = null;
  return new Reply(200, await replyOf(context, outcome, prepared, startedAt));
}

async function* progressLines(
  context: RulesContext,
  run: BacktestRun,
  steps: Steps,
  prepared: Prepared,
  startedAt: number,
): AsyncIterable<string> {
  try {
    const ended = run.outcome.finally(() => steps.end());
    ended.catch(() => undefined);
    for (;;) {
      const progress = await steps.next();
      if (progress === null) break;
      yield `${JSON.stringify(progress)}\n`;
    }
    yield `${JSON.stringify(await replyOf(context, await ended, prepared, startedAt))}\n`;
  } finally {
    run.cancel();
  }
}

/**
 * @throws INVALID_CONDITION, INVALID_TEMPLATE, RULE_NOT_FOUND, PROJECT_NOT_FOUND,
 * UNAUTHORIZED_ROLE, VALIDATION_FAILED
 */
async function prepare(context: RulesContext, principal: PermissionHolder, input: BacktestRule): Promise<Prepared> {
  const { condition, suppression, dedupe, cooldownMs, threshold, absence, alert } = input;
  const { projects, clock } = context;
  const rule =
    input.ruleId === undefined ? null : await ruleAccess.visible(projects, principal, input.ruleId, context.db.read);
  const ref = input.projectId ?? rule?.projectId ?? projects.refOf(principal, undefined);
  const projectId = projects.require(principal, ref, "rules:read");
  projects.require(principal, ref, "events:read");
  const to = Math.min(input.to ?? Number.POSITIVE_INFINITY, clock.now() + DAY_MS);
  if (input.from !== undefined && input.from >= to) throw invalidField("body", "from", "must lie before to");
  const defaults = context.settings.defaultSuppression;
  const given = Rule.columns({ condition, suppression, dedupe, cooldownMs, threshold, absence, alert });
  const row = { ...Rule.initial, condition: "", name: "backtest", ...rule, ...given };
  requireOverTime(row);
  throttleSettings(row);
  compileCondition(row.condition);
  const hasTargets = row.targetRoles !== "[]" || row.targetUsers !== "[]";
  const plan: BacktestPlan = {
    projectId,
    from: input.from ?? null,
    to,
    now: clock.now(),
    samples: input.samples ?? DEFAULT_SAMPLES,
    changes: input.changes ?? DEFAULT_CHANGES,
    rule: triedOf(row, rule ? hasTargets : row.alert === null),
    stored: rule && triedOf(rule, hasTargets),
    defaults: defaults && { count: defaults.count, windowMs: defaults.windowMs },
  };
  return { plan, rule };
}

async function replyOf(
  context: RulesContext,
  outcome: BacktestOutcome,
  { plan, rule }: Prepared,
  startedAt: number,
): Promise<BacktestReply> {
  const { condition } = plan.rule;
  const { diff, firstAt, lastAt, samples, perDay, series, changes, alerts, ...counts } = outcome;
  const { from, stepMs, matched, fired, firedBefore } = series;
  return {
    ...counts,
    from: toRfc3339OrNull(firstAt),
    to: toRfc3339OrNull(lastAt),
    perDay: [...perDay],
    series: {
      from: toRfc3339OrNull(from),
      stepMs,
      matched: [...matched],
      fired: [...fired],
      ...(diff ? { firedBefore: [...firedBefore] } : {}),
    },
    samples: samples.map((sample) => ({ ...sample, receivedAt: toRfc3339(sample.receivedAt) })),
    wouldReach: { users: rule && (await countReached(context, rule)) },
    ...(diff
      ? { diff, changes: changes.map((change) => ({ ...change, receivedAt: toRfc3339(change.receivedAt) })) }
      : {}),
    ...(alerts ? { alerts: alertsView(alerts) } : {}),
    warnings: conditionWarnings(condition),
    tookMs: Math.round(context.clock.elapsed() - startedAt),
  };
}

/** How often a rule would have matched and notified. */
export interface RuleCounts extends Pick<BacktestOutcome, "scanned" | "matched" | "fired"> {}

interface Counted {
  readonly projectId: string;
  /** Members as requests have them; undefined: there is no such rule. */
  readonly spec: Readonly<Record<string, unknown>> | undefined;
  readonly from: EpochMs;
  readonly leftMs: number;
}

/** One form of a rule over the events of its project; null: it takes longer, or others run. */
export async function countRule(
  { backtests, clock, settings }: Uses<"backtests" | "clock" | "settings">,
  { projectId, spec, from, leftMs }: Counted,
): Promise<RuleCounts | null> {
  if (spec?.["active"] === false || spec === undefined) return { scanned: 0, matched: 0, fired: 0 };
  if (leftMs <= 0) return null;
  const { condition, suppression, dedupe, cooldownMs, threshold, absence, alert, targetRoles, targetUsers } =
    spec as Partial<BacktestRule> & { readonly targetRoles?: string[]; readonly targetUsers?: string[] };
  const given = Rule.columns({ condition, suppression, dedupe, cooldownMs, threshold, absence, alert });
  const row = { ...Rule.initial, condition: "", name: "", ...given };
  const hasTargets = (targetRoles ?? []).length + (targetUsers ?? []).length > 0;
  const defaults = settings.defaultSuppression;
  const now = clock.now();
  const plan: BacktestPlan = {
    ...{ projectId, from, to: now, now, samples: 0, changes: 0, rule: triedOf(row, hasTargets), stored: null },
    defaults: defaults && { count: defaults.count, windowMs: defaults.windowMs },
  };
  if (backtests.isFull) return null;
  const run = backtests.start(plan, () => undefined);
  return withinOr<RuleCounts | null>(leftMs, run.outcome, () => {
    run.cancel();
    return null;
  });
}

async function countReached({ rules }: RulesContext, rule: RuleRow): Promise<number> {
  let users = 0;
  for (let after = ""; users < COUNTED_USERS; ) {
    const page = rules.recipientPage(rule, after, PAGE_USERS);
    users += page.length;
    after = page.at(-1) ?? "";
    if (page.length < PAGE_USERS) return users;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return users;
}

function triedOf(rule: Omit<TriedRule, "hasTargets">, hasTargets: boolean): TriedRule {
  const { condition, suppression, dedupe, cooldownMs, threshold, absence, alert } = rule;
  const { name, titleTemplate, messageTemplate } = rule;
  const limits = { suppression, dedupe, cooldownMs, threshold, absence, alert };
  return { condition, ...limits, name, titleTemplate, messageTemplate, hasTargets };
}

function alertsView({ spans, ...counts }: ReplayedAlerts): NonNullable<BacktestReply["alerts"]> {
  return {
    ...counts,
    spans: spans.map(({ startedAt, firedAt, resolvedAt, labels, ...span }) => ({
      ...span,
      labels: { ...labels },
      startedAt: toRfc3339(startedAt),
      firedAt: toRfc3339(firedAt),
      resolvedAt: toRfc3339OrNull(resolvedAt),
    })),
  };
}

/** Progress for a reader: keeps only the latest unread step. */
class Steps {
  #newest: BacktestProgress | null = null;
  #isOver = false;
  #wake: () => void = () => undefined;

  put(progress: BacktestProgress): void {
    this.#newest = progress;
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /** @returns null at the end */
  async next(): Promise<BacktestProgress | null> {
    while (this.#newest === null && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const progress = this.#newest;
    this.#newest = null;
    return progress;
  }
}
