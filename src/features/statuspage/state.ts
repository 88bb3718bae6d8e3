import { DAY_MS, dateIn, type EpochMs, startOfDay, utcDate } from "../../core/time/clock.ts";
import type { ComponentState } from "../../store/schema.ts";

// The states of components and their history: pure functions.

/** From best to worst. */
export const STATES: readonly ComponentState[] = ["operational", "maintenance", "degraded", "partial", "outage"];

/** The state of a component while an alert fires. */
export type StatusEffect = "degraded" | "partial" | "outage";

export function worst(states: Iterable<ComponentState>): ComponentState {
  let found = 0;
  for (const state of states) found = Math.max(found, STATES.indexOf(state));
  return STATES[found] ?? "operational";
}

/** From `at` on the component has the state. */
export interface Change {
  readonly at: EpochMs;
  readonly state: ComponentState;
}

/** A span of one state. */
export interface OutageSpan {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly state: ComponentState;
}

/** The spans between two instants; time before the first change is unknown and has none. */
export function spansOf(changes: readonly Change[], from: EpochMs, to: EpochMs): OutageSpan[] {
  return changes.flatMap(({ at, state }, i) => {
    const span = { state, from: Math.max(at, from), to: Math.min(changes[i + 1]?.at ?? to, to) };
    return span.from < span.to ? [span] : [];
  });
}

/** A calendar day in the zone of the page. */
export interface Day {
  /** Such as `2026-11-21`. */
  readonly date: string;
  readonly from: EpochMs;
  /** 23 or 25 hours later on the days on which clocks change. */
  readonly to: EpochMs;
}

/** The last days, today included, oldest first. */
export function lastDays(count: number, timezone: string, now: EpochMs): Day[] {
  const today = Date.parse(dateIn(timezone, now));
  return Array.from({ length: count }, (_, i) => {
    const midnight = today - (count - 1 - i) * DAY_MS;
    const date = utcDate(midnight);
    return { date, from: startOfDay(midnight, timezone), to: startOfDay(midnight + DAY_MS, timezone) };
  });
}

/** A day of a component. */
export interface DayFacts {
  readonly date: string;
  /** The worst state of the day; null: nothing is known. */
  readonly state: ComponentState | null;
  /** Share of the known time, 0 to 1. */
  readonly uptime: number | null;
  readonly knownMs: number;
  /** In the states partial and outage. */
  readonly downMs: number;
}

export function dayFacts(changes: readonly Change[], { date, from, to }: Day, now: EpochMs): DayFacts {
  const spans = spansOf(changes, from, Math.min(to, now));
  const knownMs = lengthOf(spans);
  const downMs = lengthOf(spans.filter(({ state }) => isDown(state)));
  const state = spans.length === 0 ? null : worst(spans.map((span) => span.state));
  return { date, state, uptime: knownMs === 0 ? null : 1 - downMs / knownMs, knownMs, downMs };
}

/** Over all days; null if nothing is known. */
export function uptimeOf(days: readonly DayFacts[]): number | null {
  const knownMs = days.reduce((sum, day) => sum + day.knownMs, 0);
  const downMs = days.reduce((sum, day) => sum + day.downMs, 0);
  return knownMs === 0 ? null : 1 - downMs / knownMs;
}

/** Degraded components and those in maintenance count as up. */
export function isDown(state: ComponentState): boolean {
  return state === "partial" || state === "outage";
}

function lengthOf(spans: readonly OutageSpan[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** One disturbance for visitors: from the first change for the worse to the recovery. */
export interface Disturbance {
  readonly from: EpochMs;
  /** Null: it lasts. */
  readonly to: EpochMs | null;
  readonly state: ComponentState;
}

export function disturbances(changes: readonly Change[]): Disturbance[] {
  const found: Disturbance[] = [];
  for (const { at, state } of changes) {
    const last = found.at(-1);
    const open = last?.to === null ? last : undefined;
    if (state === "operational") {
      if (open) found.splice(-1, 1, { ...open, to: at });
    } else if (open) found.splice(-1, 1, { ...open, state: worst([open.state, state]) });
    else found.push({ from: at, to: null, state });
  }
  return found;
}
