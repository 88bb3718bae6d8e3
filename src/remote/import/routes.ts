import { PrismError } from "../../core/errors.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { labelsOf } from "../../features/alerts/model/labels.ts";
import { type Matcher, matcherText } from "../../features/alerts/model/matchers.ts";
import { compileMatcher, compileMatchers } from "../../features/alerts/model/matching.ts";
import { type ClockWindow, intervalsOf, isInWindows } from "./windows.ts";

/* Rules of which the first one that matches takes an alert, some only at their times, as routes. */

export interface OldRoute {
  readonly name: string;
  /** All matchers of one of them; one without matchers: every alert. */
  readonly alternatives: readonly (readonly Matcher[])[];
  /** None: always. */
  readonly windows: readonly ClockWindow[];
  readonly timezone: string;
  /** Its name in the files. */
  readonly policy: string;
  /** Comments before it, of `ImportedFiles.comment`. */
  readonly before?: object | undefined;
}

const MAX_ROUTES = 900;

/** Routes and time intervals; null: there would be too many. */
export function routeTree(rules: readonly OldRoute[]): { routes: object[]; timeIntervals: object[] } | null {
  const names = new Map<OldRoute, string>();
  const timeIntervals: object[] = [];
  for (const rule of rules)
    if (rule.windows.length > 0) {
      const name = `${rule.name.slice(0, 80)} ${timeIntervals.length + 1}`;
      names.set(rule, name);
      timeIntervals.push({ name, intervals: intervalsOf(rule.windows, rule.timezone) });
    }
  let left = MAX_ROUTES;
  const routesFrom = (at: number, muted: readonly string[]): object[] => {
    const rule = rules[at];
    if (!rule || left < 0) return [];
    const own = names.get(rule);
    const mute = muted.length > 0 && { muteIntervals: muted };
    left -= rule.alternatives.length;
    if (own === undefined) {
      const taken: object[] = rule.alternatives.map((matchers) => ({
        ...matching(matchers),
        policy: rule.policy,
        ...mute,
      }));
      if (rule.before) taken.unshift(rule.before);
      return isForAll(rule) ? taken : [...taken, ...routesFrom(at + 1, muted)];
    }
    // Outside of its times the rules after it count, and in them they do not.
    const timed = { policy: rule.policy, activeIntervals: [own], ...mute, continue: true };
    if (isForAll(rule)) return [timed, ...routesFrom(at + 1, [...muted, own])];
    const nested = rule.alternatives.map((matchers) => {
      const rest = routesFrom(at + 1, [...muted, own]);
      return { ...matching(matchers), ...mute, policy: rule.policy, routes: [timed, ...rest] };
    });
    return [...nested, ...routesFrom(at + 1, muted)];
  };
  const routes = routesFrom(0, []);
  return left < 0 ? null : { routes, timeIntervals };
}

function isForAll({ alternatives }: OldRoute): boolean {
  return alternatives.some((matchers) => matchers.length === 0);
}

function matching(matchers: readonly Matcher[]): object {
  return matchers.length === 0 ? {} : { matchers: matchers.map(matcherText) };
}

/** The rule that takes an alert in the old system. */
export function ruleFor(
  rules: readonly OldRoute[],
  labels: Readonly<Record<string, string>>,
  at: EpochMs,
): OldRoute | null {
  const own = labelsOf(labels);
  const takes = ({ alternatives, windows, timezone }: OldRoute) =>
    isInWindows(windows, timezone, at) && alternatives.some((matchers) => compileMatchers(matchers)(own));
  return rules.find(takes) ?? null;
}

/** Labels that matchers select, of alternatives the first; null: a pattern does not say which. */
export function labelsFor(matchers: readonly Matcher[]): Record<string, string> | null {
  const labels: Record<string, string> = { alertname: "Test of the import" };
  for (const { name, operator, value } of matchers) {
    if (operator === "=") labels[name] = value;
    if (operator === "=~") {
      // Patterns that were made of texts: of a part, a start or an end.
      const plain = value.replace(/^\(\?s:\.\*\)|\(\?s:\.\*\)$/g, "");
      if (/[.*+?^${}()[\]]/.test(plain.replace(/\\./g, ""))) return null;
      const [first = ""] = /^(?:[^|\\]|\\.)*/s.exec(plain) ?? [];
      labels[name] = first.replace(/\\(.)/g, "$1");
    }
  }
  return labels;
}

/** Whether Prism reads the pattern; others have looks ahead, references or are too large. */
export function isPattern(value: string): boolean {
  try {
    compileMatcher({ name: "pattern", operator: "=~", value });
    return true;
  } catch (error) {
    if (error instanceof PrismError) return false;
    throw error;
  }
}

/** A pattern of a text itself. */
export function quoted(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Any text, with line breaks. */
export const ANY = "(?s:.*)";
