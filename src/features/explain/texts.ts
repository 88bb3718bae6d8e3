import type { RuleView } from "./schema.ts";

const SHOWN_VALUES = 4;
const SHOWN_LENGTH = 80;

/** `60 s`, `5 min`, `24 h`: in the largest unit that comes out even. */
export function briefDuration(ms: number): string {
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ] as const)
    if (ms >= size && ms % size === 0) return `${ms / size} ${unit}`;
  return `${ms} ms`;
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? `1 ${one}` : `${count} ${many}`;
}

/** What a condition saw: its paths and comparisons with what each was worth. */
export function valuesText({ trace, error }: NonNullable<RuleView["trace"]>): string {
  const paths = trace.filter(({ text }) => /^event\.[\w.[\]"-]+$/.test(text));
  const said = (paths.length > 0 ? paths : trace).map(
    ({ text, value }) => `${cut(text)} was ${cut(JSON.stringify(value))}`,
  );
  // A condition may ask for one path several times.
  const values = [...new Set(said)].slice(0, SHOWN_VALUES);
  return [...values, ...(error === undefined ? [] : [`it stopped: ${error}`])].join(", ");
}

function cut(text: string): string {
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…`;
}

/** Stands between what a rule made of the event and why it could not have reached the user anyway. */
export const OUT_OF_REACH = "; and the user would not have been told: ";
