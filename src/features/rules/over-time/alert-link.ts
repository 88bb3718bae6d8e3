import type { Database as Sqlite } from "better-sqlite3";
import type { Logger } from "../../../core/log.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Offers } from "../../../module/feature.ts";
import type { AlertSignalRow } from "../../../store/commit/write-set.ts";
import type { RuleEvent } from "../language/language.ts";
import { type AlertTemplates, keyOf, overTimeSettings, seriesKey } from "./settings.ts";

/** A rule's report about an alert; an `AlertInput` of the alerts. */
export interface RuleAlert {
  readonly projectId: string;
  readonly source: "rule";
  readonly sourceId: string;
  /** `rule:<ruleId>:<key>` */
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly severity?: string | null;
  readonly startsAt?: EpochMs;
  /** Null: it fires until the rule resolves it. */
  readonly endsAt: EpochMs | null;
  /** The new alert is pending for this long. */
  readonly holdMs?: number;
  readonly resolvesAtOnce?: boolean;
}

type AlertsOfRules = Pick<Offers["alerts"], "byKey" | "submit" | "signalled">;

export function alertKey(ruleId: string, key: string): string {
  return `rule:${ruleId}:${key}`;
}

const MAX_VALUE = 1024;
const MAX_ANNOTATION = 4000;
/** Types of events about alerts: such an event never opens one, so that no rule feeds itself. */
const ABOUT_ALERTS = /^(?:alert|incident|silence|heartbeat|oncall)\./;

export function isAboutAlerts({ type }: Pick<RuleEvent, "type">): boolean {
  return ABOUT_ALERTS.test(type);
}

/** The alert of a match. @param at receipt of the event, or the due time of an absence */
export function firing(ruleId: string, alert: AlertTemplates, key: string, event: RuleEvent, at: EpochMs): RuleAlert {
  return {
    projectId: event.projectId,
    source: "rule",
    sourceId: ruleId,
    key: alertKey(ruleId, key),
    labels: rendered(alert.labels, event, MAX_VALUE),
    annotations: withoutEmpty(rendered(alert.annotations, event, MAX_ANNOTATION)),
    severity: alert.severity?.render(event, 100) ?? null,
    startsAt: at,
    endsAt: alert.resolveAfterMs === null ? null : at + alert.resolveAfterMs,
    ...(alert.forMs > 0 ? { holdMs: alert.forMs } : {}),
    resolvesAtOnce: true,
  };
}

/** The alert of a rule for an event. @returns null for a rule without one. @throws INVALID_TEMPLATE */
export function previewAlert(
  row: Parameters<typeof overTimeSettings>[0],
  event: RuleEvent,
): (Pick<RuleAlert, "labels" | "annotations" | "severity"> & { readonly key: string }) | null {
  const alert = overTimeSettings(row)?.alert;
  if (!alert) return null;
  const key = keyOf(alert.key, event);
  const { labels, annotations = {}, severity = null } = firing("", alert, key, event, event.receivedAt);
  return { key, labels, annotations, severity };
}

/** Ends the alert of this key. */
export function resolving(ruleId: string, key: string, projectId: string, at: EpochMs): RuleAlert {
  const source = { projectId, source: "rule", sourceId: ruleId, key: alertKey(ruleId, key) } as const;
  return { ...source, labels: {}, endsAt: at, resolvesAtOnce: true };
}

function rendered(templates: AlertTemplates["annotations"], event: RuleEvent, length: number): Record<string, string> {
  return Object.fromEntries(templates.map(([name, template]) => [name, template.render(event, length)]));
}

/** An event may have no text of its own. */
function withoutEmpty({ description, ...others }: Record<string, string>): Record<string, string> {
  return description ? { ...others, description } : others;
}

type Action = AlertSignalRow["action"];

/**
 * The live alerts of rules: those of the alerts, and the signals that they have not taken
 * yet. A match of a live alert is a repetition, which costs no row.
 */
export class AlertLink {
  readonly #log: Logger;
  /** Opened later than the rules. */
  readonly alerts: () => AlertsOfRules;
  /** The last signal of each alert that has not been taken. */
  readonly #signals = new Map<string, { readonly action: Action; readonly eventSeq: number }>();
  #repeats: RuleAlert[] = [];

  constructor(reader: Sqlite, log: Logger, alerts: () => AlertsOfRules) {
    this.#log = log;
    this.alerts = alerts;
    this.reload(reader);
  }

  /** Reads the signals that wait in the table. */
  reload(reader: Sqlite): void {
    this.#signals.clear();
    const rows = reader
      .prepare<[], Pick<AlertSignalRow, "eventSeq" | "action" | "projectId"> & { key: string }>(
        "select eventSeq, action, projectId, input ->> '$.key' as key from alert_signals where eventSeq > 0 order by eventSeq",
      )
      .all();
    for (const { eventSeq, action, projectId, key } of rows)
      this.#signals.set(seriesKey(projectId, key), { action, eventSeq });
  }

  isLive(projectId: string, key: string): boolean {
    const signal = this.#signals.get(seriesKey(projectId, key));
    if (signal) return signal.action === "fire";
    return this.alerts().byKey(projectId, key) !== null;
  }

  /** A signal will be written with its event. */
  sent(row: AlertSignalRow, key: string): void {
    this.#signals.set(seriesKey(row.projectId, key), row);
  }

  /** The alerts have taken these signals, or the database has refused them. */
  taken(signals: readonly Pick<AlertSignalRow, "eventSeq" | "projectId" | "input">[]): void {
    for (const { eventSeq, projectId, input } of signals) {
      const name = seriesKey(projectId, (JSON.parse(input) as RuleAlert).key);
      if (this.#signals.get(name)?.eventSeq === eventSeq) this.#signals.delete(name);
    }
  }

  /** A match of a live alert: moves its time-out, in memory only. */
  repeat(alert: RuleAlert): void {
    if (this.#repeats.length === 0) setImmediate(() => this.#sendRepeats());
    this.#repeats.push(alert);
  }

  #sendRepeats(): void {
    const alerts = this.alerts();
    // An alert whose signal still waits is opened by that signal, and one that was resolved stays so.
    const repeats = this.#repeats.filter(({ projectId, key }) => alerts.byKey(projectId, key));
    this.#repeats = [];
    if (repeats.length === 0) return;
    alerts.submit(repeats).catch((error: unknown) => {
      this.#log.warn({ err: error, count: repeats.length }, "cannot count matches of firing alerts");
    });
  }
}
