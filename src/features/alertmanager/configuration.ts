import { createHash } from "node:crypto";
import { DEFAULT_POLICY, durationText, type RouteNode, type RoutingDocument } from "../alerts/index.ts";
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
export function configurationText(document: RoutingDocument, policies: readonly string[]): string {
  const receivers = receiverNames(document, policies);
  const { route, inhibitRules = [], timeIntervals = [] } = document;
  const [root = "default"] = receivers;
  return yamlText({
    global: { resolve_timeout: durationText(RESOLVE_TIMEOUT_MS) },
    route: { receiver: root, ...routeOf(route) },
    inhibit_rules: inhibitRules.map(({ sourceMatchers, targetMatchers, equal = [] }) => ({
      source_matchers: sourceMatchers,
      target_matchers: targetMatchers,
      equal,
    })),
    time_intervals: timeIntervals.map(({ name, intervals }) => ({ name, time_intervals: intervals })),
    receivers: (receivers.length === 0 ? [root] : receivers).map((name) => ({ name })),
  });
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

/** Block YAML of JSON values. Strings are JSON strings, which YAML 1.2 contains. */
function yamlText(value: object, indent = ""): string {
  return Object.entries(value)
    .filter(([, member]) => member !== undefined && !(Array.isArray(member) && member.length === 0))
    .map(([name, member]) => `${indent}${keyText(name)}:${memberText(member, indent)}`)
    .join("");
}

function memberText(member: unknown, indent: string): string {
  if (Array.isArray(member)) return `\n${member.map((item) => `${indent}- ${itemText(item, indent)}`).join("")}`;
  if (typeof member === "object" && member !== null) return `\n${yamlText(member, `${indent}  `)}`;
  return ` ${scalarText(member)}\n`;
}

/** The first member of an object follows the dash. */
function itemText(item: unknown, indent: string): string {
  if (typeof item !== "object" || item === null) return `${scalarText(item)}\n`;
  const text = yamlText(item, `${indent}  `);
  return text === "" ? "{}\n" : text.slice(indent.length + 2);
}

// Words and durations; other texts are quoted, such as 09:00, which YAML 1.1 reads as a number.
const PLAIN = /^(?:[A-Za-z_][A-Za-z0-9_]*|(?:\d+(?:ms|[ywdhms]))+)$/;
/** Words that YAML 1.1 reads as another type. */
const TYPED = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

function keyText(name: string): string {
  return PLAIN.test(name) && !TYPED.test(name) ? name : JSON.stringify(name);
}

function scalarText(value: unknown): string {
  return typeof value === "string" ? keyText(value) : JSON.stringify(value);
}
