import { DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from "../../core/time/clock.ts";

/* What happened before the sample data: ended incidents of 90 days, as the table of kinds in examples/demo.json says. */

/** How far back incidents go. */
export const PAST_DAYS = 90;
/** Nothing of the past is newer, so that it does not mix with the incidents of now. */
const QUIET_MS = 2 * HOUR_MS;
/** The last days are denser. */
const LAST_DAYS = 7;
const LAST_DAYS_FACTOR = 1.6;
const WEEKEND_FACTOR = 0.6;
const NIGHT_SHARE = 0.25;
/** Of acknowledged incidents: a person ended it. */
const ENDED_BY_PERSON = 0.2;
const MISSED_PAGES = 0.04;
const SEED = 20_260_101;

/** An alert that comes again and again. */
export interface PastKind {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly instances: readonly string[];
  readonly summary: string;
  readonly policy: string;
  readonly groupBy: readonly string[];
  /** Matchers of the routes that lead to it, the root first. */
  readonly path: readonly string[];
  readonly perWeek: number;
  /** Shortest and longest time. */
  readonly minutes: readonly [number, number];
  /** Share of those that a person acknowledges. */
  readonly acknowledged: number;
  /** First and last hour of its times; default: mostly by day. */
  readonly hours?: readonly [number, number];
  /** It begins a few minutes after each of this other kind. */
  readonly follows?: string;
  readonly notes?: readonly string[];
}

/** A silence of the past, and the alert that it withheld. */
export interface PastSilence {
  readonly daysAgo: number;
  readonly hour: number;
  readonly minutes: number;
  readonly kind: string;
  readonly comment: string;
}

export interface PastTable {
  readonly kinds: readonly PastKind[];
  readonly silences: readonly PastSilence[];
  /** Hours ago and length of the times in which a heartbeat was down, the earliest first. */
  readonly heartbeats: Readonly<Record<string, readonly (readonly [hoursAgo: number, hours: number])[]>>;
}

/** A step of a policy that notifies, and when: without an acknowledgement it runs so long after the first. */
export interface PastStep {
  readonly step: number;
  readonly round: number;
  readonly afterMs: number;
  /** Ids of users at a time, with what leads to each. */
  readonly targets: (at: EpochMs) => ReadonlyMap<string, string>;
}

export interface PastPage {
  readonly step: PastStep;
  readonly at: EpochMs;
  readonly users: ReadonlyMap<string, string>;
  /** Users whom it did not reach. */
  readonly missed: ReadonlySet<string>;
}

export interface PastIncident {
  readonly kind: PastKind;
  readonly instances: readonly string[];
  readonly openedAt: EpochMs;
  readonly resolvedAt: EpochMs;
  readonly pages: readonly PastPage[];
  readonly ack: { readonly at: EpochMs; readonly userId: string } | null;
  readonly isEndedByPerson: boolean;
  readonly note: string | null;
  /** It withheld the alerts: no one was notified. */
  readonly silence: { readonly of: PastSilence; readonly startsAt: EpochMs; readonly endsAt: EpochMs } | null;
}

/** A generator of numbers from 0 to 1 (mulberry32): the same ones each time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The incidents until now, the earliest first. @param stepsOf those of a policy, in their order */
export function pastIncidents(
  { kinds, silences }: PastTable,
  stepsOf: (policy: string) => readonly PastStep[],
  now: EpochMs,
): PastIncident[] {
  const past = new Past(stepsOf, now);
  const begins = new Map<string, EpochMs[]>();
  for (const kind of kinds) {
    const before = kind.follows === undefined ? null : (begins.get(kind.follows) ?? []);
    const starts = before ? before.map((at) => at + past.between(1, 4) * MINUTE_MS) : past.starts(kind);
    begins.set(kind.name, past.add(kind, starts));
  }
  const today = new Date(now).setUTCHours(0, 0, 0, 0);
  for (const silence of silences) {
    const kind = kinds.find(({ name }) => name === silence.kind);
    const startsAt = today - silence.daysAgo * DAY_MS + silence.hour * HOUR_MS;
    if (kind) past.addSilenced(kind, { of: silence, startsAt, endsAt: startsAt + silence.minutes * MINUTE_MS });
  }
  return past.incidents.toSorted((a, b) => a.openedAt - b.openedAt);
}

class Past {
  readonly incidents: PastIncident[] = [];
  readonly #random = numbers(SEED);
  readonly #stepsOf: (policy: string) => readonly PastStep[];
  readonly #now: EpochMs;

  constructor(stepsOf: (policy: string) => readonly PastStep[], now: EpochMs) {
    this.#stepsOf = stepsOf;
    this.#now = now;
  }

  between(least: number, most: number): number {
    return least + this.#random() * (most - least);
  }

  starts({ perWeek, hours }: PastKind): EpochMs[] {
    const today = new Date(this.#now).setUTCHours(0, 0, 0, 0);
    const starts: EpochMs[] = [];
    for (let daysAgo = PAST_DAYS; daysAgo >= 0; daysAgo--) {
      const day = today - daysAgo * DAY_MS;
      const isWeekend = [0, 6].includes(new Date(day).getUTCDay());
      const rate = (perWeek / 7) * (daysAgo < LAST_DAYS ? LAST_DAYS_FACTOR : 1) * (isWeekend ? WEEKEND_FACTOR : 1);
      const count = Math.floor(rate + this.#random());
      for (let n = 0; n < count; n++) starts.push(day + this.#hour(hours) * HOUR_MS);
    }
    return starts.sort((a, b) => a - b);
  }

  #hour(hours: PastKind["hours"]): number {
    if (hours) return this.between(...hours);
    return this.#random() < NIGHT_SHARE ? this.between(22, 31) % 24 : this.between(7, 22);
  }

  /** @returns when those that were added begin: a group has one incident at a time */
  add(kind: PastKind, starts: readonly EpochMs[]): EpochMs[] {
    const [shortest, longest] = kind.minutes;
    let free = 0;
    const added: EpochMs[] = [];
    for (const start of starts) {
      const openedAt = Math.round(start);
      // Many are short, a few are long.
      const lastedMs = Math.round((shortest + (longest - shortest) * this.#random() ** 2) * MINUTE_MS);
      if (openedAt < free || openedAt + lastedMs > this.#now - QUIET_MS) continue;
      const incident = this.#incident(kind, openedAt, lastedMs);
      this.incidents.push(incident);
      added.push(openedAt);
      free = incident.resolvedAt + 3 * MINUTE_MS;
    }
    return added;
  }

  addSilenced(kind: PastKind, silence: NonNullable<PastIncident["silence"]>): void {
    const openedAt = silence.startsAt + Math.round(this.between(5, 25)) * MINUTE_MS;
    const resolvedAt = openedAt + Math.round(this.between(10, 30)) * MINUTE_MS;
    const isFree = this.incidents.every(
      (each) => each.kind !== kind || each.resolvedAt < openedAt || each.openedAt > resolvedAt,
    );
    if (!isFree) return;
    const instances = kind.instances.slice(0, 1);
    const none = { pages: [], ack: null, isEndedByPerson: false, note: null };
    this.incidents.push({ ...none, kind, instances, openedAt, resolvedAt, silence });
  }

  #incident(kind: PastKind, openedAt: EpochMs, lastedMs: number): PastIncident {
    const isNight = ![...Array(15).keys()].includes(new Date(openedAt).getUTCHours() - 7);
    const ackAfterMs =
      this.#random() < kind.acknowledged
        ? Math.round(this.between(0.6, isNight ? 14 : 7) ** (isNight ? 1.15 : 1) * MINUTE_MS)
        : Number.POSITIVE_INFINITY;
    const isAcknowledged = ackAfterMs < lastedMs;
    const stopsAfterMs = Math.min(ackAfterMs, lastedMs);
    const pages = this.#stepsOf(kind.policy)
      .filter(({ afterMs }) => afterMs < stopsAfterMs)
      .map((step): PastPage => {
        const at = openedAt + step.afterMs;
        const users = step.targets(at);
        return { step, at, users, missed: new Set([...users.keys()].filter(() => this.#random() < MISSED_PAGES)) };
      });
    const paged = [...new Set(pages.flatMap(({ users }) => [...users.keys()]))];
    const userId = paged[Math.floor(this.#random() * paged.length)];
    const ack = isAcknowledged && userId !== undefined ? { at: openedAt + ackAfterMs, userId } : null;
    const { notes = [] } = kind;
    return {
      ...{ kind, openedAt, resolvedAt: openedAt + lastedMs, pages, ack, silence: null },
      instances: kind.instances.slice(0, 1 + Math.floor(this.#random() * kind.instances.length)),
      isEndedByPerson: ack !== null && this.#random() < ENDED_BY_PERSON,
      note: ack === null ? null : (notes[Math.floor(this.#random() * notes.length * 2)] ?? null),
    };
  }
}
