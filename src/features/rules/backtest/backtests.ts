import type { Worker } from "node:worker_threads";
import type { EpochMs } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { type Deferred, deferred } from "../../../core/promises.ts";
import { startThread } from "../../../core/runtime.ts";

/** What is tried on stored events: of a rule what decides, as it is stored. */
export interface TriedRule {
  readonly condition: string;
  readonly suppression: string | null;
  readonly dedupe: string | null;
  readonly cooldownMs: number;
  /** For samples; null where there is no rule. */
  readonly titleTemplate: string | null;
}

/** What a backtest is to do. JSON-safe: it goes to a thread. */
export interface BacktestPlan {
  readonly projectId: string;
  /** By receipt; null: from the first event that is stored. */
  readonly from: EpochMs | null;
  readonly to: EpochMs;
  readonly samples: number;
  readonly rule: TriedRule;
  /** The version in force, to which the difference is told. */
  readonly stored: TriedRule | null;
  /** What holds of rules that say nothing of storms; null: nothing does. */
  readonly defaults: { readonly count: number; readonly windowMs: number } | null;
}

export interface BacktestProgress {
  readonly scanned: number;
  readonly total: number;
}

export interface BacktestSample {
  readonly eventId: string;
  readonly seq: number;
  readonly type: string;
  readonly receivedAt: EpochMs;
  readonly title: string | null;
}

/** Matches, and what became of them. */
export type BacktestCounts = Readonly<Record<"matched" | "fired" | "suppressed" | "deduped" | "cooled", number>>;

export interface BacktestDay extends BacktestCounts {
  /** UTC. */
  readonly day: string;
}

/** What came of it. */
export interface BacktestOutcome extends BacktestCounts {
  readonly scanned: number;
  /** Events on which the condition or a key stopped. */
  readonly errors: number;
  /** Receipt of the first and the last event that was looked at; null where there was none. */
  readonly firstAt: EpochMs | null;
  readonly lastAt: EpochMs | null;
  readonly perDay: readonly BacktestDay[];
  readonly samples: readonly BacktestSample[];
  /** Events that would be told and are not, and the other way round. */
  readonly diff: { readonly added: number; readonly removed: number } | null;
}

export interface BacktestThreadData {
  readonly file: string;
  readonly plan: BacktestPlan;
}

export type BacktestMessage =
  | { readonly kind: "progress"; readonly progress: BacktestProgress }
  | { readonly kind: "outcome"; readonly outcome: BacktestOutcome }
  | { readonly kind: "failed"; readonly message: string };

/** At a time: each has a thread of its own. */
const MAX_RUNNING = 2;

/** A backtest under way. */
export interface BacktestRun {
  readonly outcome: Promise<BacktestOutcome>;
  /** Ends the run at once; its outcome is rejected. */
  cancel(): void;
}

/** Runs rules over stored events beside the server, each in a thread that can be ended at any time. */
export class Backtests {
  readonly #file: string;
  readonly #running = new Set<BacktestRun>();

  constructor(file: string) {
    this.#file = file;
  }

  /** How many are under way. */
  get size(): number {
    return this.#running.size;
  }

  /** @throws OVERLOADED when enough are under way */
  start(plan: BacktestPlan, onProgress: (progress: BacktestProgress) => void): BacktestRun {
    if (this.#running.size >= MAX_RUNNING)
      throw new PrismError("OVERLOADED", `${MAX_RUNNING} backtests are under way; try again when one has ended`);
    const thread = startThread("backtest", { file: this.#file, plan });
    const answer = deferred<BacktestOutcome>();
    const run: BacktestRun = {
      outcome: answer.promise.finally(() => {
        this.#running.delete(run);
        return thread.terminate();
      }),
      cancel: () => answer.reject(new PrismError("OVERLOADED", "The backtest was called off")),
    };
    // A caller that cancels may not wait for the outcome.
    run.outcome.catch(() => undefined);
    this.#running.add(run);
    listen(thread, answer, onProgress);
    return run;
  }

  /** The program ends: so do they. */
  stop(): void {
    for (const run of this.#running) run.cancel();
  }
}

function listen(
  thread: Worker,
  answer: Deferred<BacktestOutcome>,
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
