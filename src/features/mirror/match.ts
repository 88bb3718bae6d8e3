import { type EpochMs, HOUR_MS, MINUTE_MS } from "../../core/time/clock.ts";
import type { MirrorObservedTable } from "../../store/schema.ts";
import { compareText } from "../alerts/index.ts";
import { Pace } from "./pace.ts";
import type { MirrorClass } from "./schema.ts";

/*
 * Compares what a mirror project would have sent with what the other system did: the first notice of
 * each alarm to each person.
 */

export type Observed = Omit<MirrorObservedTable, "projectId" | "system" | "labels"> & {
  readonly labels: Readonly<Record<string, string>> | null;
};

/** A page of Prism that was skipped because the project is a mirror. */
export interface Told {
  /** Null: a room, a service or a webhook. */
  readonly userId: string | null;
  /** Name of the room or service, or the channel to the person. */
  readonly way: string;
  readonly at: EpochMs;
  readonly step: number | null;
  readonly incident: IncidentRef;
}

interface IncidentRef {
  readonly id: string;
  readonly number: number;
}

/** An alert, with what was sent of it by all its incidents. */
export interface Alarm {
  /** The first one. */
  readonly incident: IncidentRef;
  readonly titles: readonly string[];
  /** All by which another system may name it. */
  readonly keys: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: EpochMs;
  /** When it joined the incident. */
  readonly from: EpochMs;
  /** When it ended; null: it fires. */
  readonly to: EpochMs | null;
  /** How long its group waits before people are notified. */
  readonly waitMs: number;
  /** Pages of its incidents while it was in them: at least the first one to each person, room and service. */
  readonly told: readonly Told[];
}

export interface MirrorDifference {
  readonly class: MirrorClass;
  readonly why: string | null;
  readonly old: Observed | null;
  readonly prism: Told | null;
  readonly alarm: Alarm | null;
}

export interface MirrorDifferences {
  readonly differences: readonly MirrorDifference[];
  /** Of the other system. */
  readonly alarms: number;
}

export interface BothSides {
  readonly alarms: readonly Alarm[];
  /** By time. */
  readonly observed: readonly Observed[];
  /** The user whom a name of the other system means; null: none is called so. */
  userOf(person: string): string | null;
  /** What is younger may be on its way in one of the two. */
  readonly to: EpochMs;
}

/** Up to this difference two notices are the same. */
export const SAME_MS = MINUTE_MS;
/** Without the start of an alarm: how far a notice may be from the time in which Prism has the alarm. */
const NEAR_MS = HOUR_MS;
/** Observations of alarms that Prism does not have are of one alarm for so long. */
const ONE_ALARM_MS = 24 * HOUR_MS;
/** Of alarms with the same key, labels or title so many before a time and after it are looked at. */
const MOST_ALIKE = 200;

/** More alarms than are looked at are like the one that the other system means, and none of those is it. */
export const UNCLEAR = Symbol("unclear");

export async function compare(
  { alarms, observed, userOf, to }: BothSides,
  pace = new Pace(),
): Promise<MirrorDifferences> {
  const index = await AlarmIndex.of(alarms, pace);
  const groups: Group[] = [];
  const known = new Map<Alarm, Group>();
  const strange = new Map<string, Group>();
  for (const each of observed) {
    const found = index.find(each);
    const isUnclear = found === UNCLEAR;
    const alarm = isUnclear ? undefined : found;
    const name = strangeName(each);
    const open = alarm ? known.get(alarm) : strange.get(name);
    const isSame = open && (alarm !== undefined || (isSameStrange(open, each) && open.isUnclear === isUnclear));
    const group = isSame ? open : { alarm, isUnclear, observed: [], isResolved: false };
    group.observed.push(each);
    group.isResolved ||= each.kind === "resolved";
    if (!isSame) groups.push(group);
    if (alarm) known.set(alarm, group);
    else strange.set(name, group);
    pace.steps++;
    await pace.turn();
  }
  const first = observed[0]?.at;
  // Before the first observation nothing is known of the other system.
  const isKnown = (at: EpochMs): boolean => first !== undefined && at >= first - SAME_MS && at <= to;
  const differences: MirrorDifference[] = [];
  let begun = 0;
  for (const group of groups) {
    // An end alone is that of an alarm before the first observation.
    if (!group.observed.some(({ kind, at }) => kind !== "resolved" && at <= to)) continue;
    begun++;
    for (const each of ofGroup(group, userOf, isKnown)) differences.push(each);
    pace.steps += group.observed.length + (group.alarm?.told.length ?? 0);
    await pace.turn();
  }
  for (const alarm of alarms) {
    if (known.has(alarm)) continue;
    for (const prism of firstTold(alarm).values())
      if (isKnown(prism.at)) differences.push({ class: "extra", why: null, old: null, prism, alarm });
    pace.steps += 1 + alarm.told.length;
    await pace.turn();
  }
  return { differences, alarms: begun };
}

