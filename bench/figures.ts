/**
 * Writes the figures of docs/benchmarks.md: a table and a chart for each benchmark that has a
 * reference, from the results of the last run of each on this machine.
 *
 *     npm run bench -- --report [name]…
 *
 * runs the named ones first; without a name all of them.
 */
import "../scripts/node-version.mjs";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bar, barChart } from "./lib/bar-chart.ts";
import type { Report, Row } from "./lib/report.ts";

const root = join(import.meta.dirname, "..");
const PAGE = join(root, "docs/benchmarks.md");
const BEGIN = "<!-- figures: written by npm run bench -- --report -->";
const END = "<!-- end of figures -->";

interface Figure {
  readonly title: string;
  /** One sentence: what is compared. */
  readonly about: string;
  /** The column with the names of the bars. */
  readonly of: string;
  readonly unit: string;
  readonly prism: string;
  /** The column of the reference; undefined: the references are rows. */
  readonly reference?: { readonly column: string; readonly name: string };
  /** Rows of the reference. */
  readonly isReference?: (name: string) => boolean;
}

const FIGURES: Readonly<Record<string, Figure>> = {
  "ingest-http": {
    title: "Events over HTTP",
    about: "Each answer after its commit is on disk, beside a bare server that stores the same rows and does no more.",
    ...{ of: "workload", unit: "events/s", prism: "events/s" },
    reference: { column: "bare durable/s", name: "bare durable server" },
  },
  "ingest-ndjson": {
    title: "Events in batches",
    about: "The whole pipeline, beside inserts of the same rows into the same tables with better-sqlite3.",
    ...{ of: "workload", unit: "events/s", prism: "events/s" },
    reference: { column: "raw batch inserts/s", name: "raw inserts" },
  },
  "job-drain": {
    title: "Jobs",
    about: "Enqueued one by one and drained, beside plainjob, a queue on the same SQLite binding, and BullMQ.",
    ...{ of: "program", unit: "drained/s", prism: "drained/s" },
    isReference: (name) => !name.startsWith("prism"),
  },
  entries: {
    title: "What a request of each entry costs",
    about: "64 connections, each answer after its commit; ntfy and Alertmanager get the same requests.",
    ...{ of: "entry", unit: "requests/s", prism: "requests/s" },
    isReference: (name) => name.startsWith("the same at "),
  },
  "live-fan-out": {
    title: "Fan-out",
    about: "Events of one project to all connections, stored and live, beside a bare publish of uWebSockets.js.",
    ...{ of: "sockets", unit: "messages/s", prism: "messages/s" },
    reference: { column: "bare publish/s", name: "bare publish, stores nothing" },
  },
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in FIGURES));
if (unknown.length > 0)
  throw new Error(`no such figure: ${unknown.join(", ")}; there are ${Object.keys(FIGURES).join(", ")}`);
for (const name of names.length > 0 ? names : Object.keys(FIGURES)) {
  const file = join(import.meta.dirname, `${name}.bench.ts`);
  const { status } = spawnSync(process.execPath, ["--import", "tsx", file], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
const sections = Object.entries(FIGURES).flatMap(([name, figure]) => {
  const file = join(root, `bench/results/${name}.json`);
  if (!existsSync(file)) return [];
  const report = JSON.parse(readFileSync(file, "utf8")) as Report;
  const image = `images/bench-${name}.svg`;
  writeFileSync(join(root, "docs", image), barChart(barsOf(figure, report.rows), figure.unit));
  return [section(figure, report, image)];
});
const page = readFileSync(PAGE, "utf8");
const [before, rest] = page.split(BEGIN);
const [, after] = rest?.split(END) ?? [];
if (before === undefined || after === undefined) throw new Error(`${PAGE} has no place for the figures: ${BEGIN}`);
writeFileSync(PAGE, `${before}${BEGIN}\n\n${sections.join("\n")}\n${END}${after}`);

function barsOf({ of, prism, reference, isReference }: Figure, rows: readonly Row[]): Bar[] {
  return rows.flatMap((row) => {
    const name = of in row ? String(row[of]) : "Prism";
    const bar = { name, value: Number(row[prism]), isReference: isReference?.(name) ?? false };
    if (!reference) return [bar];
    return [bar, { name: reference.name, value: Number(row[reference.column]), isReference: true }];
  });
}

function section({ title, about, unit }: Figure, { name, workload, machine, at, rows }: Report, image: string): string {
  // Of each round, too much for a page.
  const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== "ratios");
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    `### ${title}`,
    "",
    ...wrapped(`${about} Benchmark \`${name}\`: ${workload}. ${machine}, ${at.slice(0, 10)}.`),
    "",
    `![${title}, ${unit}](${image})`,
    "",
    line(columns),
    line(columns.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...rows.map((row) => line(columns.map((column) => String(row[column] ?? "")))),
    "",
  ].join("\n");
}

/** Lines of the documentation have at most 100 characters. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= 100) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
