import type { Database as Sqlite } from "better-sqlite3";
import { uuidv7 } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type {
  NotificationRow,
  StormKey,
  StormRow,
  SuppressionRows,
  WindowCount,
  WindowName,
} from "../../../store/commit/write-set.ts";
import type { IncomingEvent } from "../deciding/incoming-event.ts";
import { compileTemplate, type Template } from "../language/language.ts";
import { Rule, type RuleRow, type SuppressionSetting } from "../rule.ts";
import { LastFired, StoredHistory, type ThrottleHistory } from "./history.ts";
import { MatchWindow } from "./match-window.ts";

/** Throttle settings of a rule, parsed once when the rule takes effect. */
export interface ThrottleSettings {
  /** Null: the configured default for rules without their own. */
  readonly suppression: (Omit<SuppressionSetting, "key"> & { readonly key: Template | null }) | null;
  readonly dedupe: { readonly key: Template; readonly windowMs: number } | null;
  /** 0: none. */
  readonly cooldownMs: number;
  /** With the default suppression all dedupe keys count together. */
  readonly countsTogether?: true;
}

/** @throws INVALID_TEMPLATE */
export function throttleSettings(row: Pick<RuleRow, "suppression" | "dedupe" | "cooldownMs">): ThrottleSettings {
  const suppression = Rule.value(row, "suppression");
  const dedupe = Rule.value(row, "dedupe");
  return {
    suppression: suppression && {
      ...suppression,
      key: suppression.key === undefined ? null : compileTemplate(suppression.key, "suppression.key"),
    },
    dedupe: dedupe && { windowMs: dedupe.windowMs, key: compileTemplate(dedupe.key, "dedupe.key") },
    cooldownMs: row.cooldownMs,
  };
}

/** The part of a matching rule that is judged. */
export interface JudgedRule {
  readonly row: { readonly id: string };
  readonly throttling: ThrottleSettings;
}

/** The outcome of a match. */
export type Verdict = {
  readonly rule: JudgedRule;
  readonly key: string;
  readonly dedupeKey: string | null;
  /** When the match counts in its window; null: it does not count. */
  readonly countsAt: EpochMs | null;
} & (
  | { readonly outcome: "fired" | "suppressed" | "cooled" }
  | { readonly outcome: "deduped"; readonly notificationId: string }
);

type Held = { outcome: "cooled" } | { outcome: "deduped"; notificationId: string } | null;

const COOLED = { outcome: "cooled" } as const;

/** Default suppression for rules without their own; null: none. */
export type DefaultSuppression = () => NonNullable<ThrottleSettings["suppression"]> | null;

const MAX_KEY_LENGTH = 256;
const MAX_STATES = 50_000;
const MAX_SAMPLES = 5;

interface KeyState {
  readonly windowMs: number;
  readonly window: MatchWindow;
  /** The storm being held back; null for none. */
  storm: StormRow | null;
}

/**
 * Decides which matches fire: suppression in a sliding window, dedupe, cooldown. A rule's own
 * suppression counts every match and comes first; the default one counts per dedupe key, without
 * matches joined by dedupe. It depends only on the events' order and instants, so that deciding
 * later, or again on stored events, gives the same result. Over tables its memory is a cache that
 * includes the sets in flight: {@link reset} it after such a set has failed.
 */
export class Throttle {
  readonly #states = new Map<string, KeyState>();
  readonly #lastFired: LastFired;
  readonly #defaults: DefaultSuppression;
  readonly #history: ThrottleHistory;
  readonly #capacity: number;
  #windows = new Map<string, { -readonly [K in keyof WindowCount]: WindowCount[K] }>();
  #resetWindows = new Map<string, WindowName>();
  #storms = new Map<string, StormRow>();
  #stormKeys = new Map<string, StormKey>();
  #repeats = new Map<string, number>();

  /** @param capacity limit of rules and keys in memory; `history` must know the others. */
  constructor(history: ThrottleHistory, defaults: DefaultSuppression, capacity = MAX_STATES) {
    this.#history = history;
    this.#defaults = defaults;
    this.#capacity = capacity;
    this.#lastFired = new LastFired(history.firing, capacity);
  }

