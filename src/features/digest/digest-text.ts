import { LEVELS } from "../../core/vocabulary.ts";
import { cutText } from "../rules/index.ts";
import type { EventCount, RuleCount } from "./queries.ts";

const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const TYPES = 10;

export interface DigestFacts {
  readonly project: string;
  readonly events: readonly EventCount[];
  readonly rules: readonly RuleCount[];
}

/** Title and text of a digest, for all its readers. */
export function digestText({ project, events, rules }: DigestFacts) {
  const total = sumOf(events);
  const what = total === 1 ? "1 event" : `${total === 0 ? "no" : total} events`;
  const parts = [
    `The project ${project} had ${what} in the last 24 hours.`,
    ...(total > 0 ? [`By level: ${byLevel(events)}.`, `By type:\n${byType(events)}`] : []),
    ...(rules.length > 0 ? [`Rules with the most notifications:\n${rules.map(ruleLine).join("\n")}`] : []),
  ];
  return {
    title: cutText(`${project}: ${what} in the last 24 hours`, TITLE_LENGTH),
    message: cutText(parts.join("\n\n"), MESSAGE_LENGTH),
  };
}

function sumOf(counts: readonly EventCount[]): number {
  return counts.reduce((sum, { events }) => sum + events, 0);
}

/** Worst first. */
function byLevel(counts: readonly EventCount[]): string {
  return [...LEVELS]
    .reverse()
    .map((level) => [level, sumOf(counts.filter((count) => count.level === level))] as const)
    .filter(([, events]) => events > 0)
    .map(([level, events]) => `${level} ${events}`)
    .join(", ");
}

/** Most frequent first. */
function byType(counts: readonly EventCount[]): string {
  const sums = new Map<string, number>();
  for (const { type, events } of counts) sums.set(type, (sums.get(type) ?? 0) + events);
  const sorted = [...sums].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const lines = sorted.slice(0, TYPES).map(([type, events]) => `- ${type}: ${events}`);
  const more = sorted.length - lines.length;
  return [...lines, ...(more > 0 ? [`- and ${more} further types`] : [])].join("\n");
}

function ruleLine({ name, matched, fired }: RuleCount): string {
  return `- ${name}: notified for ${fired} of ${matched} matches`;
}
