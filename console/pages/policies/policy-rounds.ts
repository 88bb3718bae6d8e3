import type { PolicyTrial } from "../../../src/client/api-types.gen.ts";

export type TrialLine = PolicyTrial["next"][number];

/** A line of the policy's time, or several rounds that notify the same people as the one before. */
export type LineEntry =
  | { readonly kind: "line"; readonly line: TrialLine; readonly round: number }
  | { readonly kind: "again"; readonly count: number; readonly afterMs: number; readonly at: string };

/** What happens, in order: rounds like the one before are one entry. */
export function entriesOf(lines: readonly TrialLine[]): readonly LineEntry[] {
  const last = lines.findLastIndex(({ step }) => step !== undefined);
  const rounds = roundsOf(lines.slice(0, last + 1));
  const entries: LineEntry[] = [];
  for (const [round, own] of rounds.entries()) {
    const [first] = own;
    const before = entries.at(-1);
    if (round === 0 || first === undefined || shapeOf(own) !== shapeOf(rounds[round - 1] ?? []))
      entries.push(...own.map((line) => ({ kind: "line", line, round }) as const));
    else if (before?.kind === "again") entries[entries.length - 1] = { ...before, count: before.count + 1 };
    else entries.push({ kind: "again", count: 1, afterMs: first.afterMs, at: first.at ?? "" });
  }
  return [...entries, ...lines.slice(last + 1).map((line) => ({ kind: "line", line, round: 0 }) as const)];
}

/** Steps run in order: an earlier one, or the same again, begins a round. */
function roundsOf(lines: readonly TrialLine[]): readonly (readonly TrialLine[])[] {
  const rounds: TrialLine[][] = [];
  let before = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    if (rounds.length === 0 || (line.step !== undefined && line.step <= before)) rounds.push([]);
    if (line.step !== undefined) before = line.step;
    rounds.at(-1)?.push(line);
  }
  return rounds;
}

function shapeOf(round: readonly TrialLine[]): string {
  const steps = round.filter(({ step }) => step !== undefined);
  return JSON.stringify(steps.map(({ step, users = [] }) => [step, users.map(({ userId }) => userId)]));
}
