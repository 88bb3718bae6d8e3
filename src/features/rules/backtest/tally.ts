import type { EpochMs } from "../../../core/clock.ts";
import type { IncomingEvent } from "../deciding/incoming-event.ts";
import type { BacktestDay, BacktestOutcome, BacktestSample } from "./plan.ts";
import type { ReplayOutcome } from "./replay.ts";

type Days = { -readonly [K in keyof BacktestDay]: BacktestDay[K] };

/** Adds up what a backtest finds. */
export class Tally {
  readonly #samples: BacktestSample[] = [];
  readonly #sampleCount: number;
  readonly #days = new Map<string, Days>();
  readonly #diff: { added: number; removed: number } | null;
  #scanned = 0;
  #errors = 0;
  #firstAt: EpochMs | null = null;
  #lastAt: EpochMs | null = null;

  /** @param withDiff whether events are compared with a stored version. */
  constructor(sampleCount: number, withDiff: boolean) {
    this.#sampleCount = sampleCount;
    this.#diff = withDiff ? { added: 0, removed: 0 } : null;
  }

  get scanned(): number {
    return this.#scanned;
  }

  /** @param titleOf is asked of samples only. */
  add(event: IncomingEvent, outcome: ReplayOutcome, stored: ReplayOutcome, titleOf: () => string | null): void {
    this.#scanned++;
    this.#firstAt ??= event.receivedAt;
    this.#lastAt = event.receivedAt;
    if (this.#diff && (outcome === "fired") !== (stored === "fired")) {
      if (outcome === "fired") this.#diff.added++;
      else this.#diff.removed++;
    }
    if (outcome === "error") this.#errors++;
    if (outcome === null || outcome === "error") return;
    const day = this.#dayOf(event.receivedAt);
    day.matched++;
    day[outcome]++;
    if (outcome !== "fired" || this.#samples.length >= this.#sampleCount) return;
    const { id: eventId, seq, type, receivedAt } = event;
    this.#samples.push({ eventId, seq, type, receivedAt, title: titleOf() });
  }

  outcome(): BacktestOutcome {
    const perDay = [...this.#days.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
    const sum = (member: Exclude<keyof BacktestDay, "day">) => perDay.reduce((total, day) => total + day[member], 0);
    return {
      scanned: this.#scanned,
      matched: sum("matched"),
      fired: sum("fired"),
      suppressed: sum("suppressed"),
      deduped: sum("deduped"),
      cooled: sum("cooled"),
      errors: this.#errors,
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      perDay,
      samples: this.#samples,
      diff: this.#diff,
    };
  }

  #dayOf(at: EpochMs): Days {
    const name = new Date(at).toISOString().slice(0, 10);
    let day = this.#days.get(name);
    if (!day) {
      day = { day: name, matched: 0, fired: 0, suppressed: 0, deduped: 0, cooled: 0 };
      this.#days.set(name, day);
    }
    return day;
  }
}
