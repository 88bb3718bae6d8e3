import { setImmediate } from "node:timers/promises";
import { type EpochMs, MINUTE_MS } from "../../../core/time/clock.ts";
import type { SteadyClock } from "../../../core/time/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Matcher } from "../model/matchers.ts";
import { isWithin, nextChange, type TimeInterval } from "../model/time-intervals.ts";
import type { AlertView } from "../types.ts";
import { LiveSilence } from "./live-silence.ts";
import type { SilenceRow } from "./silence.ts";
import { type CompiledMatcher, compiled, type Labelled, matchesAll, SilenceIndex } from "./silence-index.ts";

/** Inhibition rules and intervals of a project's routing. A changed routing is another object. */
export interface WithholdingRules {
  readonly inhibitRules: readonly {
    readonly sourceMatchers: readonly Matcher[];
    readonly targetMatchers: readonly Matcher[];
    readonly equal: readonly string[];
  }[];
  readonly timeIntervals: ReadonlyMap<string, readonly TimeInterval[]>;
}

/** Names of time intervals of a route. */
export interface RouteIntervals {
  readonly projectId: string;
  readonly muteIntervals: readonly string[];
  readonly activeIntervals: readonly string[];
}

/** Why an alert is not sent now; all lists are empty if it is. */
export interface Withheld {
  /** Ids of silences. */
  readonly silencedBy: readonly string[];
  /** Fingerprints of firing alerts, one for each inhibition rule. */
  readonly inhibitedBy: readonly string[];
  /** Names of time intervals. */
  readonly mutedBy: readonly string[];
}

export function isWithheld({ silencedBy, inhibitedBy, mutedBy }: Withheld): boolean {
  return silencedBy.length + inhibitedBy.length + mutedBy.length > 0;
}

/** What a question about another time, or about alerts that do not fire, differs in. */
export interface Supposed {
  /** Wall clock: silences are those of this instant. */
  readonly silencesAt?: EpochMs;
  /** Alerts that are taken as firing, besides the stored ones. */
  readonly firing?: readonly AlertView[];
}

export interface WithholdingParts {
  readonly clock: SteadyClock;
  readonly routingOf: (projectId: string) => WithholdingRules;
  readonly silencing: (projectId: string, alert: Labelled, now: EpochMs) => readonly string[];
  /** The firing alerts of a project. */
  readonly alertsOf: (projectId: string) => readonly AlertView[];
  /** The incidents with these alerts are looked at again. */
  readonly reconsider: (projectId: string, alertIds: readonly string[]) => void;
}

/** Intervals may overlap: so many of their borders are looked at for a time without one. */
const MAX_CHANGES = 50;
/** Intervals look for their next change about as far. */
const MAX_MUTED_MS = 366 * 86_400_000;

interface OfProject {
  readonly routing: WithholdingRules;
  readonly rules: readonly InhibitRule[];
  readonly intervals: ReadonlyMap<string, Interval>;
}

/** Decides whether silences, inhibition rules or time intervals withhold an alert. */
export class Withholding {
  readonly #parts: WithholdingParts;
  readonly #projects = new Map<string, OfProject>();

  constructor(parts: WithholdingParts) {
    this.#parts = parts;
  }

  /**
   * All reasons to withhold a firing alert, as in Alertmanager.
   * @param now an instant of the steady clock; silences and intervals follow the wall clock
   */
  withheldBy(alert: AlertView, route: RouteIntervals, now: EpochMs, supposed: Supposed = {}): Withheld {
    const wall = this.#parts.clock.toWall(now);
    return {
      silencedBy: this.#parts.silencing(route.projectId, alert, supposed.silencesAt ?? wall),
      inhibitedBy: this.inhibiting(route.projectId, alert, supposed.firing),
      mutedBy: this.#muting(route, wall),
    };
  }

  /** Fingerprints of firing alerts that inhibit the alert, ascending. */
  inhibiting(projectId: string, alert: AlertView, firing: readonly AlertView[] = []): string[] {
    const found = new Set<string>();
    const { routing, rules } = this.#projectOf(projectId);
    const supposed = firing.length === 0 ? [] : routing.inhibitRules.map((rule) => new InhibitRule(rule, firing));
    for (const rule of [...rules, ...supposed]) {
      const source = rule.sourceFor(alert);
      if (source) found.add(source);
    }
    return [...found].sort();
  }

