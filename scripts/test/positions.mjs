// Positions in compiled files as positions in the sources, so that Node does not have to read the
// source map of every file in every test process.
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";

const COMPILED = /(?:file:\/\/)?(\/[^\s():]+\/\.build\/tests\/[^\s():]+\.js):(\d+):(\d+)/g;
const maps = new Map();

/** A text, such as a stack, with the positions of the sources. */
export function withoutCompiled(text) {
  return text.replace(COMPILED, (_, path, line, column) => {
    const original = originalOf(path, Number(line), Number(column));
    return `${original.file}:${original.line}:${original.column}`;
  });
}

/** The place in the sources, or the same place where there is no map. */
export function originalOf(path, line, column) {
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
