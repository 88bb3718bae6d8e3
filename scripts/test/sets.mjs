// The three sets of test files, each file in one of them:
// - quick: `npm test`. Every file that docs/promises.md names, and each other one that is not slow;
// - gate: `npm run test:gate`. The slow ones of test/slow.txt;
// - rest: test/rest.txt, with the reason of each. Only `npm run test:all`, which runs all three.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const SLOW_MS = 1000;
const SLOW_LINE = /^ *(\d+\.\d) +(\d+\.\d) (test\/\S+)$/;
const REST_LINE = /^(test\/\S+) +(\S.*)$/;
/** Imports of types alone are not in the JavaScript. */
const IMPORT = /^(?:import|export) (?!type )(?:[^;"]*? from )?"(\.{1,2}\/[^"]+\.ts)";/gm;
/** Of the files that were read. */
const texts = new Map();
const HEADER = `# Test files that took more than a second: seconds, and seconds of a processor, also in the processes
# that they start. scripts/test.mjs runs several that wait at the same time, and the longest first.
# npm test leaves these out, but for those that docs/promises.md names; npm run test:gate runs them.
# Written by: npm run test:all -- --record (with parts of paths: only the lines of those files)
`;

/** All test files, as paths from the root. */
export function everyFile(root, folder = "test") {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return everyFile(root, path);
      return entry.name.endsWith(".test.ts") ? [path] : [];
    })
    .sort();
}

/** @returns the files of the sets `quick`, `gate` and `rest` */
export function testSets(root) {
  const slow = slowFiles(root);
  const seldom = new Set(restFiles(root).keys());
  const promised = new Set(promiseTests(root).map(([file]) => `test/${file}.test.ts`));
  const sets = { quick: [], gate: [], rest: [] };
  for (const file of everyFile(root)) {
    if (promised.has(file)) sets.quick.push(file);
    else if (seldom.has(file)) sets.rest.push(file);
    else sets[slow.has(file) ? "gate" : "quick"].push(file);
  }
  return sets;
}

/** @returns `seconds` and `cpuSeconds` of each slow file, as measured last */
export function slowFiles(root) {
  return new Map(
    linesOf(root, "test/slow.txt", SLOW_LINE).map(([, seconds, cpuSeconds, file]) => [
      file,
      { seconds: Number(seconds), cpuSeconds: Number(cpuSeconds) },
    ]),
  );
}

/** @returns the files that neither `npm test` nor the gate runs, with the reason */
export function restFiles(root) {
  return new Map(linesOf(root, "test/rest.txt", REST_LINE).map(([, file, reason]) => [file, reason]));
}

function linesOf(root, path, pattern) {
  const lines = readFileSync(join(root, path), "utf8").split("\n");
  return lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const match = pattern.exec(line);
      if (match === null) throw new Error(`${path}: cannot read the line "${line}"`);
      return match;
    });
}

/** @returns file (below test/, without .test.ts) and id of each test that docs/promises.md names */
export function promiseTests(root) {
  const rows = readFileSync(join(root, "docs/promises.md"), "utf8").split("\n");
  return rows
    .filter((row) => /^\| S\d-\d+ \|/.test(row))
    .flatMap((row) => [...row.matchAll(/`([\w/-]+)#(S\d-\d+)`/g)].map(([, file, id]) => [file, id]));
}

function textOf(path) {
  if (!texts.has(path)) texts.set(path, readFileSync(path, "utf8"));
  return texts.get(path);
}

/** @returns the files that are read with a test file, itself among them, as paths from the root */
export function filesWith(root, file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, path] of textOf(join(root, file)).matchAll(IMPORT)) {
    const imported = join(dirname(file), path);
    // A text in a test may look like an import.
    if (imported.startsWith("test/") && existsSync(join(root, imported))) filesWith(root, imported, found);
  }
  return found;
}

/** @returns the programs that a test file, or one that it reads, says it needs: `// needs: nginx, curl` */
export function programsOf(root, file) {
  const texts = [...filesWith(root, file)].map((path) => textOf(join(root, path)));
  return new Set(texts.flatMap((text) => /^\/\/ needs: (.+)$/m.exec(text)?.[1].split(", ") ?? []));
}

/**
 * @param path where a test is defined: a test file, or a file that test files import
 * @param candidates the test files of the process that ran it
 * @returns the test files to which it may belong
 */
export function testFilesOf(root, path, candidates) {
  if (candidates.includes(path)) return [path];
  const users = candidates.filter((file) => filesWith(root, file).has(path));
  return users.length > 0 ? users : candidates;
}

/** @param took for each file that ran, its `ms` and `cpuMs`. The lines of other files stay. */
export function recordSlowFiles(root, took) {
  const known = slowFiles(root);
  const lines = everyFile(root).flatMap((file) => {
    const { ms, cpuMs } = took.get(file) ?? {};
    const slow = ms === undefined ? known.get(file) : { seconds: ms / 1000, cpuSeconds: cpuMs / 1000 };
    if (slow === undefined || (ms !== undefined && ms <= SLOW_MS)) return [];
    const [seconds, cpuSeconds] = [slow.seconds, slow.cpuSeconds].map((each) => each.toFixed(1).padStart(5));
    return [`${seconds} ${cpuSeconds} ${file}\n`];
  });
  writeFileSync(join(root, "test/slow.txt"), HEADER + lines.join(""));
}