/** What was observed of an alarm. */
interface Group {
  readonly alarm: Alarm | undefined;
  readonly isUnclear: boolean;
  readonly observed: Observed[];
  isResolved: boolean;
}

function strangeName({ ref, key, title, startsAt }: Observed): string {
  const name = key === null ? `title ${title}` : `key ${key}`;
  return key === null && title === null ? `ref ${ref}` : `${name} ${startsAt ?? ""}`;
}

/** Keys and titles that Prism has not, without a start: one alarm until its end, or for a day. */
function isSameStrange({ isResolved, observed: [first] }: Group, { startsAt, at }: Observed): boolean {
  return startsAt !== null || (!isResolved && at - (first?.at ?? at) <= ONE_ALARM_MS);
}

function ofGroup(
  { alarm, isUnclear, observed }: Group,
  userOf: BothSides["userOf"],
  isKnown: (at: EpochMs) => boolean,
): MirrorDifference[] {
  const notices = observed.filter(({ kind }) => kind === "notified");
  const [any] = observed;
  if (alarm === undefined) return ofStrange(notices, any as Observed, isUnclear);
  const told = firstTold(alarm);
  if (notices.length === 0) {
    const [prism = null] = told.values();
    if (prism === null) return [];
    const why = "the other system does not say whom it notified";
    return [{ class: "not-comparable", why, old: any ?? null, prism, alarm }];
  }
  const differences: MirrorDifference[] = [];
  const [people, others] = firstNotices(notices);
  const missed: Observed[] = [];
  for (const old of people) {
    const userId = userOf(old.person ?? "");
    const prism = userId === null ? undefined : told.get(`user ${userId}`);
    // The report must not say whether an address belongs to an account: it counts as a person who was not notified.
    if (userId === null && !old.person?.includes("@")) {
      const why = "nobody of the project is called so in Prism";
      differences.push({ class: "not-comparable", why, old, prism: null, alarm });
    } else if (prism) {
      told.delete(`user ${userId}`);
      differences.push(timed(old, prism, alarm));
    } else missed.push(old);
  }
  const all = others.length === 0 ? [] : [...alarm.told].sort((left, right) => left.at - right.at);
  const byWay = new Map(all.map((each) => [each.way.toLowerCase(), each] as const).reverse());
  for (const old of others) {
    const prism = byWay.get((old.way ?? "").toLowerCase()) ?? all[0];
    if (prism) differences.push(timed(old, prism, alarm));
    else missed.push(old);
  }
  // Without names of people it is not known who else was notified.
  const extra = people.length === 0 ? [] : [...told.values()].filter(({ userId }) => userId !== null);
  return [...differences, ...ofOthers(missed, extra, alarm, isKnown)];
}

/** An alarm that Prism does not have, or that cannot be told from others. */
function ofStrange(notices: readonly Observed[], any: Observed, isUnclear: boolean): MirrorDifference[] {
  const [people, others] = firstNotices(notices);
  const all = [...people, ...others];
  const isNamed = any.key !== null || any.title !== null || any.labels !== null;
  const ofNamed = isUnclear ? "too many alarms of Prism are like it" : "Prism has no such alarm";
  const why = isNamed ? ofNamed : "it has neither labels nor a key or title";
  return (all.length > 0 ? all : [any]).map((old) => ({
    ...{ class: isNamed && !isUnclear ? "missing" : "not-comparable", why, old, prism: null, alarm: null },
  }));
}

