import { setImmediate } from "node:timers/promises";
import { pageWarning } from "../../../core/runtime.ts";
import { type EpochMs, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { compareInGroup, type LabelRecord } from "../model/labels.ts";
import type { PolicyStep } from "../policies/policy.ts";
import type { RouteSettings } from "../policies/routing.ts";
import type { AlertView } from "../types.ts";
import { type AlertSeverity, directOf, type IncidentRow } from "./incident.ts";
import type { NoticeReason } from "./machine.ts";
import { isUnreported } from "./notice-text.ts";
import type { NoticeCounts } from "./page-view.ts";

/* Bodies of webhook steps: pure functions over rows as they are when the body is made. */

/** A larger body is shortened, as by `maxAlerts`. */
const MAX_BODY_BYTES = 33_554_432;
/** Largest size of the members beside the alerts. */
const REST_BYTES = 524_288;
/** Entries between two breaths of the event loop: about a millisecond. */
const SLICE = 100;
const NEVER = "0001-01-01T00:00:00Z";

/** As Alertmanager's `notification_reason`. */
const REASONS: Readonly<Record<NoticeReason, string>> = {
  step: "first notification",
  // To Alertmanager an alert of another severity is another alert.
  "severity-raised": "new alerts added",
  "new-alerts": "new alerts added",
  "some-resolved": "some alerts resolved",
  repeat: "repeat interval elapsed",
  resolved: "all alerts resolved",
};

/** An alert as a body shows it: an incident that has ended has no firing alerts. */
export interface BodyEntry {
  readonly alert: AlertView;
  readonly isFiring: boolean;
}

/** Context of entries, besides the alerts. */
export interface EntryRules {
  /** The incident has ended. */
  readonly isEnded: boolean;
  /** Fingerprints that fire in a later incident of the group, whose webhooks name them. */
  readonly firingLater: ReadonlySet<string>;
  /** Whether ends are reported. */
  readonly sendResolved: boolean;
  /** Whether a silence, an inhibition or a time interval withholds the alert now. */
  isWithheld(alert: AlertView): boolean;
}

/** The entries of a body, and the firing alerts that something withholds, which are left out. */
export interface Entries {
  readonly shown: readonly BodyEntry[];
  readonly leftOut: readonly string[];
}

/**
 * One entry for each fingerprint: the alert that fires, otherwise the newest. An end is reported whatever withholds
 * the alert.
 */
export async function entriesOf(alerts: readonly AlertView[], rules: EntryRules): Promise<Entries> {
  const newest = new Map<string, AlertView>();
  for (const alert of alerts) {
    const other = newest.get(alert.fingerprint);
    if (other === undefined || isNewer(alert, other)) newest.set(alert.fingerprint, alert);
  }
  const shown: BodyEntry[] = [];
  const leftOut: string[] = [];
  let count = 0;
  for (const alert of newest.values()) {
    count += 1;
    if (count % SLICE === 0) await setImmediate();
    const isFiring = alert.state === "firing" && !rules.isEnded;
    if (isFiring && rules.isWithheld(alert)) leftOut.push(alert.id);
    else if (isFiring || (rules.sendResolved && !rules.firingLater.has(alert.fingerprint)))
      shown.push({ alert, isFiring });
  }
  return { shown, leftOut };
}

/** Ids of alerts are in the order in which they opened. */
function isNewer(alert: AlertView, other: AlertView): boolean {
  const [fires, otherFires] = [alert.state === "firing", other.state === "firing"];
  return fires === otherFires ? alert.id > other.id : fires;
}

/** Parts of a body. */
export interface BodyContent {
  readonly row: IncidentRow;
  /** Name of the policy. */
  readonly policy: string;
  readonly entries: readonly BodyEntry[];
  readonly reason: NoticeReason;
  /** When the incident decided to notify. */
  readonly at: EpochMs;
  /** Id of the message, the same for each attempt. */
  readonly id: string;
  readonly publicUrl: string | undefined;
  /** Outcomes of the incident's notices so far, this one included; null: the format has none. */
  readonly notices: NoticeCounts | null;
  /** Of the reason `severity-raised`: the highest severity that was reported before. */
  readonly severityBefore: AlertSeverity | null;
  /** The number of the incident that its alerts have moved to. */
  readonly movedTo: number | null;
}

export interface Body {
  readonly bytes: Buffer;
  /** Number of entries, and of those cut off. */
  readonly shown: number;
  readonly truncated: number;
  /** It was cut because of its size, not because of `maxAlerts`. */
  readonly isTooLarge: boolean;
}

interface Format {
  entry(content: BodyContent, entry: BodyEntry): { readonly labels: LabelRecord; readonly annotations: LabelRecord };
  /** The members before and after `alerts`. */
  head(content: BodyContent): object;
  tail(content: BodyContent, all: Shown): object;
}

/** The members beside the alerts, for all entries. */
interface Shown {
  readonly labels: LabelRecord;
  readonly annotations: LabelRecord;
  readonly truncated: number;
}

/**
 * The body of a webhook step: in the order of Alertmanager; if it is shortened, firing alerts first.
 * @param maxAlerts 0: all
 */
export async function bodyOf(
  { format, maxAlerts = 0 }: Pick<Extract<PolicyStep, { type: "webhook" }>, "format" | "maxAlerts">,
  content: BodyContent,
  maxBytes: number = MAX_BODY_BYTES,
): Promise<Body> {
  const { head, entry, tail } = FORMATS[format];
  const sorted = await inGroupOrder(content.entries);
  const firingFirst = [...sorted.filter(({ isFiring }) => isFiring), ...sorted.filter(({ isFiring }) => !isFiring)];
  const wanted = maxAlerts > 0 ? firingFirst.slice(0, maxAlerts) : firingFirst;
  const texts = new Map<BodyEntry, string>();
  const [labels, annotations] = [new Common(), new Common()];
  let left = maxBytes - REST_BYTES;
  for (const each of wanted) {
    const value = entry(content, each);
    const text = JSON.stringify(value);
    left -= Buffer.byteLength(text) + 1;
    if (left < 0) break;
    texts.set(each, text);
    labels.add(value.labels);
    annotations.add(value.annotations);
    if (texts.size % SLICE === 0) await setImmediate();
  }
  const truncated = sorted.length - texts.size;
  const order = truncated === 0 ? sorted : wanted.slice(0, texts.size);
  const start = JSON.stringify(head({ ...content, entries: order })).slice(0, -1);
  const end = JSON.stringify(tail(content, { labels: labels.all, annotations: annotations.all, truncated })).slice(1);
  const bytes = await joined(
    `${start},"alerts":[`,
    order.map((each) => texts.get(each) ?? ""),
    `],${end}`,
  );
  return { bytes, shown: texts.size, truncated, isTooLarge: texts.size < wanted.length };
}

/** Sorted in slices, which are merged: 5000 at once block the event loop for 30 ms. */
async function inGroupOrder(entries: readonly BodyEntry[]): Promise<readonly BodyEntry[]> {
  let runs: (readonly BodyEntry[])[] = [];
  for (let at = 0; at < entries.length; at += SLICE) {
    runs.push(entries.slice(at, at + SLICE).sort(compareEntries));
    if (at > 0) await setImmediate();
  }
  while (runs.length > 1) {
    const merged: (readonly BodyEntry[])[] = [];
    for (let at = 0; at < runs.length; at += 2) merged.push(await mergedRuns(runs[at] ?? [], runs[at + 1] ?? []));
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergedRuns(left: readonly BodyEntry[], right: readonly BodyEntry[]): Promise<readonly BodyEntry[]> {
  const all: BodyEntry[] = [];
  let [l, r] = [0, 0];
  while (l < left.length || r < right.length) {
    const [a, b] = [left[l], right[r]];
    const isLeft = a !== undefined && (b === undefined || compareEntries(a, b) <= 0);
    all.push((isLeft ? a : b) as BodyEntry);
    if (isLeft) l += 1;
    else r += 1;
    if (all.length % (4 * SLICE) === 0) await setImmediate();
  }
  return all;
}

function compareEntries(a: BodyEntry, b: BodyEntry): number {
  return compareInGroup(a.alert.labelSet, b.alert.labelSet);
}

async function joined(start: string, texts: readonly string[], end: string): Promise<Buffer> {
  const parts = [Buffer.from(start)];
  for (let at = 0; at < texts.length; at += SLICE) {
    if (at > 0) parts.push(Buffer.from(","));
    parts.push(Buffer.from(texts.slice(at, at + SLICE).join(",")));
    if (at > 0) await setImmediate();
  }
  return Buffer.concat([...parts, Buffer.from(end)]);
}

/** The pairs that all records have. */
class Common {
  #all: Record<string, string> | undefined;

  add(record: LabelRecord): void {
    if (this.#all === undefined) this.#all = Object.fromEntries(Object.entries(record));
    else for (const [name, value] of Object.entries(this.#all)) if (record[name] !== value) delete this.#all[name];
  }

  get all(): LabelRecord {
    return this.#all ?? {};
  }
}

/** https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4 */
const ALERTMANAGER: Format = {
  head: ({ row, policy, entries }) => ({ receiver: goRegexpQuoted(policy), status: statusOf(row, entries) }),
  entry: ({ row }, { alert, isFiring }) => ({
    status: isFiring ? "firing" : "resolved",
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: toRfc3339(alert.startsAt),
    endsAt: isFiring ? NEVER : toRfc3339(endOf(alert, row)),
    generatorURL: alert.generatorUrl ?? "",
    fingerprint: alert.fingerprint,
    // Alertmanager has no such member: there a silent source looks like an end.
    ...(alert.timedOut && { timedOut: true }),
  }),
  tail: ({ row, entries, reason, publicUrl }, { labels, annotations, truncated }) => ({
    notification_reason: REASONS[statusOf(row, entries) === "resolved" ? "resolved" : reason],
    groupLabels: JSON.parse(row.groupLabels) as unknown,
    commonLabels: labels,
    commonAnnotations: annotations,
    routeLabels: (JSON.parse(row.route) as RouteSettings).labels,
    externalURL: publicUrl?.replace(/\/+$/, "") ?? "",
    version: "4",
    groupKey: row.groupKey,
    truncatedAlerts: truncated,
  }),
};

const PRISM: Format = {
  head: ({ row, policy, reason, at, id, notices, severityBefore, movedTo }) => ({
    type: "incident",
    id,
    reason,
    timestamp: toRfc3339(at),
    // It is sent without a leader of the cluster, and may be repeated.
    ...(pageWarning() !== "" && { warning: pageWarning() }),
    incident: {
      id: row.id,
      number: row.number,
      projectId: row.projectId,
      title: row.title,
      message: directOf(row.direct)?.message ?? null,
      state: row.state,
      urgency: row.urgency,
      policy,
      groupLabels: JSON.parse(row.groupLabels) as unknown,
      openedAt: toRfc3339(row.openedAt),
      acknowledgedAt: toRfc3339OrNull(row.acknowledgedAt),
      resolvedAt: toRfc3339OrNull(row.resolvedAt),
      timedOut: isUnreported(row),
      alerts: row.alerts,
      firing: row.firing,
      severity: row.severity,
      severityBefore,
      movedTo,
      notices,
    },
  }),
  entry: (_, { alert }) => ({
    id: alert.id,
    fingerprint: alert.fingerprint,
    state: alert.state,
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: toRfc3339(alert.startsAt),
    resolvedAt: toRfc3339OrNull(alert.resolvedAt),
    timedOut: alert.timedOut,
    generatorUrl: alert.generatorUrl,
  }),
  tail: (_, { truncated }) => ({ truncatedAlerts: truncated }),
};

const FORMATS = { alertmanager: ALERTMANAGER, prism: PRISM } as const;

function statusOf({ state, alerts }: IncidentRow, entries: readonly BodyEntry[]): "firing" | "resolved" {
  const isFiring = alerts === 0 ? state !== "resolved" : entries.some((each) => each.isFiring);
  return isFiring ? "firing" : "resolved";
}

/** The sender's statement, as in Alertmanager. An alert of an incident that a person ended may keep firing. */
function endOf({ endsAt, resolvedAt, lastAt }: AlertView, row: IncidentRow): EpochMs {
  return Math.min(endsAt ?? Number.POSITIVE_INFINITY, resolvedAt ?? row.resolvedAt ?? lastAt);
}

/** As `regexp.QuoteMeta` of Go. */
function goRegexpQuoted(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}
