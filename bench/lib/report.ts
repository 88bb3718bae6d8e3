import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";

export type Row = Readonly<Record<string, string | number>>;

/** What a benchmark leaves in bench/results/. */
export interface Report {
  readonly name: string;
  /** What was measured, in one sentence without a full stop. */
  readonly workload: string;
  readonly machine: string;
  /** ISO 8601. */
  readonly at: string;
  readonly rows: readonly Row[];
}

/** Prints a table and writes the same figures as JSON to bench/results/. */
export function report(name: string, workload: string, rows: readonly Row[]): void {
  const machine = `${cpus().length} cores, ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.versions.node}`;
  console.log(`\n${name}: ${workload}\n${machine}`);
  console.table(rows);
  const folder = join(import.meta.dirname, "../results");
  mkdirSync(folder, { recursive: true });
  const result: Report = { name, workload, machine, at: new Date().toISOString(), rows };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}

/** Number of rounds per measurement; the median is reported. Use more on a noisy machine. */
export const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 3);
export const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 4);

/** Numbers of a benchmark that an environment variable may override, comma separated. */
export function numbersFrom(variable: string, usual: readonly number[]): readonly number[] {
  return process.env[variable]?.split(",").map(Number) ?? usual;
}