  /** The throttle of the running program, which continues from the tables. */
  static overTables(reader: Sqlite, defaults: DefaultSuppression): Throttle {
    return new Throttle(new StoredHistory(reader), defaults);
  }

  /**
   * Returns the outcome of a match without changing anything: another rule may still fail the
   * event.
   * @param isLate the event is decided again later: it counts with the newest matches, because an
   * old instant would reset their window. @throws errors of a key's template
   */
  judge(rule: JudgedRule, event: IncomingEvent, isLate = false): Verdict {
    const { suppression: own, dedupe, countsTogether } = rule.throttling;
    const suppression = own ?? this.#defaults();
    const at = event.receivedAt;
    const dedupeKey = dedupe?.key.render(event, MAX_KEY_LENGTH) ?? null;
    // With the default each dedupe key has its own window: a storm of one never holds back the
    // first match of another.
    const ofDefault = countsTogether ? "" : (dedupeKey ?? "");
    const key = own ? (own.key?.render(event, MAX_KEY_LENGTH) ?? "") : ofDefault;
    const early = own ? null : this.#dedupeOrCooldown(rule, dedupeKey, at);
    if (early?.outcome === "deduped")
      return { rule, key, dedupeKey, countsAt: null, outcome: "deduped", notificationId: early.notificationId };
    const window = suppression && this.#stateOf(rule.row.id, key, suppression.windowMs).window;
    const countsAt = window && isLate ? Math.max(at, window.newestAt) : at;
    if (suppression && window && window.sumAt(countsAt) >= suppression.count)
      return { rule, key, dedupeKey, countsAt, outcome: "suppressed" };
    const held = own ? this.#dedupeOrCooldown(rule, dedupeKey, at) : early;
    if (held?.outcome === "deduped") {
      const { outcome, notificationId } = held;
      return { rule, key, dedupeKey, countsAt, outcome, notificationId };
    }
    return { rule, key, dedupeKey, countsAt, outcome: held?.outcome ?? "fired" };
  }

