import { setImmediate } from "node:timers/promises";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { arrayJson, type JsonText, jsonOf, RawJson, type Reply, withFirst } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import {
  type AlertView,
  compareInGroup,
  compareLabels,
  compareText,
  type Labels,
  type LabelsTest,
  labelsOf,
  type RouteMatch,
  type Withheld,
} from "../../alerts/index.ts";
import type { AlertmanagerOwn } from "./context.ts";
import { RESOLVE_TIMEOUT_MS } from "./post-alerts.ts";
import { type AlertQuery, alertQuery } from "./query.ts";

/** Alerts that are written before other requests may run. */
const SLICE = 500;
/** Alerts are compared for so long before other requests may run. */
const SLICE_MS = 10;

/** An alert with what is shown of it. */
interface ShownAlert {
  readonly alert: AlertView;
  readonly withheld: Withheld;
  readonly routes: readonly RouteMatch[];
}

/** Groups of up to so many alerts are written in slices of groups. */
const SMALL_GROUP = 4;

const NO_INTERVALS = { muteIntervals: [], activeIntervals: [] } as const;

/** `GET /api/v2/alerts`: firing alerts by fingerprint. */
export async function listAlerts(
  own: AlertmanagerOwn,
  exchange: Exchange,
  projectId: string,
): Promise<Reply<unknown> | RawJson<unknown>> {
  const query = await alertQuery(exchange);
  if ("refusal" in query) return query.refusal;
  const now = own.clock.now();
  const shown: ShownAlert[] = [];
  for await (const each of shownAlerts(own, projectId, query.value)) {
    if (each.routes.some(({ settings }) => query.value.isReceiver(settings.policy))) shown.push(each);
  }
  shown.sort((left, right) => compareText(left.alert.fingerprint, right.alert.fingerprint));
  const json = await joinedJson(shown, (each) => {
    const receivers = each.routes.map(({ settings }) => settings.policy);
    return jsonOf(alertBody(each, each.withheld.mutedBy, receivers, now));
  });
  return new RawJson(json);
}

/** A list as JSON text, written in slices. */
async function joinedJson<T>(
  items: readonly T[],
  write: (item: T) => JsonText<unknown> | Promise<JsonText<unknown>>,
): Promise<JsonText<readonly unknown[]>> {
  const parts: JsonText<unknown>[] = [];
  for (const [at, item] of items.entries()) {
    const part = write(item);
    parts.push(typeof part === "string" ? part : await part);
    if (at % SLICE === SLICE - 1) await setImmediate();
  }
  return arrayJson(parts);
}

/** The alerts that pass the query. Routes' intervals do not mute alerts here. */
async function* shownAlerts(own: AlertmanagerOwn, projectId: string, query: AlertQuery): AsyncGenerator<ShownAlert> {
  const routing = own.policies.routingOf(projectId);
  for await (const { alert, withheld } of withheldAlerts(own, projectId, query.matches))
    if (isShown(withheld, query)) yield { alert, withheld, routes: routing.match(alert.labels) };
}

/** Firing alerts with the silences and alerts that withhold them, in slices. */
export async function* withheldAlerts(
  { alerts, withholding, steadyClock }: AlertmanagerOwn,
  projectId: string,
  matches: LabelsTest,
): AsyncGenerator<Pick<ShownAlert, "alert" | "withheld">> {
  // Alertmanager has no alerts of its own.
  const list = alerts.list(projectId, ({ source }) => source !== "prism");
  const now = steadyClock.now();
  let since = performance.now();
  for (const alert of list) {
    // By time: a rule of inhibition may compare an alert with every other one.
    if (performance.now() - since > SLICE_MS) {
      await setImmediate();
      since = performance.now();
    }
    if (matches(alert.labelSet))
      yield { alert, withheld: withholding.withheldBy(alert, { projectId, ...NO_INTERVALS }, now) };
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
): Promise<Reply<unknown> | RawJson<unknown>> {
  const query = await alertQuery(exchange);
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
  return new RawJson(await joinedJson(shown, (group) => groupJson(group, receivers, now)));
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

async function groupJson(
  { route, mutedBy, alerts }: Group,
  receivers: ReadonlyMap<string, readonly string[]>,
  now: EpochMs,
): Promise<JsonText<object>> {
  alerts.sort((left, right) => compareInGroup(left.alert.labelSet, right.alert.labelSet));
  const list = await joinedJson(alerts, (each) =>
    jsonOf(alertBody(each, mutedBy, receivers.get(each.alert.id) ?? [], now)),
  );
  const rest = { labels: route.groupLabels, receiver: { name: route.settings.policy }, routeLabels: {} };
  if (alerts.length > SMALL_GROUP) await setImmediate();
  return withFirst("alerts", list, rest);
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
