import type { OnCallPerson, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { textWidth } from "../../ui/index.ts";
import { type FinalShift, nameOf, namesOf } from "./oncall-types.ts";

export const OVERRIDE_LEVEL = 10;
const COLOURS = 8;
/** Shorter ones have no length on a clock. */
const SHORTEST_GAP_MS = 60_000;

/** A part of a row: who is on call, or a gap. */
export interface Bar {
  readonly start: number;
  readonly end: number;
  readonly users: readonly OnCallPerson[];
  readonly isOverride: boolean;
  readonly isGap: boolean;
  /** Users who are away in this time, and stay on call. */
  readonly away: readonly OnCallUser[];
}

/** The final shifts with the gaps between them. @param since before it there was no schedule */
export function barsOf(shifts: readonly FinalShift[], since: number, from: number, to: number): readonly Bar[] {
  const bars: Bar[] = [];
  const gap = (start: number, end: number) => {
    if (end - start < SHORTEST_GAP_MS) return;
    bars.push({ start, end, users: [], isOverride: false, isGap: true, away: [] });
  };
  let covered = since;
  for (const { start, end, users, level } of shifts) {
    const [first, last] = [Math.max(Date.parse(start), from), Math.min(Date.parse(end), to)];
    if (last <= first) continue;
    gap(covered, first);
    const away = users.filter((user) => user.away !== null);
    bars.push({ start: first, end: last, users, isOverride: level === OVERRIDE_LEVEL, isGap: false, away });
    covered = last;
  }
  gap(covered, to);
  return bars;
}

/** The bars of a time span, cut at its ends. */
export function barsIn(bars: readonly Bar[], from: number, to: number): readonly Bar[] {
  return bars
    .filter(({ start, end }) => start < to && end > from)
    .map((bar) => ({ ...bar, start: Math.max(bar.start, from), end: Math.min(bar.end, to) }));
}

/** Bars that follow each other with the same users are one, whichever shifts name them. */
export function joinedBars(bars: readonly Bar[]): readonly Bar[] {
  const found: Bar[] = [];
  for (const bar of bars) {
    const last = found.at(-1);
    if (last && last.end === bar.start && factsOf(last) === factsOf(bar))
      found[found.length - 1] = { ...last, end: bar.end };
    else found.push(bar);
  }
  return found;
}

function factsOf({ users, isOverride, isGap, away }: Bar): string {
  return JSON.stringify([users.map(({ id }) => id), isOverride, isGap, away.map(({ id }) => id)]);
}

/** The users of some bars, each once, in the order of their time. */
export function usersOf<P extends OnCallUser>(bars: readonly { readonly users: readonly P[] }[]): readonly P[] {
  return [...new Map(bars.flatMap(({ users }) => users).map((person) => [person.id, person])).values()];
}

/** @returns the class with the colour of a user: another one for each, up to eight */
export function paletteOf(people: readonly OnCallUser[]): (id: string | undefined) => string {
  const ids = [...new Set(people.map(({ id }) => id))].sort();
  return (id) => `oc-c${Math.max(0, ids.indexOf(id ?? "")) % COLOURS}`;
}

/** Names in full, or the first word of each. @param px room for the text @returns undefined: no names fit */
export function fittingNames(people: readonly OnCallUser[], px: number): string | undefined {
  const forms = [namesOf(people), joined(people, (words) => words[0])];
  return forms.find((text) => textWidth(text) <= px);
}

/** Initials, the first letters of the names, or nothing. */
export function fittingInitials(people: readonly OnCallUser[], px: number): string {
  const forms = [joined(people, initials), joined(people, (words) => initials(words.slice(0, 1)))];
  return forms.find((text) => textWidth(text) <= px) ?? "";
}

function joined(people: readonly OnCallUser[], short: (words: readonly string[]) => string | undefined): string {
  return people.map((person) => short(nameOf(person).split(/\s+/)) ?? "").join(", ");
}

function initials(words: readonly string[]): string {
  return words
    .slice(0, 2)
    .map((word) => [...word][0]?.toUpperCase() ?? "")
    .join("");
}

/** "override, away" and such, for what is shown beside a name. */
export function marksOf({ isOverride, away }: Bar): readonly string[] {
  return [...(isOverride ? ["override"] : []), ...(away.length > 0 ? ["away"] : [])];
}
