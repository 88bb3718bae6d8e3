import { createHash } from "node:crypto";
import { DEFAULT_POLICY, durationText, type RouteNode, type RoutingDocument } from "../../alerts/index.ts";
import { RESOLVE_TIMEOUT_MS } from "./post-alerts.ts";

/**
 * The names of receivers: policies in the order of their creation, which an import makes that of
 * the file. The built-in policy is last, unless the root names it.
 */
export function receiverNames({ route }: RoutingDocument, policies: readonly string[]): readonly string[] {
  const walk = ({ policy, routes = [] }: RouteNode): string[] => [
    ...(policy === undefined ? [] : [policy]),
    ...routes.flatMap(walk),
  ];
  const named = walk(route);
  return [
    ...new Set([...policies.filter((name) => name !== DEFAULT_POLICY || named.includes(name)), ...named, ...policies]),
  ];
}

/**
 * The project's routing as a configuration of Alertmanager, which its tools read strictly. Receivers
 * have names only: their steps have no form there.
 */
export async function configurationText(document: RoutingDocument, policies: readonly string[]): Promise<string> {
  // Loaded late: no other request needs it.
  const { stringify } = await import("yaml");
  const receivers = receiverNames(document, policies);
  const { route, inhibitRules = [], timeIntervals = [] } = document;
  const [root = "default"] = receivers;
  const value = {
    global: { resolve_timeout: durationText(RESOLVE_TIMEOUT_MS) },
    route: { receiver: root, ...routeOf(route) },
    inhibit_rules: inhibitRules.map(({ sourceMatchers, targetMatchers, equal = [] }) => ({
      source_matchers: sourceMatchers,
      target_matchers: targetMatchers,
      equal,
    })),
    time_intervals: timeIntervals.map(({ name, intervals }) => ({ name, time_intervals: intervals })),
    receivers: (receivers.length === 0 ? [root] : receivers).map((name) => ({ name })),
  };
  // Its tools read YAML 1.1, in which 09:00 without quotes is a number.
  return stringify(value, withoutEmpty, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}

function routeOf(node: RouteNode): object {
  return {
    receiver: node.policy,
    group_by: node.groupBy,
    matchers: node.matchers,
    continue: node.continue || undefined,
    group_wait: textOf(node.groupWaitMs),
    group_interval: textOf(node.groupIntervalMs),
    repeat_interval: textOf(node.repeatMs),
    mute_time_intervals: node.muteIntervals,
    active_time_intervals: node.activeIntervals,
    routes: node.routes?.map(routeOf),
  };
}

function textOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : durationText(ms);
}

/** Alertmanager's metric: the first six bytes of the MD5 as a number. */
export function configurationHash(text: string): number {
  return createHash("md5").update(text).digest().readUIntLE(0, 6);
}

function withoutEmpty(_name: unknown, value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}
