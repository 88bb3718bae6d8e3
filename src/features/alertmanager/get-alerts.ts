import { setImmediate } from "node:timers/promises";
import { type EpochMs, toRfc3339 } from "../../core/clock.ts";
import type { Exchange } from "../../http/exchange.ts";
import { RawJson, type Reply } from "../../http/route.ts";
import {
  type AlertView,
  compareLabels,
  compareText,
  type Labels,
  labelsOf,
  type RouteMatch,
  type Withheld,
} from "../alerts/index.ts";
import type { AlertmanagerOwn } from "./context.ts";
import { RESOLVE_TIMEOUT_MS } from "./post-alerts.ts";
import { type AlertQuery, alertQuery } from "./query.ts";

/** Alerts that are compared or written before other requests may run. */
const SLICE = 2000;

/** An alert with what is shown of it. */
interface ShownAlert {
  readonly alert: AlertView;
  readonly withheld: Withheld;
  readonly routes: readonly RouteMatch[];
}

const NO_INTERVALS = { muteIntervals: [], activeIntervals: [] } as const;

/** `GET /api/v2/alerts`: firing alerts by fingerprint. */
export async function listAlerts(
  own: AlertmanagerOwn,
  exchange: Exchange,
  projectId: string,
): Promise<Reply | RawJson> {
  const query = alertQuery(exchange);
  if ("refusal" in query) return query.refusal;
  const now = own.clock.now();
  const shown: ShownAlert[] = [];
  for await (const each of shownAlerts(own, projectId, query.value)) {
    if (each.routes.some(({ settings }) => query.value.isReceiver(settings.policy))) shown.push(each);
  }
  shown.sort((left, right) => compareText(left.alert.fingerprint, right.alert.fingerprint));
  const parts: string[] = [];
  for (const [at, each] of shown.entries()) {
    const receivers = each.routes.map(({ settings }) => settings.policy);
    parts.push(JSON.stringify(alertBody(each, each.withheld.mutedBy, receivers, now)));
    if (at % SLICE === SLICE - 1) await setImmediate();
  }
  return new RawJson(`[${parts.join(",")}]`);
}

/** The alerts that pass the query, in slices. Routes' intervals do not mute alerts here. */
async function* shownAlerts(own: AlertmanagerOwn, projectId: string, query: AlertQuery): AsyncGenerator<ShownAlert> {
  const routing = own.policies.routingOf(projectId);
  const alerts = own.alerts.list(projectId);
  for (let from = 0; from < alerts.length; from += SLICE) {
    if (from > 0) await setImmediate();
    for (const alert of alerts.slice(from, from + SLICE)) {
      if (!query.matches(alert.labelSet)) continue;
      const withheld = own.withholding.withheldBy(alert, { projectId, ...NO_INTERVALS }, own.steadyClock.now());
      if (isShown(withheld, query)) yield { alert, withheld, routes: routing.match(alert.labels) };
    }
  }
}

function isShown({ silencedBy, inhibitedBy }: Withheld, query: AlertQuery): boolean {
  if (silencedBy.length === 0 && inhibitedBy.length === 0) return query.active;
  return (query.silenced || silencedBy.length === 0) && (query.inhibited || inhibitedBy.length === 0);
}

interface Group {
  readonly route: RouteMatch;
  readonly labels: Labels;
  readonly mutedBy: readonly string[];
  readonly alerts: ShownAlert[];
}

/** `GET /api/v2/alerts/groups`: alerts by route and group labels. */
export async function listGroups(
  own: AlertmanagerOwn,
  exchange: Exchange,
  projectId: string,
): Promise<Reply | RawJson> {
  const query = alertQuery(exchange);
  if ("refusal" in query) return query.refusal;
  const now = own.clock.now();
  const groups = new Map<string, Group>();
  for await (const each of shownAlerts(own, projectId, query.value)) {
    for (const route of each.routes) {
      if (!query.value.isReceiver(route.settings.policy)) continue;
      // Two siblings with equal matchers have the same key in Alertmanager, and stay two groups.
      const key = `${route.settings.policy}\n${route.groupKey}`;
      const group = groups.get(key) ?? newGroup(own, projectId, each, route);
      groups.set(key, group);
      group.alerts.push(each);
    }
  }
  const shown = [...groups.values()].filter(({ mutedBy }) => query.value.muted || mutedBy.length === 0);
  shown.sort(compareGroups);
  const receivers = receiversIn(shown);
  const parts: string[] = [];
  for (const group of shown) {
    parts.push(JSON.stringify(groupBody(group, receivers, now)));
    if (parts.length % SLICE === 0) await setImmediate();
  }
  return new RawJson(`[${parts.join(",")}]`);
}

function newGroup(own: AlertmanagerOwn, projectId: string, { alert }: ShownAlert, route: RouteMatch): Group {
  const { mutedBy } = own.withholding.withheldBy(alert, { projectId, ...route.settings }, own.steadyClock.now());
  return { route, labels: labelsOf(route.groupLabels), mutedBy, alerts: [] };
}

function compareGroups(left: Group, right: Group): number {
  return (
    compareLabels(left.labels, right.labels) ||
    compareText(left.route.settings.policy, right.route.settings.policy) ||
    compareText(left.route.groupKey, right.route.groupKey)
  );
}

/** The receivers of the groups that an alert is in, by name. */
function receiversIn(groups: readonly Group[]): ReadonlyMap<string, readonly string[]> {
  const receivers = new Map<string, string[]>();
  for (const { route, alerts } of groups)
    for (const { alert } of alerts)
      receivers.set(alert.id, [...(receivers.get(alert.id) ?? []), route.settings.policy]);
  for (const names of receivers.values()) names.sort(compareText);
  return receivers;
}

function groupBody(
  { route, mutedBy, alerts }: Group,
  receivers: ReadonlyMap<string, readonly string[]>,
  now: EpochMs,
): object {
  alerts.sort((left, right) => compareInGroup(left.alert, right.alert));
  return {
    alerts: alerts.map((each) => alertBody(each, mutedBy, receivers.get(each.alert.id) ?? [], now)),
    labels: route.groupLabels,
    receiver: { name: route.settings.policy },
    routeLabels: {},
  };
}

/** Alertmanager's order: by the labels `job` and `instance`, then by all. */
function compareInGroup(left: AlertView, right: AlertView): number {
  return (
    compareText(left.label("job"), right.label("job")) ||
    compareText(left.label("instance"), right.label("instance")) ||
    compareLabels(left.labelSet, right.labelSet)
  );
}

function alertBody(
  { alert, withheld }: ShownAlert,
  mutedBy: readonly string[],
  receivers: readonly string[],
  now: EpochMs,
): object {
  const { silencedBy, inhibitedBy } = withheld;
  const isSuppressed = silencedBy.length + inhibitedBy.length + mutedBy.length > 0;
  return {
    annotations: alert.annotations,
    // An alert without an end lasts until its source resolves it.
    endsAt: toRfc3339(alert.endsAt ?? now + RESOLVE_TIMEOUT_MS),
    fingerprint: alert.fingerprint,
    receivers: receivers.map((name) => ({ name })),
    startsAt: toRfc3339(alert.startsAt),
    status: { inhibitedBy, mutedBy, silencedBy, state: isSuppressed ? "suppressed" : "active" },
    updatedAt: toRfc3339(alert.lastAt),
    ...(alert.generatorUrl ? { generatorURL: alert.generatorUrl } : {}),
    labels: alert.labels,
  };
}
