import { type EpochMs, HOUR_MS, MINUTE_MS } from "../../core/time/clock.ts";
import type { MirrorObservedTable } from "../../store/schema.ts";
import { compareText } from "../alerts/index.ts";
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

export function compare({ alarms, observed, userOf, to }: BothSides): MirrorDifferences {
  const index = new AlarmIndex(alarms);
  const groups = new Map<Alarm | string, Group>();
  for (const each of observed) {
    const alarm = index.find(each);
    const id = alarm ?? strangeId(each, groups);
    const group = groups.get(id);
    if (group) group.observed.push(each);
    else groups.set(id, { alarm, observed: [each] });
  }
  const first = observed[0]?.at;
  // Before the first observation nothing is known of the other system.
  const isKnown = (at: EpochMs): boolean => first !== undefined && at >= first - SAME_MS && at <= to;
  // An end alone is that of an alarm before the first observation.
  const begun = [...groups.values()].filter((group) =>
    group.observed.some(({ kind, at }) => kind !== "resolved" && at <= to),
  );
  const differences = begun.flatMap((group) => ofGroup(group, userOf, isKnown));
  for (const alarm of alarms)
    if (!groups.has(alarm))
      for (const prism of firstTold(alarm).values())
        if (isKnown(prism.at)) differences.push({ class: "extra", why: null, old: null, prism, alarm });
  return { differences, alarms: begun.length };
}

/** What was observed of an alarm. */
interface Group {
  readonly alarm: Alarm | undefined;
  readonly observed: Observed[];
}

/** Keys and titles that Prism has not: one alarm for a day. */
function strangeId({ ref, key, title, startsAt, at }: Observed, groups: ReadonlyMap<Alarm | string, Group>): string {
  if (key === null && title === null) return `ref ${ref}`;
  const name = key === null ? `title ${title}` : `key ${key}`;
  if (startsAt !== null) return `${name} ${startsAt}`;
  const open = groups.get(`${name} open`);
  const isOver = open?.observed.some((each) => each.kind === "resolved" || at - each.at > ONE_ALARM_MS);
  return isOver ? `${name} ${at}` : `${name} open`;
}

function ofGroup(
  { alarm, observed }: Group,
  userOf: BothSides["userOf"],
  isKnown: (at: EpochMs) => boolean,
): MirrorDifference[] {
  const notices = observed.filter(({ kind }) => kind === "notified");
  const [any] = observed;
  if (alarm === undefined) return ofStrange(notices, any as Observed);
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
    if (userId === null) {
      const why = "nobody of the project is called so in Prism";
      differences.push({ class: "not-comparable", why, old, prism: null, alarm });
    } else if (prism) {
      told.delete(`user ${userId}`);
      differences.push(timed(old, prism, alarm));
    } else missed.push(old);
  }
  for (const old of others) {
    const all = [...alarm.told].sort((left, right) => left.at - right.at);
    const prism = all.find(({ way }) => isSameText(way, old.way)) ?? all[0];
    if (prism) differences.push(timed(old, prism, alarm));
    else missed.push(old);
  }
  // Without names of people it is not known who else was notified.
  const extra = people.length === 0 ? [] : [...told.values()].filter(({ userId }) => userId !== null);
  return [...differences, ...ofOthers(missed, extra, alarm, isKnown)];
}

/** An alarm that Prism does not have. */
function ofStrange(notices: readonly Observed[], any: Observed): MirrorDifference[] {
  const [people, others] = firstNotices(notices);
  const all = [...people, ...others];
  const isNamed = any.key !== null || any.title !== null || any.labels !== null;
  const why = isNamed ? "Prism has no such alarm" : "it has neither labels nor a key or title";
  return (all.length > 0 ? all : [any]).map((old) => ({
    ...{ class: isNamed ? "missing" : "not-comparable", why, old, prism: null, alarm: null },
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

function isSameText(left: string, right: string | null): boolean {
  return right !== null && left.toLowerCase() === right.toLowerCase();
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

/** Finds the alarm that another system means. */
export class AlarmIndex<A extends NamedAlarm> {
  readonly #byKey = new Map<string, A[]>();
  readonly #byName = new Map<string, A[]>();
  readonly #byTitle = new Map<string, A[]>();

  constructor(alarms: readonly A[]) {
    for (const alarm of alarms) {
      for (const key of new Set(alarm.keys)) add(this.#byKey, key, alarm);
      add(this.#byName, alarm.labels["alertname"] ?? "", alarm);
      for (const title of new Set(alarm.titles)) add(this.#byTitle, title.toLowerCase(), alarm);
    }
  }

  /** By its key, its labels, or its title and time. */
  find({ key, labels, title, at, startsAt }: Omit<Observed, "ref" | "kind" | "person" | "way">): A | undefined {
    const named = key === null ? [] : (this.#byKey.get(key) ?? []);
    const known = named.length > 0 || labels === null ? named : this.#with(labels);
    if (known.length > 0) {
      const started = startsAt === null ? [] : known.filter((each) => each.startsAt === startsAt);
      return nearest(started.length > 0 ? started : known, at, NEAR_MS);
    }
    const titled = title === null ? [] : (this.#byTitle.get(title.toLowerCase()) ?? []);
    return nearest(
      titled.filter(({ from, waitMs }) => Math.abs(at - from) <= waitMs + SAME_MS),
      at,
      NEAR_MS,
    );
  }

  /** A receiver may give an alert more labels than the other system has. */
  #with(labels: Readonly<Record<string, string>>): A[] {
    const name = labels["alertname"] ?? "";
    if (name === "") return [];
    const wanted = Object.entries(labels);
    return (this.#byName.get(name) ?? []).filter((alarm) =>
      wanted.every(([key, value]) => alarm.labels[key] === value),
    );
  }
}

function add<A>(index: Map<string, A[]>, key: string, alarm: A): void {
  const known = index.get(key);
  if (known) known.push(alarm);
  else index.set(key, [alarm]);
}

/** The one whose time is nearest; of several the last. */
function nearest<A extends NamedAlarm>(alarms: readonly A[], at: EpochMs, limitMs: number): A | undefined {
  const distance = ({ from, to }: A): number => Math.max(0, from - at, to === null ? 0 : at - to);
  let best: A | undefined;
  for (const each of alarms) {
    if (distance(each) > limitMs) continue;
    if (best === undefined) best = each;
    else {
      const closer = distance(each) - distance(best);
      if (closer < 0 || (closer === 0 && each.from > best.from)) best = each;
    }
  }
  return best;
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