/** Notices to persons whom the other side has not notified: two at the same time are one of another person. */
function ofOthers(
  missed: readonly Observed[],
  extra: readonly Told[],
  alarm: Alarm,
  isKnown: (at: EpochMs) => boolean,
): MirrorDifference[] {
  const left = new Set(extra);
  const found = missed.map((old): MirrorDifference => {
    const near = [...left].filter(({ at }) => old.person !== null && Math.abs(at - old.at) <= SAME_MS);
    const [prism = null] = near.sort((a, b) => Math.abs(a.at - old.at) - Math.abs(b.at - old.at));
    if (prism === null) return { class: "missing", why: null, old, prism, alarm };
    left.delete(prism);
    return { class: "other-person", why: null, old, prism, alarm };
  });
  for (const prism of left) if (isKnown(prism.at)) found.push({ class: "extra", why: null, old: null, prism, alarm });
  return found;
}

function timed(old: Observed, prism: Told, alarm: Alarm): MirrorDifference {
  const difference = prism.at - old.at;
  const name = difference > 0 ? "later" : "earlier";
  return { class: Math.abs(difference) <= SAME_MS ? "same" : name, why: null, old, prism, alarm };
}

/** The first page to each person, room or service. */
function firstTold({ told }: Alarm): Map<string, Told> {
  const first = new Map<string, Told>();
  for (const each of told) {
    const to = each.userId === null ? `way ${each.way}` : `user ${each.userId}`;
    if (each.at < (first.get(to)?.at ?? Number.POSITIVE_INFINITY)) first.set(to, each);
  }
  return first;
}

/** The first notice to each person, and of those without a person to each way. */
function firstNotices(notices: readonly Observed[]): readonly [people: Observed[], others: Observed[]] {
  const people = new Map<string, Observed>();
  const others = new Map<string, Observed>();
  for (const each of notices) {
    const [by, to] = each.person === null ? [others, each.way ?? ""] : [people, each.person.toLowerCase()];
    if (!by.has(to)) by.set(to, each);
  }
  return [[...people.values()], [...others.values()]];
}

/** All by which another system may name an alert: its key, its fingerprint, and its key at its own source. */
export function keysOf({ key, source, sourceId, fingerprint }: AlertNames): string[] {
  const maker = sourceId === null ? (source === "api" ? "api:" : null) : `:${sourceId}:`;
  const at = maker === null ? -1 : key.indexOf(maker);
  return [
    key,
    fingerprint,
    `fp:${fingerprint}`,
    ...(maker === null || at === -1 ? [] : [key.slice(at + maker.length)]),
  ];
}

interface AlertNames {
  readonly key: string;
  readonly source: string;
  readonly sourceId: string | null;
  readonly fingerprint: string;
}

/** By what an alarm is found. */
export type NamedAlarm = Pick<Alarm, "keys" | "labels" | "titles" | "startsAt" | "from" | "to" | "waitMs">;

/** Finds the alarm that another system means, however many are like it. */
export class AlarmIndex<A extends NamedAlarm> {
  /** Each list by `from`. */
  readonly #byKey = new Map<string, A[]>();
  readonly #byLabel = new Map<string, A[]>();
  readonly #byTitle = new Map<string, A[]>();
  readonly #pace: Pace;
  #longestWaitMs = 0;

  private constructor(pace: Pace) {
    this.#pace = pace;
  }

  static async of<A extends NamedAlarm>(alarms: readonly A[], pace = new Pace()): Promise<AlarmIndex<A>> {
    const index = new AlarmIndex<A>(pace);
    for (const alarm of [...alarms].sort((left, right) => left.from - right.from)) {
      index.#add(alarm);
      await pace.turn();
    }
    return index;
  }

