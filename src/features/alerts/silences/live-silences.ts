import { setImmediate } from "node:timers/promises";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { AlertView } from "../types.ts";
import { LiveSilence } from "./live-silence.ts";
import type { SilenceRow } from "./silence.ts";
import { type Labelled, matchesAll, SilenceIndex } from "./silence-index.ts";

export interface LiveSilencesParts extends Uses<"reader" | "log"> {
  /** The firing alerts of a project. */
  readonly alertsOf: (projectId: string) => readonly AlertView[];
  /** The incidents with these alerts are looked at again: what is withheld from them may differ. */
  readonly reconsider: (projectId: string, alertIds: readonly string[]) => void;
}

interface OfProject {
  readonly silences: Map<string, LiveSilence>;
  readonly index: SilenceIndex<LiveSilence>;
}

/** Alerts that are compared before other work may run. */
const SLICE = 5000;

/** The silences that have not ended, in memory, current with each commit. */
export class LiveSilences {
  readonly #parts: LiveSilencesParts;
  readonly #byId = new Map<string, LiveSilence>();
  readonly #projects = new Map<string, OfProject>();
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

  #projectOf(projectId: string): OfProject {
    const known = this.#projects.get(projectId);
    if (known) return known;
    const made: OfProject = { silences: new Map(), index: new SilenceIndex() };
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