  /** Applies dedupe and cooldown to a match; null when it passes. */
  #dedupeOrCooldown(
    { row, throttling: { dedupe, cooldownMs } }: JudgedRule,
    dedupeKey: string | null,
    at: EpochMs,
  ): Held {
    if (!dedupe && cooldownMs === 0) return null;
    const last = this.#lastFired.last(row.id, dedupeKey);
    if (last && dedupe && isWithin(at, last.at, dedupe.windowMs))
      return { outcome: "deduped", notificationId: last.notificationId };
    return last && isWithin(at, last.at, cooldownMs) ? COOLED : null;
  }

  /** Records a verdict in memory and in the rows to write. @returns the storm that it starts */
  apply(verdict: Verdict, event: IncomingEvent, notificationId: string | null): StormRow | null {
    const { rule, key, dedupeKey, countsAt, outcome } = verdict;
    const ruleId = rule.row.id;
    const suppression = rule.throttling.suppression ?? this.#defaults();
    if (outcome === "deduped")
      this.#repeats.set(verdict.notificationId, (this.#repeats.get(verdict.notificationId) ?? 0) + 1);
    if (outcome === "fired" && notificationId !== null) {
      const isAsked = rule.throttling.dedupe !== null || rule.throttling.cooldownMs > 0;
      this.#lastFired.note(ruleId, dedupeKey, { at: event.receivedAt, notificationId, seq: event.seq }, isAsked);
    }
    if (!suppression || countsAt === null) return null;
    const state = this.#stateOf(ruleId, key, suppression.windowMs);
    // Moves it to the end: recent counts may not be in the tables yet and must not be evicted.
    const name = stateKey(ruleId, key);
    this.#states.delete(name);
    this.#states.set(name, state);
    if (state.window.isBehind(countsAt)) this.#resetWindow(ruleId, key);
    this.#count(ruleId, key, state.window.add(countsAt));
    return outcome === "suppressed" ? this.#hold(state, verdict, event) : null;
  }

  /** The database refused a notification: it must not hold back matches. Call after the commit. */
  refused({ id, ruleId, dedupeKey }: Pick<NotificationRow, "id" | "ruleId" | "dedupeKey">): void {
    if (ruleId !== null) this.#lastFired.forget(ruleId, dedupeKey, id);
  }

  /** Rows to write with the decisions since the last call. */
  take(): Omit<SuppressionRows, "jobs"> | null {
    if (this.#windows.size === 0 && this.#repeats.size === 0) return null;
    const rows = {
      resetWindows: [...this.#resetWindows.values()],
      windows: [...this.#windows.values()],
      storms: [...this.#storms.values()],
      keys: [...this.#stormKeys.values()],
      repeats: [...this.#repeats].map(([notificationId, count]) => ({ notificationId, count })),
    };
    this.#resetWindows = new Map();
    this.#windows = new Map();
    this.#storms = new Map();
    this.#stormKeys = new Map();
    this.#repeats = new Map();
    return rows;
  }

  /**
   * Matches of the rule and key in the window at an instant, and how many of them may fire. The
   * caller must hold the writer.
   */
  windowCount(
    ruleId: string,
    throttling: ThrottleSettings,
    key: string,
    at: EpochMs,
  ): { matches: number; count: number } {
    const suppression = throttling.suppression ?? this.#defaults();
    if (!suppression) return { matches: 0, count: 0 };
    const { window } = this.#stateOf(ruleId, key, suppression.windowMs);
    return { matches: window.sumAt(at), count: suppression.count };
  }

  /** The storm is over and its notification is on disk. */
  closed(ruleId: string, key: string): void {
    const state = this.#states.get(stateKey(ruleId, key));
    if (state) state.storm = null;
  }

  /** Clears the memory: the tables are read again. */
  reset(): void {
    this.#states.clear();
    this.#lastFired.clear();
    this.take();
  }

  #hold(state: KeyState, { rule, key, dedupeKey }: Verdict, event: IncomingEvent): StormRow | null {
    const ruleId = rule.row.id;
    const { seq, id, receivedAt } = event;
    const before = state.storm;
    const storm: StormRow = before
      ? {
          ...before,
          count: before.count + 1,
          lastSeq: Math.max(before.lastSeq, seq),
          lastAt: Math.max(before.lastAt, receivedAt),
          samples: before.samples.length < MAX_SAMPLES ? [...before.samples, id] : before.samples,
        }
      : {
          id: uuidv7(),
          ruleId,
          key,
          count: 1,
          firstSeq: seq,
          lastSeq: seq,
          startedAt: receivedAt,
          lastAt: receivedAt,
          samples: [id],
          jobId: uuidv7(),
        };
    state.storm = storm;
    this.#storms.set(storm.id, storm);
    if (dedupeKey !== null && dedupeKey !== key)
      this.#stormKeys.set(stateKey(storm.id, dedupeKey), { batchId: storm.id, key: dedupeKey });
    return before ? null : storm;
  }

  /** The clock was set back: deletes the stored counts of the key along with its window. */
  #resetWindow(ruleId: string, key: string): void {
    for (const [name, sum] of this.#windows) if (sum.ruleId === ruleId && sum.key === key) this.#windows.delete(name);
    this.#resetWindows.set(stateKey(ruleId, key), { ruleId, key });
  }

  #count(ruleId: string, key: string, bucketStart: EpochMs): void {
    const name = `${stateKey(ruleId, key)} ${bucketStart}`;
    const sum = this.#windows.get(name);
    if (sum) sum.count++;
    else this.#windows.set(name, { ruleId, key, bucketStart, count: 1 });
  }

  #stateOf(ruleId: string, key: string, windowMs: number): KeyState {
    const name = stateKey(ruleId, key);
    const known = this.#states.get(name);
    if (known?.windowMs === windowMs) return known;
    const state: KeyState = {
      windowMs,
      window: new MatchWindow(windowMs, this.#history.buckets(ruleId, key)),
      // A rule with a changed window continues its storm.
      storm: known?.storm ?? this.#history.storm(ruleId, key),
    };
    // Evicts the entry that counted least recently; its counts have long been written.
    if (this.#states.size >= this.#capacity) this.#states.delete(this.#states.keys().next().value ?? "");
    this.#states.set(name, state);
    return state;
  }
}

function stateKey(ruleId: string, key: string): string {
  return `${ruleId} ${key}`;
}

/** Also when the clock was set back in between. */
function isWithin(at: EpochMs, last: EpochMs, windowMs: number): boolean {
  return Math.abs(at - last) < windowMs;
}
