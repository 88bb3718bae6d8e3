import { readFile } from "node:fs/promises";
import type { Histogram } from "../../core/metrics.ts";
import { type EpochMs, MINUTE_MS } from "../../core/time/clock.ts";
import { type Calendar, calendarOf, localTime } from "../../core/time/local-clock.ts";
import { type Periodic, periodic } from "../../core/time/periodic.ts";
import type { Uses } from "../../module/feature.ts";
import { later, rowsOf, type Trx } from "../../store/database.ts";
import { Slices } from "../../store/retention.ts";
import { ackMsOf, addFact, type EndMark, endedAfter, factOf, type IncidentFact } from "./facts.ts";
import { holidaysIn } from "./local-days.ts";
import { type Arrived, arrivedIn, daysWith, saveDay } from "./person-days.ts";

export type CollectorParts = Uses<"db" | "clock" | "log" | "metrics" | "settings" | "steadyClock">;

const EVERY_MS = 30_000;
/** Pages that are on their way when an incident ends are counted. */
const SETTLE_MS = MINUTE_MS;
/** What a clock that was put back makes earlier than the mark. */
const OVERLAP_MS = 10 * MINUTE_MS;
const PAGES_AT_ONCE = 2000;
const SECONDS = [15, 60, 180, 300, 600, 1800, 3600, 14_400, 86_400];

type MarkName = "incidents" | "pages";

/**
 * Makes the rows of reports from incidents that have ended and pages that have arrived: in the background, so
 * that neither costs anything when it happens. After an upgrade it goes on from the oldest ones.
 */
export class ReportCollector {
  readonly #parts: CollectorParts;
  readonly #ackSeconds: (labels: Readonly<Record<string, string>>) => Histogram;
  readonly #resolveSeconds: (labels: Readonly<Record<string, string>>) => Histogram;
  readonly #pages;
  readonly #repeated: Periodic;
  readonly #startedAt: EpochMs;
  #holidays: { readonly file: string; readonly readAt: EpochMs; readonly days: ReadonlySet<string> } | null = null;
  #isStopped = false;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    const { metrics, clock, log } = parts;
    this.#startedAt = clock.now();
    this.#ackSeconds = metrics.histogram(
      "prism_incident_ack_seconds",
      "From the first page to the first response, of incidents that have ended since the start",
      SECONDS,
    );
    this.#resolveSeconds = metrics.histogram(
      "prism_incident_resolve_seconds",
      "From the opening to the end, of incidents that have ended since the start",
      SECONDS,
    );
    this.#pages = metrics.counter("prism_pages_total", "Pages that people got since the start, by day and night");
    this.#repeated = periodic({
      everyMs: EVERY_MS,
      work: () => this.#work(),
      onError: (error) => log.warn({ err: error }, "cannot count incidents and pages for reports; retrying"),
    });
  }

  start(): void {
    this.#repeated.start();
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#repeated.stop();
  }

  /** Counts what has ended and arrived until now. */
  collect(): Promise<void> {
    return this.#repeated.run();
  }

  /** What counts as night and weekend. A file of holidays that cannot be read has none. */
  async calendar(): Promise<Calendar> {
    const { night, holidays: file } = this.#parts.settings.current.reports;
    if (file === undefined) return calendarOf(night, new Set());
    const now = this.#parts.clock.now();
    if (this.#holidays?.file !== file || now - this.#holidays.readAt > 60 * MINUTE_MS) {
      const days = await readFile(file, "utf8")
        .then((text) => holidaysIn(text, now))
        .catch((error: unknown) => {
          this.#parts.log.warn({ err: error }, "cannot read reports.holidays");
          return this.#holidays?.days ?? new Set<string>();
        });
      this.#holidays = { file, readAt: now, days };
    }
    return calendarOf(night, this.#holidays.days);
  }

  async #work(): Promise<void> {
    await this.#countIncidents();
    await this.#countPages();
  }

  async #countIncidents(): Promise<void> {
    const { db, steadyClock } = this.#parts;
    const slices = new Slices();
    const mark = await this.#mark("incidents");
    let after: EndMark = { at: mark - OVERLAP_MS, id: "" };
    while (!this.#isStopped) {
      const rows = await endedAfter(db.scan, after, steadyClock.now() - SETTLE_MS, slices.rows);
      const last = rows.at(-1);
      if (!last) return;
      after = { at: last.resolvedAt, id: last.id };
      const facts = rows.flatMap((row) => factOf(row) ?? []);
      // Those before the mark are left out again.
      if (facts.length === 0 && after.at <= mark) continue;
      await slices.write(db, async (trx) => {
        for (const fact of facts) addFact(trx, fact);
        setMark(trx, "incidents", after.at);
      });
      const slugs = new Map(rows.map(({ projectId, slug }) => [projectId, slug]));
      for (const fact of facts) this.#observe(fact, slugs.get(fact.projectId) ?? "");
    }
  }

  async #countPages(): Promise<void> {
    const { db, clock } = this.#parts;
    const calendar = await this.calendar();
    const slices = new Slices();
    for (let mark = await this.#mark("pages"); !this.#isStopped; ) {
      const found = await arrivedIn(db.scan, mark, clock.now() - SETTLE_MS, PAGES_AT_ONCE);
      const isFull = found.length === PAGES_AT_ONCE;
      const last = found.at(-1)?.at ?? 0;
      // The rest of the last millisecond is read next time.
      const pages = isFull && (found[0]?.at ?? 0) < last ? found.filter(({ at }) => at < last) : found;
      const until = pages.at(-1)?.at;
      if (until === undefined) return;
      const days = await daysWith(db.scan, pages, calendar);
      for (let from = 0; from < days.length; ) {
        const part = days.slice(from, from + slices.rows);
        from += part.length;
        await slices.write(db, async (trx) => {
          for (const day of part) saveDay(trx, day);
          if (from === days.length) setMark(trx, "pages", until);
        });
      }
      for (const page of pages) this.#countPage(page, calendar);
      mark = until;
      if (!isFull) return;
    }
  }

  async #mark(name: MarkName): Promise<EpochMs> {
    const [row] = await rowsOf<{ at: number }>(this.#parts.db.read, "select at from report_marks where name = ?", [
      name,
    ]);
    return row?.at ?? 0;
  }

  #observe(fact: IncidentFact, project: string): void {
    if (fact.resolvedAt < this.#startedAt) return;
    const labels = { project, severity: fact.severity };
    const ackMs = ackMsOf(fact);
    if (ackMs !== null) this.#ackSeconds(labels).observe(ackMs / 1000);
    this.#resolveSeconds(labels).observe((fact.resolvedAt - fact.openedAt) / 1000);
  }

  #countPage({ at, timezone }: Arrived, calendar: Calendar): void {
    if (at >= this.#startedAt) this.#pages({ night: String(localTime(at, timezone, calendar).isNight) }).add();
  }
}

const SET_MARK = `insert into report_marks (name, at) values (?, ?)
  on conflict (name) do update set at = max(at, excluded.at)`;

function setMark(trx: Trx, name: MarkName, at: EpochMs): void {
  later(trx, SET_MARK, [name, at]);
}
