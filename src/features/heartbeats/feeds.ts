import { AsyncResource } from "node:async_hooks";
import { PrismError } from "../../core/errors.ts";
import type { Uses } from "../../module/feature.ts";
import type { FedHeartbeat } from "../../store/effect.ts";
import {
  type AlertRow,
  type AlertView,
  compileMatchers,
  type LabelRecord,
  type LabelsTest,
  labelsOf,
  matchesEmpty,
  parseMatchers,
  preparePatterns,
} from "../alerts/index.ts";

/** Fed heartbeats of one project: each repetition of its alerts is compared with all of them. */
export const MAX_FEEDS = 100;
/** Reports that come faster are not stored: the due time is at most this much too early. */
const STORE_EVERY_MS = 15_000;

export interface FeedsParts extends Uses<"clock" | "log"> {
  /** From now on called with each firing alert that its source reports again; null: no longer. */
  listen(fn: ((alert: AlertView) => void) | null): void;
  findAlert(id: string): AlertView | null;
  /** Firing alerts of a project, from memory. */
  firing(projectId: string, filter: (alert: AlertView) => boolean): readonly AlertView[];
  /** Stores a ping by an alert. Resolves when it is on disk. */
  ping(heartbeatId: string, report: AlertReport): Promise<unknown>;
}

/** The meaning of an alert for a heartbeat that it feeds. */
export interface AlertReport {
  readonly kind: "success" | "fail";
  /** Text of the alert, for people. */
  readonly name: string;
}

interface Feed {
  readonly id: string;
  readonly projectId: string;
  readonly test: LabelsTest;
  /** On the elapsed clock. */
  storedAt: number;
}

/**
 * Heartbeats that are fed by alerts: a report of a matching firing alert is a ping, its end a
 * failure. The matchers are in memory, compiled, by project; without any, alerts are not listened
 * to.
 */
export class AlertFeeds {
  readonly #parts: FeedsParts;
  readonly #feeds = new Map<string, Feed>();
  readonly #byProject = new Map<string, readonly Feed[]>();
  #reports = new Map<string, AlertReport>();
  #storing: Promise<void> = Promise.resolve();
  /** Not in the context of the commit or request that reported. */
  readonly #storeOutside = AsyncResource.bind(() => this.#storeLater());

  constructor(parts: FeedsParts) {
    this.#parts = parts;
  }

  /** A commit has changed these heartbeats, or they are read at the start. */
  changed(heartbeats: readonly FedHeartbeat[]): void {
    for (const { id, projectId, fedBy } of heartbeats) {
      if (fedBy === null) this.#feeds.delete(id);
      else this.#feeds.set(id, { id, projectId, test: compileFedBy(fedBy), storedAt: Number.NEGATIVE_INFINITY });
      const others = (this.#byProject.get(projectId) ?? []).filter((feed) => feed.id !== id);
      const feed = this.#feeds.get(id);
      const now = feed ? [...others, feed] : others;
      if (now.length === 0) this.#byProject.delete(projectId);
      else this.#byProject.set(projectId, now);
    }
    this.#parts.listen(this.#feeds.size === 0 ? null : (alert) => this.#reported(alert));
  }

  /** The heartbeat is not up: its next report counts at once. */
  wake(id: string): void {
    const feed = this.#feeds.get(id);
    if (feed) feed.storedAt = Number.NEGATIVE_INFINITY;
  }

  /** A commit has opened, changed or resolved these alerts. */
  alertsChanged(rows: readonly AlertRow[]): void {
    if (this.#feeds.size === 0) return;
    for (const row of rows) {
      if (!this.#byProject.has(row.projectId)) continue;
      const alert = row.state === "firing" ? this.#parts.findAlert(row.id) : null;
      if (alert) this.#reported(alert);
      // The end of one that was no longer repeated: the heartbeat has its own time for that.
      else if (row.state === "resolved" && row.timedOut === 0) this.#ended(row);
    }
  }

  /** Waits until what was reported is stored. */
  settled(): Promise<void> {
    return this.#storing;
  }

  #reported(alert: AlertView): void {
    const feeds = this.#byProject.get(alert.projectId);
    // The alerts of heartbeats are reported once, when they open.
    if (!feeds || alert.state !== "firing" || alert.source === "heartbeat") return;
    const now = this.#parts.clock.elapsed();
    for (const feed of feeds) {
      if (now - feed.storedAt < STORE_EVERY_MS || !feed.test(alert.labelSet)) continue;
      feed.storedAt = now;
      this.#add(feed, { kind: "success", name: alert.label("alertname") });
    }
  }

  #ended({ id, projectId, labels: text }: AlertRow): void {
    const labels = JSON.parse(text) as LabelRecord;
    const labelSet = labelsOf(labels);
    for (const feed of this.#byProject.get(projectId) ?? []) {
      if (!feed.test(labelSet)) continue;
      const others = this.#parts.firing(projectId, (other) => other.id !== id && feed.test(other.labelSet));
      if (others.length === 0) this.#add(feed, { kind: "fail", name: labels["alertname"] ?? "" });
    }
  }

  #add({ id }: Feed, report: AlertReport): void {
    if (this.#reports.size === 0) this.#storing = this.#storing.then(this.#storeOutside);
    this.#reports.set(id, report);
  }

  async #storeLater(): Promise<void> {
    const reports = this.#reports;
    this.#reports = new Map();
    for (const [id, report] of reports) {
      await this.#parts.ping(id, report).catch((err: unknown) => {
        this.#parts.log.warn({ err }, "cannot store a ping from an alert; its next report tries again");
        this.wake(id);
      });
    }
  }
}

/** {@link compileFedBy} of a request. @throws VALIDATION_FAILED, WORK_LIMITED */
export async function checkFedBy(fedBy: string): Promise<void> {
  await preparePatterns(parseMatchers(fedBy));
  compileFedBy(fedBy);
}

/** The test of `fedBy`, in Alertmanager's syntax. @throws VALIDATION_FAILED */
function compileFedBy(fedBy: string): LabelsTest {
  const matchers = parseMatchers(fedBy);
  if (matchesEmpty(matchers))
    throw new PrismError("VALIDATION_FAILED", "fedBy would match every alert; name the alert that feeds the heartbeat");
  return compileMatchers(matchers);
}
