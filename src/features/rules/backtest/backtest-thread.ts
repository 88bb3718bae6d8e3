import { parentPort } from "node:worker_threads";
import { yieldToOthers } from "../../../core/runtime.ts";
import { openForReading } from "../../../store/sqlite/connection.ts";
import { storedEvent } from "../deciding/incoming-event.ts";
import { EventPages } from "./event-pages.ts";
import type { BacktestMessage, BacktestOutcome, BacktestPlan, BacktestProgress, BacktestThreadData } from "./plan.ts";
import { Replay } from "./replay.ts";
import { Tally } from "./tally.ts";

const PROGRESS_EVERY_MS = 200;

/** Decides stored events anew on a connection that only reads. Whoever started the thread ends it. */
export function runBacktestThread({ file, plan }: BacktestThreadData): void {
  const port = parentPort;
  if (!port) throw new TypeError("backtests run in a thread of their own");
  yieldToOthers();
  const tell = (message: BacktestMessage): void => port.postMessage(message);
  const connection = openForReading(file);
  try {
    const outcome = backtest(new EventPages(connection, plan.projectId), plan, (progress) =>
      tell({ kind: "progress", progress }),
    );
    tell({ kind: "outcome", outcome });
  } catch (error) {
    tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  } finally {
    connection.close();
  }
}

function backtest(
  events: EventPages,
  plan: BacktestPlan,
  onProgress: (progress: BacktestProgress) => void,
): BacktestOutcome {
  const { from, to, samples, rule, stored } = plan;
  const defaults = plan.defaults && { ...plan.defaults, mode: "suppress" as const, key: null };
  const tried = new Replay(rule, () => defaults);
  const inForce = stored && new Replay(stored, () => defaults);
  // What came shortly before decides about the first ones: it is gone through, and not counted.
  const memoryMs = Math.max(tried.memoryMs, inForce?.memoryMs ?? 0);
  const beginning = from === null ? null : from - memoryMs;
  const range = events.range(beginning);
  const total = events.count(range);
  const tally = new Tally(samples, inForce !== null);
  let seen = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  for (const page of events.pages(range, to)) {
    if (performance.now() - toldAt >= PROGRESS_EVERY_MS) {
      toldAt = performance.now();
      onProgress({ scanned: seen, total });
    }
    for (const row of page) {
      seen++;
      if ((beginning !== null && row.receivedAt < beginning) || row.receivedAt >= to) continue;
      const event = storedEvent(row);
      const outcome = tried.decide(event);
      const before = inForce?.decide(event) ?? null;
      if (from === null || row.receivedAt >= from) tally.add(event, outcome, before, () => tried.title(event));
    }
    tried.forgetRows();
    inForce?.forgetRows();
  }
  onProgress({ scanned: seen, total: Math.max(total, seen) });
  return tally.outcome();
}
