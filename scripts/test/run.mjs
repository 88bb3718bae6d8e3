// Runs groups of test files in processes, prints what they report as Node's runner does, and runs
// files that failed once more alone.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { PassThrough } from "node:stream";
import { runGroups } from "./groups.mjs";
import { COUNTS, startProcess } from "./processes.mjs";
import report from "./reporter.mjs";
import { testFilesOf } from "./sets.mjs";

const SLOWEST = 15;
/** More files do not fail by chance. */
const MOST_AGAIN = 10;

/**
 * @param options `groups` of files as in groups.mjs, `limits` of runGroups, Node's `flags`, and
 *   `runsAgain`: whether files that failed run once more alone
 * @returns the exit `status`, the files that `passedAlone`, and what each file `took` that passed
 */
export async function runTests(options) {
  if (options.flags.some((flag) => flag.startsWith("--experimental-test-coverage"))) return withCoverage(options);
  const startedAt = Date.now();
  const events = new PassThrough({ objectMode: true, highWaterMark: 1_000_000 });
  const emit = (event) => events.write(event);
  const printed = print(report(events));
  const children = new Set();
  let signal = null;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(name, () => {
      signal = name;
      for (const child of children) child.kill(name);
    });
  const runGroup = async ({ files }) => {
    if (signal !== null) return { files, counts: zero(), failed: new Set(files), took: new Map() };
    const name = files.slice(0, 3).join(", ") + (files.length > 3 ? ` and ${files.length - 3} more` : "");
    const { child, ended } = startProcess(writeGroup(options, files), { ...options, name, emit });
    children.add(child);
    const result = await ended;
    children.delete(child);
    return { files, ...result };
  };
  const results = await runGroups(options.groups, options.limits, runGroup);
  const took = tookOf(options.root, results);
  const failed = new Set(results.flatMap((result) => failedFiles(options.root, result)));
  const passedAlone = signal === null && options.runsAgain ? await runAgain(options, results, runGroup, emit) : [];
  const counts = sumOf(results);
  const isGood = signal === null && results.every(({ failed }) => failed?.size === 0);
  emit({ type: "test:summary", data: { success: isGood, counts, duration_ms: Date.now() - startedAt } });
  events.end();
  await printed;
  process.stdout.write(slowest(took));
  for (const name of COUNTS) console.log(`ℹ ${name} ${counts[name]}`);
  console.log(`ℹ duration_ms ${Date.now() - startedAt}`);
  if (signal !== null) console.error(`ended by ${signal}`);
  for (const file of failed) took.delete(file);
  return { status: isGood ? 0 : 1, passedAlone, took };
}

/** Node's own runner: only it sums the coverage of processes up. Nothing runs again, nothing is measured. */
async function withCoverage({ root, folder, flags, environment, groups, limits }) {
  const own = ["resources.cjs", "reporter.mjs"].map((name) => join(import.meta.dirname, name));
  const child = spawn(
    process.execPath,
    [
      ...[`--require=${own[0]}`, "--test", `--test-concurrency=${limits.processes / 2}`, `--test-reporter=${own[1]}`],
      ...[...flags, ...groups.map(({ files }) => writeGroup({ folder }, files))],
    ],
    { cwd: root, stdio: "inherit", env: environment },
  );
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => child.kill(name));
  const status = await new Promise((resolve) => child.on("close", resolve));
  return { status: status ?? 1, passedAlone: [], took: new Map() };
}

async function print(texts) {
  for await (const text of texts) process.stdout.write(text);
}

/**
 * Runs each file that failed alone, after all others. Results of processes whose files all pass then
 * become good. @returns those files
 */
async function runAgain({ root }, results, runGroup, emit) {
  const bad = results.filter(({ failed }) => failed?.size !== 0);
  const files = [...new Set(bad.flatMap((result) => failedFiles(root, result)))];
  if (files.length > MOST_AGAIN) return [];
  const good = new Set();
  for (const file of files) {
    emit({ type: "test:diagnostic", data: { nesting: 0, message: `once more, alone: ${file}` } });
    const { failed } = await runGroup({ files: [file] });
    if (failed?.size === 0) good.add(file);
  }
  for (const result of bad) {
    if (!failedFiles(root, result).every((file) => good.has(file))) continue;
    const { counts } = result;
    counts.pass += counts.fail + counts.cancelled;
    counts.fail = counts.cancelled = 0;
    result.failed = new Set();
  }
  return [...good];
}

function failedFiles(root, { files, failed }) {
  if (failed === null) return files;
  return [...failed].flatMap((path) => testFilesOf(root, relative(root, path), files));
}

/** Writes a module that imports test files. @returns its path */
function writeGroup({ folder }, files) {
  const groups = join(folder, "groups");
  mkdirSync(groups, { recursive: true });
  const name = files[0].replaceAll("/", "-").replace(/\.test\.ts$/, "");
  const path = join(groups, `${name}.test.mjs`);
  const modules = files.map((file) => file.replace(/\.ts$/, ".js"));
  if (process.env.TEST_SEED) modules.unshift("test/helpers/fast-check-seed.js");
  writeFileSync(path, modules.map((file) => `import ${JSON.stringify(join(folder, file))};\n`).join(""));
  return path;
}

function zero() {
  return Object.fromEntries(COUNTS.map((name) => [name, 0]));
}

function sumOf(results) {
  const counts = zero();
  for (const result of results) for (const name of COUNTS) counts[name] += result.counts[name];
  return counts;
}

/** By test file: tests that a support file defines count in equal parts for the files that import it. */
function tookOf(root, results) {
  const sums = new Map();
  for (const { files, took } of results)
    for (const [path, { ms, cpuMs }] of took) {
      const users = testFilesOf(root, relative(root, path), files);
      for (const file of users) {
        const sum = sums.get(file) ?? { ms: 0, cpuMs: 0 };
        sums.set(file, { ms: sum.ms + ms / users.length, cpuMs: sum.cpuMs + cpuMs / users.length });
      }
    }
  return sums;
}

function slowest(took) {
  const files = [...took].sort(([, one], [, other]) => other.ms - one.ms).slice(0, SLOWEST);
  const lines = files.map(
    ([file, { ms, cpuMs }]) =>
      `${(ms / 1000).toFixed(1).padStart(7)} s, ${(cpuMs / 1000).toFixed(1).padStart(5)} s of a processor  ${file}\n`,
  );
  return `the ${files.length} slowest files:\n${lines.join("")}`;
}
