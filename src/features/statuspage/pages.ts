import { AsyncResource } from "node:async_hooks";
import type { EpochMs } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect } from "../../store/database.ts";
import type { EffectOf } from "../../store/effect.ts";
import type { ComponentState } from "../../store/schema.ts";
import {
  type AlertRow,
  type AlertView,
  compileMatchers,
  labelsOf,
  type Matcher,
  parseMatcher,
} from "../alerts/index.ts";
import { enqueueChange } from "./mails.ts";
import type { PageComponent, PageDocument } from "./schema.ts";
import { type StatusEffect, worst } from "./state.ts";
import { insertChange, lastChanges, type StatusPageRow } from "./table.ts";

export type StatusPagesParts = Uses<
  "db" | "reader" | "clock" | "steadyClock" | "log" | "metrics" | "jobs" | "alerts" | "silences"
>;

/** A component in memory, with the firing alerts that concern it. */
interface LiveComponent {
  readonly id: string;
  readonly effectOf: (alert: AlertView) => StatusEffect | null;
  readonly alerts: Map<string, ComponentState>;
  /** The matchers of its sources. */
  readonly matchers: readonly (readonly Matcher[])[];
  /** The state that the last row of its history has, or will have; null: none. */
  recorded: ComponentState | null;
}

export interface LivePage {
  readonly row: StatusPageRow;
  readonly document: PageDocument;
  readonly components: ReadonlyMap<string, LiveComponent>;
}

interface PendingChange {
  readonly projectId: string;
  readonly componentId: string;
  readonly at: EpochMs;
  readonly state: ComponentState;
}

const RETRY_MS = 1000;

/**
 * The status pages of all projects. The state of each component follows from the firing alerts in
 * memory, and changes by the effects of commits only; each change is stored as a row of its history.
 */
export class StatusPages {
  readonly #parts: StatusPagesParts;
  readonly #pages = new Map<string, LivePage>();
  /** Changes with each effect that a public page shows. */
  readonly #revisions = new Map<string, number>();
  readonly #changes;
  #pending: PendingChange[] = [];
  #storing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #isRunning = false;
  /** Effects are applied in the context of the transaction that carried them. */
  readonly #flushOutside = AsyncResource.bind(() => void this.flush());