  #add(alarm: A): void {
    const labels = Object.entries(alarm.labels);
    for (const key of new Set(alarm.keys)) add(this.#byKey, key, alarm);
    for (const label of labels) add(this.#byLabel, label.join("\0"), alarm);
    for (const title of new Set(alarm.titles.map((each) => each.toLowerCase()))) add(this.#byTitle, title, alarm);
    this.#longestWaitMs = Math.max(this.#longestWaitMs, alarm.waitMs);
    this.#pace.steps += alarm.keys.length + labels.length + alarm.titles.length;
  }

  /** By its key, its labels, or its title and time. */
  find({ key, labels, title, at, startsAt }: Sought): A | typeof UNCLEAR | undefined {
    if (this.#pace.isOver) return UNCLEAR;
    const named = key === null ? undefined : this.#byKey.get(key);
    const wanted = named ? [] : Object.entries(labels ?? {});
    const list = named ?? this.#fewest(wanted);
    // A receiver may give an alert more labels than the other system has.
    const isIt = (alarm: A): boolean => {
      this.#pace.steps += wanted.length;
      return wanted.every(([name, value]) => alarm.labels[name] === value);
    };
    const started =
      startsAt === null ? undefined : this.#nearest(list, at, (each) => each.startsAt === startsAt && isIt(each));
    const found = started === undefined || started === UNCLEAR ? this.#nearest(list, at, isIt) : started;
    if (found === UNCLEAR) return UNCLEAR;
    if (found) return distance(found, at) <= NEAR_MS ? found : undefined;
    const titled = title === null ? [] : (this.#byTitle.get(title.toLowerCase()) ?? []);
    const isNear = ({ from, waitMs }: A): boolean => Math.abs(at - from) <= waitMs + SAME_MS;
    return this.#nearest(titled, at, isNear, this.#longestWaitMs + SAME_MS);
  }

  /** Those with the rarest of the labels. */
  #fewest(wanted: readonly (readonly [string, string])[]): readonly A[] {
    this.#pace.steps += wanted.length;
    if (!wanted.some(([name, value]) => name === "alertname" && value !== "")) return [];
    const lists = wanted.map((label) => this.#byLabel.get(label.join("\0")) ?? []);
    return lists.reduce((fewest, list) => (list.length < fewest.length ? list : fewest));
  }

  /** The one whose time is nearest; of several the last. Of many, those before and after the time are looked at. */
  #nearest(
    alarms: readonly A[],
    at: EpochMs,
    isIt: (alarm: A) => boolean,
    reachMs = Number.POSITIVE_INFINITY,
  ): A | typeof UNCLEAR | undefined {
    const middle = placeAfter(alarms, at);
    const isInReach = ({ from }: A): boolean => Math.abs(from - at) <= reachMs;
    const before = alarms.slice(Math.max(0, middle - MOST_ALIKE), middle).filter(isInReach);
    const after = alarms.slice(middle, middle + MOST_ALIKE).filter(isInReach);
    let best: A | undefined;
    // What began before may last: the last one that does is it.
    for (const each of before.reverse()) {
      if (best && distance(best, at) === 0) break;
      this.#pace.steps++;
      if (isIt(each) && (best === undefined || distance(each, at) < distance(best, at))) best = each;
    }
    for (const each of best && distance(best, at) === 0 ? [] : after) {
      this.#pace.steps++;
      if (!isIt(each)) continue;
      // What begins later is farther away.
      if (best === undefined || distance(each, at) <= distance(best, at)) best = each;
      break;
    }
    const isCut = before.length === MOST_ALIKE || after.length === MOST_ALIKE;
    return best ?? (isCut ? UNCLEAR : undefined);
  }
}

type Sought = Omit<Observed, "ref" | "kind" | "person" | "way">;

function add<A>(index: Map<string, A[]>, key: string, alarm: A): void {
  const known = index.get(key);
  if (known) known.push(alarm);
  else index.set(key, [alarm]);
}

/** The place of the first that begins after a time. */
function placeAfter(alarms: readonly NamedAlarm[], at: EpochMs): number {
  let [low, high] = [0, alarms.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((alarms[middle]?.from ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function distance({ from, to }: NamedAlarm, at: EpochMs): number {
  return Math.max(0, from - at, to === null ? 0 : at - to);
}

/** Differences first, each class from the newest. */
export function inOrder(order: readonly MirrorClass[], differences: readonly MirrorDifference[]): MirrorDifference[] {
  const rank = new Map(order.map((name, at) => [name, at]));
  const atOf = ({ old, prism }: MirrorDifference): number => old?.at ?? prism?.at ?? 0;
  return [...differences].sort(
    (left, right) =>
      (rank.get(left.class) ?? 0) - (rank.get(right.class) ?? 0) ||
      atOf(right) - atOf(left) ||
      compareText(left.old?.ref ?? left.prism?.userId ?? "", right.old?.ref ?? right.prism?.userId ?? ""),
  );
}
