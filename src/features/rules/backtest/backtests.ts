import type { Worker } from "node:worker_threads";
import { type Deferred, deferred } from "../../../core/deferred.ts";
import { PrismError } from "../../../core/errors.ts";
import { startThread } from "../../../core/runtime.ts";
import type { BacktestMessage, BacktestOutcome, BacktestPlan, BacktestProgress } from "./plan.ts";

/** At a time: each has a thread of its own. */
const MAX_RUNNING = 2;

/** A backtest under way. */
export interface BacktestRun {
  readonly outcome: Promise<BacktestOutcome>;
  /** It ends at once, and its outcome is refused: nobody waits for it any more. */
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
    // Whoever cancels may not wait for it any more.
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
