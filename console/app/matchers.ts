/* Conditions on labels, as in Alertmanager: team="db", instance=~"web.*". */

export const OPERATORS = ["=", "!=", "=~", "!~"] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Matcher {
  readonly name: string;
  readonly operator: Operator;
  readonly value: string;
}

export type Labels = Readonly<Record<string, string>>;

const MATCHER = /^\s*("(?:[^"\\]|\\.)*"|[^\s=!~"{},]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^"]*?)\s*$/s;

/** Reads `team="db"`; the value may be without quotes. @returns undefined for any other text */
export function readMatcher(text: string): Matcher | undefined {
  const [, name, operator, value] = MATCHER.exec(text) ?? [];
  if (name === undefined || value === undefined) return undefined;
  return { name: unquoted(name), operator: operator as Operator, value: unquoted(value) };
}

/** Reads a list, such as `{team="db",env=~"prod|test"}`. @returns undefined if one cannot be read */
export function readMatchers(text: string): readonly Matcher[] | undefined {
  const inner = text.trim().replace(/^\{/, "").replace(/\}$/, "");
  const parts = inner.match(/(?:"(?:[^"\\]|\\.)*"|[^",])+/gs) ?? [];
  const read = parts.filter((part) => part.trim() !== "").map(readMatcher);
  return read.length > 0 && read.every((each) => each !== undefined) ? read : undefined;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, -1).replace(/\\(.)/gs, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

export function matcherText({ name, operator, value }: Matcher): string {
  return `${/^[\w:.-]+$/.test(name) ? name : quoted(name)}${operator}${quoted(value)}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')}"`;
}

export function isSameMatcher(left: Matcher, right: Matcher): boolean {
  return left.name === right.name && left.operator === right.operator && left.value === right.value;
}

/** One matcher for each label. */
export function matchersOf(labels: Labels): readonly Matcher[] {
  return Object.entries(labels).map(([name, value]) => ({ name, operator: "=", value }));
}

/** Reads labels such as `alertname=DiskFull, team=db`. @returns undefined if they cannot be read */
export function readLabels(text: string): Labels | undefined {
  const matchers = text.trim() === "" ? [] : readMatchers(text);
  if (matchers?.every(({ operator }) => operator === "=") !== true) return undefined;
  return Object.fromEntries(matchers.map(({ name, value }) => [name, value]));
}
