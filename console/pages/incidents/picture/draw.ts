import { formatInstant } from "../../../ui/clock.ts";
import { formatDuration } from "../../../ui/format.ts";
import { type Lane, type LaneBar, type Mark, type Picture, SIGNS } from "./model.ts";

/* Where things are on the axis. Marks that would cover each other are one. */

/** Marks in one place. */
export interface Spot {
  readonly x: number;
  /** The most important one. */
  readonly mark: Mark;
  readonly count: number;
}

/** A place that the pointer and the keys can reach, with what happened there. */
export interface Moment {
  readonly lane: number;
  readonly at: number;
  /** As fractions of the axis; of a bar its begin and end. */
  readonly x: number;
  readonly end: number;
  readonly lines: readonly string[];
}

export interface DrawnLane extends Lane {
  readonly spots: readonly Spot[];
}

export interface Drawing {
  readonly lanes: readonly DrawnLane[];
  /** By their time. */
  readonly moments: readonly Moment[];
}

/** A narrow picture is touched: its marks have room for a finger. */
const NARROW_PX = 500;
export const isNarrow = (width: number): boolean => width < NARROW_PX;

/** Room of a mark with the number of those in its place. */
const markRoom = (width: number): number => (isNarrow(width) ? 40 : 26);
const SHOWN_LINES = 8;
/** So many changes of a number can be reached, evenly spread. */
const SHOWN_LEVELS = 60;
const DAY_MS = 86_400_000;

/** @param width of the axis in px */
export function drawingOf(picture: Picture, width: number): Drawing {
  const { from, to } = picture;
  const place = (at: number): number => Math.min(1, Math.max(0, (at - from) / (to - from)));
  const clock = (at: number): string => formatInstant(at, to - from > DAY_MS ? "full" : "clock");
  const moments: Moment[] = [];
  const lanes = picture.lanes.map((lane, index): DrawnLane => {
    const add = (at: number, end: number, lines: readonly string[]) =>
      moments.push({ lane: index, at, x: place(at), end: place(end), lines });
    for (const bar of lane.bars ?? []) if (bar.isThin !== true) add(bar.from, bar.to, [barText(bar, picture, clock)]);
    for (const { at, count } of thinned(lane.levels ?? [], SHOWN_LEVELS)) add(at, at, [`${clock(at)} ${count} firing`]);
    const room = markRoom(width) / width;
    const groups = groupsOf(lane.marks ?? [], room * (to - from));
    const places = spreadOut(
      groups.map(([first]) => place(first?.at ?? from)),
      room,
    );
    const spots = groups.map((marks, at): Spot => {
      const lines = marks.map(({ at, text }) => `${clock(at)} ${text}`);
      const left = lines.length - SHOWN_LINES;
      const [first] = marks;
      const x = places[at] ?? 0;
      const shown = left > 0 ? [...lines.slice(0, SHOWN_LINES), `and ${left} more`] : lines;
      moments.push({ lane: index, at: first?.at ?? from, x, end: x, lines: shown });
      return { x, mark: mostImportant(marks), count: marks.length };
    });
    return { ...lane, spots };
  });
  moments.sort((a, b) => a.at - b.at || a.lane - b.lane);
  return { lanes, moments };
}

/** So that no mark covers another one: what comes next stands beside what was done just now, not on it. */
function spreadOut(places: readonly number[], room: number): readonly number[] {
  let least = 0;
  const right = places.map((x) => {
    const moved = Math.max(x, least);
    least = moved + room;
    return moved;
  });
  let most = 1;
  return right
    .toReversed()
    .map((x) => {
      const moved = Math.min(x, most);
      most = moved - room;
      return moved;
    })
    .toReversed();
}

function barText({ from, to, text }: LaneBar, { now, to: end }: Picture, clock: (at: number) => string): string {
  const isRunning = now !== null && to >= now;
  const until = isRunning ? `since ${clock(from)}` : `${clock(from)} to ${clock(to)}`;
  return `${until} (${formatDuration(Math.max(0, Math.min(to, now ?? end) - from))}) ${text}`;
}

/** Marks that are at most so far from the first of their group. */
function groupsOf(marks: readonly Mark[], apart: number): readonly (readonly Mark[])[] {
  const groups: Mark[][] = [];
  for (const mark of marks.toSorted((a, b) => a.at - b.at)) {
    const last = groups.at(-1);
    const isPlanned = mark.sign === "planned";
    if (last?.[0] && !isPlanned && mark.at - last[0].at < apart) last.push(mark);
    else groups.push([mark]);
  }
  return groups;
}

function mostImportant(marks: readonly Mark[]): Mark {
  const [first, ...others] = marks;
  if (first === undefined) throw new TypeError("a group has marks");
  const rank = ({ sign }: Mark): number => SIGNS.indexOf(sign);
  return others.reduce((best, mark) => (rank(mark) >= rank(best) ? mark : best), first);
}

function thinned<T>(items: readonly T[], most: number): readonly T[] {
  const step = Math.ceil(items.length / most);
  return step <= 1 ? items : items.filter((_, index) => index % step === 0);
}

/** The moment under a point of a lane; a mark before the bar that it is on. @param width of the axis in px */
export function momentAt(moments: readonly Moment[], lane: number, x: number, width: number): number | null {
  let best: number | null = null;
  let distance = (isNarrow(width) ? 20 : 12) / width;
  for (const [index, moment] of moments.entries()) {
    if (moment.lane !== lane) continue;
    const away = moment.end > moment.x ? Number.POSITIVE_INFINITY : Math.abs(moment.x - x);
    if (away <= distance) [best, distance] = [index, away];
  }
  if (best !== null) return best;
  const bar = moments.findIndex((each) => each.lane === lane && each.end > each.x && each.x <= x && x <= each.end);
  return bar < 0 ? null : bar;
}