  /**
   * Names of the mute intervals that contain `now`, and the names of the active intervals if none of
   * them does. Names without an interval contain nothing.
   */
  muting(route: RouteIntervals, now: EpochMs): string[] {
    return this.#muting(route, this.#parts.clock.toWall(now));
  }

  /**
   * When the time intervals withhold nothing any more; null if they withhold nothing at `now`, or do
   * not end soon enough to be found. @param now an instant of the steady clock, as the result
   */
  unmutedAt(route: RouteIntervals, now: EpochMs): EpochMs | null {
    const { clock } = this.#parts;
    const wall = clock.toWall(now);
    let at = wall;
    for (let changes = 0; changes < MAX_CHANGES; changes++) {
      if (this.#muting(route, at).length === 0) return at === wall ? null : clock.fromWall(at);
      const { intervals } = this.#projectOf(route.projectId);
      const names = [...route.muteIntervals, ...route.activeIntervals];
      at = Math.min(...names.map((name) => intervals.get(name)?.nextChange(at) ?? Number.POSITIVE_INFINITY));
      if (at - wall > MAX_MUTED_MS) return null;
    }
    return null;
  }

  /** A commit has opened or changed a firing alert. */
  fired(alert: AlertView): void {
    const freed = this.#remove(alert);
    for (const rule of this.#projects.get(alert.projectId)?.rules ?? []) rule.add(alert);
    if (freed.length > 0) this.#parts.reconsider(alert.projectId, freed);
  }

  /** A commit has resolved an alert: what it inhibited may be sent. */
  resolved(alert: Pick<AlertView, "id" | "projectId">): void {
    const freed = this.#remove(alert);
    if (freed.length > 0) this.#parts.reconsider(alert.projectId, freed);
  }

  #muting({ projectId, muteIntervals, activeIntervals }: RouteIntervals, wall: EpochMs): string[] {
    if (muteIntervals.length + activeIntervals.length === 0) return [];
    const isIn = (name: string): boolean => this.#contains(projectId, name, wall);
    const isInactive = activeIntervals.length > 0 && !activeIntervals.some(isIn);
    return [...new Set([...muteIntervals.filter(isIn), ...(isInactive ? activeIntervals : [])])];
  }

  #contains(projectId: string, name: string, wall: EpochMs): boolean {
    return this.#projectOf(projectId).intervals.get(name)?.contains(wall) === true;
  }

  /** Built again from the firing alerts when the routing is another one. */
  #projectOf(projectId: string): OfProject {
    const routing = this.#parts.routingOf(projectId);
    const known = this.#projects.get(projectId);
    if (known?.routing === routing) return known;
    const firing = routing.inhibitRules.length === 0 ? [] : this.#parts.alertsOf(projectId);
    const rules = routing.inhibitRules.map((rule) => new InhibitRule(rule, firing));
    const intervals = new Map(Array.from(routing.timeIntervals, ([name, items]) => [name, new Interval(items)]));
    const built = { routing, rules, intervals };
    this.#projects.set(projectId, built);
    return built;
  }

  #remove({ id, projectId }: Pick<AlertView, "id" | "projectId">): string[] {
    return (this.#projects.get(projectId)?.rules ?? []).flatMap((rule) => rule.delete(id));
  }
}

/** Firing alerts with the same values of the labels in `equal`. An absent label counts as "". */
interface Cell {
  /** Fingerprints by alert id: sources that match the source side only, and both sides. */
  readonly sources: Map<string, string>;
  readonly twoSided: Map<string, string>;
  readonly targets: Set<string>;
}

/**
 * A firing source inhibits targets with equal labels. An alert that matches both sides is not
 * inhibited by another one that does. Each alert is found by its equal labels, not by a search.
 */
