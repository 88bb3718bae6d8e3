import { invalidField, PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { checkLabels, type LabelRecord } from "../model/labels.ts";
import { type Matcher, matchersText, sortedMatchers } from "../model/matchers.ts";
import { matchesEmpty } from "../model/matching.ts";
import { Silence, type SilenceRow } from "./silence.ts";
import { type CompiledMatcher, compiled } from "./silence-index.ts";
import {
  requireWindows,
  type SilenceSpan,
  type SilenceState,
  type SilenceTimes,
  spanAt,
  stateAt,
  type WindowRule,
} from "./spans.ts";

export type SilenceKind = SilenceRow["kind"];

export function timesOf({ startsAt, endsAt, recurrence }: SilenceRow): SilenceTimes {
  return { startsAt, endsAt, recurrence: recurrence === null ? null : (JSON.parse(recurrence) as WindowRule) };
}

export function matchersOf({ matchers }: Pick<SilenceRow, "matchers">): Matcher[] {
  return JSON.parse(matchers) as Matcher[];
}

/** The text form of a silence's matchers. */
export function textOf(row: Pick<SilenceRow, "matchers">): string {
  return matchersText(matchersOf(row));
}

/** A silence as Alertmanager knows it: of a recurring one the current or next window. */
export interface SilenceAt extends SilenceSpan {
  readonly row: SilenceRow;
  readonly matchers: readonly Matcher[];
  readonly state: SilenceState;
  readonly annotations: LabelRecord;
}

export function silenceAt(row: SilenceRow, now: EpochMs): SilenceAt {
  const times = timesOf(row);
  const { startsAt, endsAt } = spanAt(times, now) ?? times;
  const annotations = Silence.value(row, "annotations");
  return { row, matchers: matchersOf(row), startsAt, endsAt, state: stateAt(times, now), annotations };
}

/** A silence in memory, with its matchers compiled. */
export class LiveSilence {
  readonly row: SilenceRow;
  readonly times: SilenceTimes;
  readonly matchers: readonly CompiledMatcher[];
  #span: SilenceSpan | null = null;
  /** Earliest instant in the span {@link #span}. */
  #spanFrom = Number.POSITIVE_INFINITY;

  /** @throws VALIDATION_FAILED for a pattern that this version cannot read */
  constructor(row: SilenceRow) {
    this.row = row;
    this.times = timesOf(row);
    this.matchers = compiled(matchersOf(row));
  }

  get id(): string {
    return this.row.id;
  }

  /** As {@link spanAt}. Times of a pattern are computed once per window. */
  spanAt(now: EpochMs): SilenceSpan | null {
    const isKnown = now >= this.#spanFrom && (this.#span === null || now < this.#span.endsAt);
    if (!isKnown) {
      this.#span = spanAt(this.times, now);
      this.#spanFrom = now;
    }
    return this.#span;
  }

  isActive(now: EpochMs): boolean {
    const span = this.spanAt(now);
    return span !== null && span.startsAt <= now;
  }

  stateAt(now: EpochMs): SilenceState {
    return this.spanAt(now) === null ? "expired" : this.isActive(now) ? "active" : "pending";
  }

  /** Whether it was active at the last border that is reported. */
  get isReportedActive(): boolean {
    const span = spanAt(this.times, this.row.reportedUntil);
    return span !== null && span.startsAt <= this.row.reportedUntil;
  }
}

/** A silence as a caller wants it. */
export interface SilenceDraft {
  readonly projectId: string;
  readonly kind: SilenceKind;
  readonly matchers: readonly Matcher[];
  /** Null, or an instant that has passed: now. */
  readonly startsAt: EpochMs | null;
  readonly endsAt: EpochMs;
  readonly recurrence: WindowRule | null;
  readonly comment: string;
  readonly createdBy: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export const MAX_MATCHERS = 50;
/** Matchers, comment and annotations together. */
const MAX_BYTES = 65_536;

/** The rules of Alertmanager. @throws VALIDATION_FAILED, INVALID_CRON */
export function checkDraft(draft: SilenceDraft, now: EpochMs): void {
  checkMatchers(draft.matchers);
  const { recurrence, endsAt } = draft;
  if (draft.startsAt !== null && draft.startsAt >= endsAt)
    throw invalidField("silence", "endsAt", "start time must be before end time", "ORDER");
  if (endsAt <= now) throw invalidField("silence", "endsAt", "end time can't be in the past", "PAST");
  if (recurrence !== null) {
    const startsAt = Math.max(draft.startsAt ?? now, now);
    requireWindows(recurrence, startsAt);
    if (spanAt({ startsAt, endsAt, recurrence }, startsAt) === null)
      throw invalidField("silence", "recurrence.cron", "no window starts before endsAt");
  }
  const bytes = Buffer.byteLength(JSON.stringify([draft.matchers, draft.comment, draft.annotations]));
  if (bytes > MAX_BYTES) throw invalidField("silence", "", `must be at most ${MAX_BYTES} bytes`, "SIZE");
}

/** @throws VALIDATION_FAILED */
export function checkMatchers(matchers: readonly Matcher[]): void {
  if (matchers.length > MAX_MATCHERS)
    throw invalidField("silence", "matchers", `must be at most ${MAX_MATCHERS} matchers`, "SIZE");
  if (matchers.length === 0) throw invalidField("silence", "matchers", "must be at least one matcher", "SIZE");
  for (const [at, matcher] of matchers.entries()) {
    try {
      checkLabels({ [matcher.name]: matcher.value });
      compiled([matcher]);
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      throw invalidField("silence", `matchers.${at}`, error.message);
    }
  }
  if (matchesEmpty(matchers))
    throw invalidField("silence", "matchers", "at least one matcher must not match the empty string", "MATCHES_EMPTY");
}

/** The stored members of a draft. Matchers are sorted and without duplicates, as in Alertmanager. */
export function columnsOf({ kind, matchers, endsAt, recurrence, comment, createdBy, annotations }: SilenceDraft) {
  const unique = new Map(matchers.map((matcher) => [JSON.stringify(matcher), matcher]));
  return {
    kind,
    matchers: JSON.stringify(
      sortedMatchers([...unique.values()]).map(({ name, operator, value }) => ({ name, operator, value })),
    ),
    endsAt,
    recurrence: recurrence === null ? null : JSON.stringify(recurrence),
    comment,
    createdBy,
    annotations: JSON.stringify(annotations),
  };
}

/** Values that no alert has, and that a pattern matches only if it matches almost everything. */
const IMPROBABLE = ["zq7-improbable-xk", "9\u00b6Q_\u2603w"];

/** Whether all matchers match almost any value, such as `team=~".+"` or `team!="db"`. */
export function matchesAnyValue(matchers: readonly Matcher[]): boolean {
  return compiled(matchers).every(({ matches }) => IMPROBABLE.every(matches));
}
