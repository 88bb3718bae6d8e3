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
import { MatchWindow, type WindowBucket } from "./match-window.ts";

/** The last notification of a rule, by the time of receipt of its event. */
interface Firing {
  readonly at: EpochMs;
  readonly notificationId: string;
  /** The event's number; 0 if the event is deleted. */
  readonly seq: number;
}

/** Returns firings before the first one in memory. */
type EarlierFiring = (ruleId: string, dedupeKey: string | null) => Firing | null;

/** The last firing of each rule, or of its dedupe keys; for rules with a dedupe or a cooldown. */
export class LastFired {
  readonly #known = new Map<string, Firing | null>();
  readonly #earlier: EarlierFiring;
  readonly #capacity: number;

  /** @param capacity limit of rules and keys in memory; `earlier` must know the others. */
  constructor(earlier: EarlierFiring, capacity: number) {
    this.#earlier = earlier;
    this.#capacity = capacity;
  }

  last(ruleId: string, dedupeKey: string | null): Firing | null {
    const name = firingKey(ruleId, dedupeKey);
    let firing = this.#known.get(name);
    if (firing === undefined) {
      firing = this.#earlier(ruleId, dedupeKey);
      this.#put(name, firing);
    }
    return firing;
  }

  /**
   * Keeps the firing with the later event: another may be decided late.
   * @param isAsked whether the rule needs it with its current settings. Older entries are kept
   * current all the same: the rule may need them again.
   */
  note(ruleId: string, dedupeKey: string | null, firing: Firing, isAsked: boolean): void {
    const name = firingKey(ruleId, dedupeKey);
    const known = this.#known.get(name);
    if ((isAsked || known !== undefined) && (known?.seq ?? 0) <= firing.seq) this.#put(name, firing);
    // A rule without a key needs its firings of all keys.
    if (dedupeKey !== null) this.note(ruleId, null, firing, false);
  }

  /** A firing was not written. Earlier ones are stored by now. */
  forget(ruleId: string, dedupeKey: string | null, notificationId: string): void {
    const name = firingKey(ruleId, dedupeKey);
    if (this.#known.get(name)?.notificationId === notificationId) this.#known.delete(name);
    if (dedupeKey !== null) this.forget(ruleId, null, notificationId);
  }

  clear(): void {
    this.#known.clear();
  }

  /** Evicts the oldest entry, which has long been written. */
  #put(name: string, firing: Firing | null): void {
    this.#known.delete(name);
    if (this.#known.size >= this.#capacity) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(name, firing);
  }
}

function firingKey(ruleId: string, dedupeKey: string | null): string {
  return dedupeKey === null ? ruleId : `${ruleId} ${dedupeKey}`;
}

const CANDIDATES = 100;
const YOUNGEST = `select n.id as notificationId, coalesce(e.receivedAt, n.createdAt) as at, coalesce(e.seq, 0) as seq
  from notifications n left join events e on e.id = n.eventId`;

/** A throttle's past: from before it started, or for rules and keys it has no room for. */
export interface ThrottleHistory {
  buckets(ruleId: string, key: string): Iterable<WindowBucket>;
  storm(ruleId: string, key: string): StormRow | null;
  readonly firing: EarlierFiring;
}

/** No history: for replaying past events without their stored decisions. */
export const EMPTY_HISTORY: ThrottleHistory = { buckets: () => [], storm: () => null, firing: () => null };

/** History from the tables. A removed event counts as received when its notification was made. */
export class StoredHistory implements ThrottleHistory {
  readonly #byKey;
  readonly #byRule;
  readonly #buckets;
  readonly #storm;

  constructor(reader: Sqlite) {
    this.#byKey = reader.prepare<[string, string], Firing>(
      `${YOUNGEST} where n.ruleId = ? and n.dedupeKey = ? order by n.createdAt desc limit ${CANDIDATES}`,
    );
    this.#byRule = reader.prepare<[string], Firing>(
      `${YOUNGEST} where n.ruleId = ? and n.kind = 'rule' order by n.createdAt desc limit ${CANDIDATES}`,
    );
    this.#buckets = reader.prepare<[string, string], WindowBucket>(
      "select bucketStart, count from suppression_windows where ruleId = ? and key = ? order by bucketStart",
    );
    this.#storm = reader.prepare<[string, string], Omit<StormRow, "samples"> & { samples: string }>(
      `select id, ruleId, key, count, firstSeq, lastSeq, samples, startedAt, lastAt, jobId from suppressed_batches
       where ruleId = ? and key = ? and closedAt is null`,
    );
  }

  readonly firing: EarlierFiring = (ruleId, dedupeKey) =>
    lastOf(dedupeKey === null ? this.#byRule.all(ruleId) : this.#byKey.all(ruleId, dedupeKey));

  buckets(ruleId: string, key: string): Iterable<WindowBucket> {
    return this.#buckets.iterate(ruleId, key);
  }

  storm(ruleId: string, key: string): StormRow | null {
    const storm = this.#storm.get(ruleId, key);
    return storm ? { ...storm, samples: JSON.parse(storm.samples) as string[] } : null;
  }
}

/** The clock may have been set back: of the latest firings, takes the one with the last event. */
function lastOf(youngest: readonly Firing[]): Firing | null {
  return youngest.reduce<Firing | null>((last, each) => (last === null || each.seq > last.seq ? each : last), null);
}

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