  constructor(parts: StatusPagesParts) {
    this.#parts = parts;
    this.#changes = parts.metrics.counter(
      "prism_status_changes_total",
      "Changes of status page components by new state",
    );
    parts.metrics.gauge("prism_status_pages", "Status pages that answer", () => this.publicCount);
  }

  get publicCount(): number {
    let count = 0;
    for (const { document } of this.#pages.values()) if (document.enabled) count++;
    return count;
  }

  /** Builds the memory from the tables, after the alerts and silences. */
  load(): void {
    const rows = this.#parts.reader.prepare<[], StatusPageRow>("select * from status_pages").all();
    for (const row of rows) this.#put(row);
  }

  /** Stores changes from now on; those of a down time have the time of the start. */
  start(): void {
    this.#isRunning = true;
    void this.flush();
  }

  async stop(): Promise<void> {
    await this.flush();
    this.#isRunning = false;
    if (this.#retry) clearTimeout(this.#retry);
    this.#retry = null;
  }

  of(projectId: string): LivePage | null {
    return this.#pages.get(projectId) ?? null;
  }

  /** Counts what a page of this project may show differently. */
  revision(projectId: string): number {
    return this.#revisions.get(projectId) ?? 0;
  }

  /** The current states by component id. */
  statesOf(projectId: string): ReadonlyMap<string, ComponentState> {
    const components = this.#pages.get(projectId)?.components ?? new Map<string, LiveComponent>();
    return new Map(Array.from(components.values(), (each) => [each.id, worst(each.alerts.values())]));
  }

  /** Whether a silence with these matchers may withhold alerts of a component of the page. */
  concerns({ components }: LivePage, matchers: readonly Matcher[]): boolean {
    const test = compileMatchers(matchers);
    return [...components.values()].some(
      (component) =>
        component.matchers.some((own) => mayShareAlerts(own, matchers)) ||
        [...component.alerts.keys()].some((id) => {
          const alert = this.#parts.alerts.find(id);
          return alert !== null && test(alert.labelSet);
        }),
    );
  }

  /** A commit has changed pages, or what they show. */
  changed({ rows = [], touched = [] }: Omit<EffectOf<"status-pages-changed">, "type">): void {
    for (const row of rows) this.#put(row);
    for (const projectId of touched) this.#touch(projectId);
  }

  /** A commit has changed these alerts. Call it when the alerts in memory are current. */
  alertsChanged(rows: readonly AlertRow[]): void {
    const now = this.#parts.steadyClock.now();
    for (const { id, projectId } of rows) {
      const page = this.#pages.get(projectId);
      if (!page) continue;
      const alert = this.#parts.alerts.find(id);
      for (const component of page.components.values()) {
        const state = alert?.state === "firing" ? this.#stateBy(component, alert, now) : null;
        if (state === null) component.alerts.delete(id);
        else component.alerts.set(id, state);
        this.#record(projectId, component, now);
      }
    }
    this.#flushOutside();
  }

  /** A commit has changed silences of these projects, or one has started or ended. */
  silencesChanged(projectIds: ReadonlySet<string>): void {
    const now = this.#parts.steadyClock.now();
    for (const projectId of projectIds) {
      const page = this.#pages.get(projectId);
      if (!page) continue;
      this.#touch(projectId);
      for (const component of page.components.values()) {
        for (const id of [...component.alerts.keys()]) {
          const alert = this.#parts.alerts.find(id);
          const state = alert && this.#stateBy(component, alert, now);
          if (state) component.alerts.set(id, state);
        }
        this.#record(projectId, component, now);
      }
    }
    this.#flushOutside();
  }

  /** Resolves when every change is on disk. */
  async flush(): Promise<void> {
    while (this.#isRunning && (this.#storing || this.#pending.length > 0)) {
      this.#storing ??= this.#store().finally(() => {
        this.#storing = null;
      });
      await this.#storing;
      if (this.#retry) return;
    }
  }

  #put(row: StatusPageRow): void {
    const { projectId } = row;
    const document = JSON.parse(row.document) as PageDocument;
    const before = this.#pages.get(projectId)?.components;
    const listed = document.groups.flatMap(({ components }) => components);
    const recorded = lastChanges(
      this.#parts.reader,
      listed.flatMap(({ id }) => id ?? []),
    );
    const alerts = this.#parts.alerts.list(projectId);
    const now = this.#parts.steadyClock.now();
    const components = new Map<string, LiveComponent>();
    for (const each of listed) {
      if (each.id === undefined) continue;
      const component = liveComponent(each.id, each, before?.get(each.id)?.recorded ?? recorded.get(each.id) ?? null);
      for (const alert of alerts) {
        const state = this.#stateBy(component, alert, now);
        if (state !== null) component.alerts.set(alert.id, state);
      }
      components.set(component.id, component);
      this.#record(projectId, component, now);
    }
    this.#pages.set(projectId, { row, document, components });
    this.#touch(projectId);
    this.#flushOutside();
  }

  #stateBy(component: LiveComponent, alert: AlertView, now: EpochMs): ComponentState | null {
    const effect = component.effectOf(alert);
    if (effect === null) return null;
    return isInMaintenance(this.#parts, alert, now) ? "maintenance" : effect;
  }

  #record(projectId: string, component: LiveComponent, at: EpochMs): void {
    const state = worst(component.alerts.values());
    if (state === component.recorded) return;
    component.recorded = state;
    this.#pending.push({ projectId, componentId: component.id, at, state });
    this.#touch(projectId);
  }

  #touch(projectId: string): void {
    this.#revisions.set(projectId, this.revision(projectId) + 1);
  }

  async #store(): Promise<void> {
    const changes = this.#pending;
    this.#pending = [];
    try {
      await this.#parts.db.write(async (trx) => {
        for (const change of changes) await insertChange(trx, change);
        for (const { projectId, componentId } of changes)
          if (this.#pages.get(projectId)?.document.subscriptions)
            await enqueueChange(this.#parts, trx, { projectId, componentId });
        addEffect(trx, { type: "status-pages-changed", touched: changes.map(({ projectId }) => projectId) });
      });
      for (const { state } of changes) this.#changes({ state }).add();
    } catch (error) {
      this.#pending = [...changes, ...this.#pending];
      this.#parts.log.warn({ err: error }, "cannot store changes of status pages; retrying");
      this.#retry ??= setTimeout(() => {
        this.#retry = null;
        this.#flushOutside();
      }, RETRY_MS).unref();
    }
  }
}

function liveComponent(id: string, { sources = [] }: PageComponent, recorded: ComponentState | null): LiveComponent {
  const parsed = sources.map((source) => source.matchers?.map(parseMatcher));
  const tests = sources.map(({ heartbeats, tag, effect }, at) => {
    const matchers = parsed[at];
    const test = matchers ? compileMatchers(matchers) : null;
    return (alert: AlertView): StatusEffect | null => {
      if (test) return test(alert.labelSet) ? effect : null;
      if (alert.source !== "heartbeat") return null;
      if (heartbeats) return heartbeats.includes(alert.sourceId ?? "") ? effect : null;
      return alert
        .label("tags")
        .split(" ")
        .includes(tag ?? "")
        ? effect
        : null;
    };
  });
  const effectOf = (alert: AlertView): StatusEffect | null => {
    const found = tests.flatMap((test) => test(alert) ?? []);
    return found.length === 0 ? null : (worst(found) as StatusEffect);
  };
  return { id, effectOf, alerts: new Map(), matchers: parsed.flatMap((each) => (each ? [each] : [])), recorded };
}

/** Both have a label in common, and no common label excludes an alert that both match. */
function mayShareAlerts(left: readonly Matcher[], right: readonly Matcher[]): boolean {
  const pairs = left.flatMap((one) => right.filter(({ name }) => name === one.name).map((other) => [one, other]));
  return pairs.length > 0 && pairs.every(([one, other]) => one && other && accepts(one, other) && accepts(other, one));
}

function accepts(one: Matcher, { name, operator, value }: Matcher): boolean {
  return operator !== "=" || compileMatchers([one])(labelsOf({ [name]: value }));
}

/** Whether a maintenance window withholds the alert now. */
function isInMaintenance({ silences }: Uses<"silences">, alert: AlertView, now: number): boolean {
  const silencing = silences.silencing(alert.projectId, alert, now);
  if (silencing.length === 0) return false;
  return silences.live(alert.projectId).some(({ id, row }) => row.kind === "maintenance" && silencing.includes(id));
}