class InhibitRule {
  readonly #source: { readonly matchers: readonly CompiledMatcher[] };
  readonly #target: { readonly matchers: readonly CompiledMatcher[] };
  readonly #equal: readonly string[];
  readonly #cells = new Map<string, Cell>();
  readonly #keys = new Map<string, string>();

  constructor(
    { sourceMatchers, targetMatchers, equal }: WithholdingRules["inhibitRules"][number],
    firing: readonly AlertView[] = [],
  ) {
    this.#source = { matchers: compiled(sourceMatchers) };
    this.#target = { matchers: compiled(targetMatchers) };
    this.#equal = equal;
    for (const alert of firing) this.add(alert);
  }

  add(alert: AlertView): void {
    const isSource = matchesAll(this.#source, alert);
    const isTarget = matchesAll(this.#target, alert);
    if (!isSource && !isTarget) return;
    const key = this.#keyOf(alert);
    const cell = this.#cells.get(key) ?? { sources: new Map(), twoSided: new Map(), targets: new Set() };
    this.#cells.set(key, cell);
    this.#keys.set(alert.id, key);
    if (isSource) (isTarget ? cell.twoSided : cell.sources).set(alert.id, alert.fingerprint);
    if (isTarget) cell.targets.add(alert.id);
  }

  /** @returns the targets that the alert may have inhibited */
  delete(id: string): string[] {
    const key = this.#keys.get(id);
    const cell = key === undefined ? undefined : this.#cells.get(key);
    if (key === undefined || !cell) return [];
    this.#keys.delete(id);
    cell.targets.delete(id);
    const wasSource = cell.sources.delete(id);
    const wasTwoSided = cell.twoSided.delete(id);
    if (cell.sources.size + cell.twoSided.size + cell.targets.size === 0) this.#cells.delete(key);
    return wasSource || wasTwoSided ? [...cell.targets] : [];
  }

  /** The fingerprint of a firing alert that inhibits this one. */
  sourceFor(alert: AlertView): string | undefined {
    if (this.#cells.size === 0 || !matchesAll(this.#target, alert)) return undefined;
    const cell = this.#cells.get(this.#keyOf(alert));
    const [source] = cell?.sources.values() ?? [];
    if (!cell || source !== undefined || cell.twoSided.size === 0) return source;
    const [twoSided] = cell.twoSided.values();
    return matchesAll(this.#source, alert) ? undefined : twoSided;
  }

  #keyOf(alert: AlertView): string {
    return this.#equal.map((name) => keyPart(alert.label(name))).join("");
  }
}

/** Values with their lengths, so that no two lists of values have the same key. */
function keyPart(value: string): string {
  return `${value.length}:${value}`;
}

/** A named time interval. Its result is kept for the minute: it has no shorter parts. */
class Interval {
  readonly #items: readonly TimeInterval[];
  #minute = Number.NaN;
  #isWithin = false;
  /** The change after the instants from `#from` on. */
  #from = Number.POSITIVE_INFINITY;
  #change = Number.NEGATIVE_INFINITY;

  constructor(items: readonly TimeInterval[]) {
    this.#items = items;
  }

  contains(now: EpochMs): boolean {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#isWithin = isWithin(this.#items, now);
      this.#minute = minute;
    }
    return this.#isWithin;
  }

  /** When the answer changes next. */
  nextChange(now: EpochMs): EpochMs {
    if (now < this.#from || now >= this.#change) {
      this.#change = nextChange(this.#items, now);
      this.#from = now;
    }
    return this.#change;
  }
}

export interface LiveSilencesParts extends Uses<"reader" | "log"> {
  /** The firing alerts of a project. */
  readonly alertsOf: (projectId: string) => readonly AlertView[];
  /** The incidents with these alerts are looked at again: what is withheld from them may differ. */
  readonly reconsider: (projectId: string, alertIds: readonly string[]) => void;
}

interface SilencesOfProject {
  readonly silences: Map<string, LiveSilence>;
  readonly index: SilenceIndex<LiveSilence>;
}

/** Alerts that are compared before other work may run. */
const SLICE = 5000;

/** The silences that have not ended, in memory, current with each commit. */
export class LiveSilences {
  readonly #parts: LiveSilencesParts;
  readonly #byId = new Map<string, LiveSilence>();
  readonly #projects = new Map<string, SilencesOfProject>();
  /** Silences that started, ended or changed, until their alerts are found. */
  #touched: LiveSilence[] = [];
  #touching: Promise<void> | null = null;

  constructor(parts: LiveSilencesParts) {
    this.#parts = parts;
  }

  load(): void {
    const { reader } = this.#parts;
    for (const row of reader.prepare<[], SilenceRow>("select * from silences where reportedUntil < endsAt").all())
      this.#add(row);
  }

  /** Active silences that match an alert. */
  *active(projectId: string, alert: Labelled, now: EpochMs): Generator<LiveSilence, undefined> {
    const found = this.#projects.get(projectId)?.index.matching(alert) ?? [];
    for (const silence of found) if (silence.isActive(now)) yield silence;
  }

  all(): Iterable<LiveSilence> {
    return this.#byId.values();
  }

  ofProject(projectId: string): readonly LiveSilence[] {
    return [...(this.#projects.get(projectId)?.silences.values() ?? [])];
  }

  /** A commit has changed these silences. */
  changed(rows: readonly SilenceRow[]): void {
    for (const row of rows) {
      const old = this.#byId.get(row.id);
      if (old) this.#delete(old);
      const silence = this.#add(row);
      const isSame =
        old && silence && old.row.matchers === row.matchers && old.isReportedActive === silence.isReportedActive;
      if (!isSame) this.#touched.push(...[old, silence].filter((each) => each !== undefined));
    }
    if (this.#touched.length > 0) this.#touching ??= this.#findAlerts();
  }

  /** Resolves when the incidents of all changed silences are known. */
  async idle(): Promise<void> {
    await this.#touching;
  }

  /** @returns undefined for one that this version cannot read: it withholds nothing */
  #add(row: SilenceRow): LiveSilence | undefined {
    try {
      const silence = new LiveSilence(row);
      if (silence.stateAt(row.reportedUntil) === "expired") return silence;
      const { silences, index } = this.#projectOf(row.projectId);
      index.add(silence);
      silences.set(row.id, silence);
      this.#byId.set(row.id, silence);
      return silence;
    } catch (error) {
      this.#parts.log.error({ silence: row.id, err: error }, "cannot read a silence; it has no effect");
      return undefined;
    }
  }

  #delete(silence: LiveSilence): void {
    const { silences, index } = this.#projectOf(silence.row.projectId);
    index.delete(silence);
    silences.delete(silence.id);
    this.#byId.delete(silence.id);
    if (silences.size === 0) this.#projects.delete(silence.row.projectId);
  }

  #projectOf(projectId: string): SilencesOfProject {
    const known = this.#projects.get(projectId);
    if (known) return known;
    const made: SilencesOfProject = { silences: new Map(), index: new SilenceIndex() };
    this.#projects.set(projectId, made);
    return made;
  }

  /** In slices, after the commit: windows of many silences may begin at the same time. */
  async #findAlerts(): Promise<void> {
    for (await setImmediate(); this.#touched.length > 0; ) {
      const touched = this.#touched.splice(0);
      for (const projectId of new Set(touched.map(({ row }) => row.projectId))) {
        const silences = touched.filter(({ row }) => row.projectId === projectId);
        const ids: string[] = [];
        for await (const alert of this.#hits(projectId, silences)) ids.push(alert.id);
        if (ids.length > 0) this.#parts.reconsider(projectId, ids);
      }
    }
    this.#touching = null;
  }

  async *#hits(projectId: string, silences: readonly LiveSilence[]): AsyncGenerator<AlertView, undefined> {
    const alerts = this.#parts.alertsOf(projectId);
    const [first, ...more] = silences;
    const index = new SilenceIndex<LiveSilence>();
    for (const silence of silences) index.add(silence);
    const isHit = (alert: AlertView): boolean =>
      first !== undefined && more.length === 0 ? matchesAll(first, alert) : index.matching(alert).length > 0;
    for (let from = 0; from < alerts.length; from += SLICE) {
      yield* alerts.slice(from, from + SLICE).filter(isHit);
      await setImmediate();
    }
  }
}
