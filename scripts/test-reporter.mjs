// Node's spec reporter, which repeats failures at the end, for logs that keep only the last page,
// and lists the files that took longest.
// Maps positions in compiled files to the sources, so that Node does not have to read the source
// map of every file in every test process.
import { readFileSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { relative } from "node:path";
import { Readable } from "node:stream";
import { spec as Spec } from "node:test/reporters";

const COMPILED = /(?:file:\/\/)?(\/[^\s():]+\/\.build\/tests\/[^\s():]+\.js):(\d+):(\d+)/g;
const maps = new Map();

const SLOWEST = 15;

export default async function* report(events) {
  const took = new Map();
  yield* Readable.from(withSources(events, took)).pipe(new Spec());
  if (process.env.TEST_TIMES) writeFileSync(process.env.TEST_TIMES, JSON.stringify(Object.fromEntries(took)));
  yield slowest(took);
}

/** @param took milliseconds by file, to which each test of a file is added */
async function* withSources(events, took) {
  for await (const event of events) {
    const { data, type } = event;
    if (data?.file && data.line) Object.assign(data, originalOf(data.file, data.line, data.column));
    mapStacks(data?.details?.error);
    if (data?.nesting === 0 && (type === "test:pass" || type === "test:fail"))
      took.set(data.file, (took.get(data.file) ?? 0) + data.details.duration_ms);
    yield event;
  }
}

function slowest(took) {
  const files = [...took].sort(([, one], [, other]) => other - one).slice(0, SLOWEST);
  const lines = files.map(
    ([file, ms]) => `  ${(ms / 1000).toFixed(1).padStart(6)} s  ${relative(process.cwd(), file)}\n`,
  );
  return `the ${files.length} slowest files:\n${lines.join("")}`;
}

/** Rewrites the stacks of an error, its causes and its parts. */
function mapStacks(error) {
  if (typeof error !== "object" || error === null) return;
  if (typeof error.stack === "string") {
    const stack = error.stack.replace(COMPILED, (_, path, line, column) => {
      const original = originalOf(path, Number(line), Number(column));
      return `${original.file}:${original.line}:${original.column}`;
    });
    Object.defineProperty(error, "stack", { value: stack, writable: true, configurable: true });
  }
  mapStacks(error.cause);
  if (Array.isArray(error.errors)) error.errors.forEach(mapStacks);
}

function originalOf(path, line, column) {
  const file = path.replace(/^file:\/\//, "");
  const entry = mapOf(file)?.findEntry(line - 1, column - 1);
  if (entry?.originalSource === undefined) return { file, line, column };
  return { file: entry.originalSource, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

function mapOf(file) {
  if (!maps.has(file)) maps.set(file, readMap(`${file}.map`));
  return maps.get(file);
}

function readMap(path) {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}
