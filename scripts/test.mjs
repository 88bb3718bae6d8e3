// Runs test files: with --quick, --gate or --rest those of a set (scripts/test/sets.mjs), with
// arguments those that have one of them in their path, and otherwise all. Other flags are Node's,
// such as --test-name-pattern. --list prints the files; --record writes what those that passed
// took to test/slow.txt.
//
// TEST_SEED=<number> in the environment repeats the random values of the run that printed it,
// including fast-check's. TEST_ALL_RUNS=1 runs each property as often as its test says, instead of
// a tenth of that. TMPDIR is the directory of the tests' databases; default: memory if it has room,
// because a commit waits for the disk.
import "./node-version.mjs";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { dirname, join } from "node:path";
import { compileTests } from "./compile-tests.mjs";
import { writeManualIfStale } from "./manual.mjs";
import { installCommand, installMissing, missingOf, PATH, TEST_PROGRAMS } from "./programs.mjs";
import { makeGroups } from "./test/groups.mjs";
import { runTests } from "./test/run.mjs";
import { everyFile, programsOf, promiseTests, recordSlowFiles, slowFiles, testSets } from "./test/sets.mjs";

const NEEDED_BYTES = 2 ** 30;
const LEFTOVER_MS = 3_600_000;
const SETS = ["quick", "gate", "rest"];

const root = join(import.meta.dirname, "..");
const given = process.argv.slice(2);
const isOwn = (flag) => ["--list", "--record", ...SETS.map((set) => `--${set}`)].includes(flag);
const flags = given.filter((argument) => argument.startsWith("--") && !isOwn(argument));
const parts = given.filter((argument) => !argument.startsWith("--"));
const isWhole = parts.length === 0 && flags.length === 0;
const sets = SETS.filter((set) => given.includes(`--${set}`));
const chosen = chosenFiles();
if (given.includes("--list")) {
  console.log(chosen.join("\n"));
  process.exit(0);
}
if (chosen.length === 0) {
  console.error(`no test file matches ${parts.join(", ")}`);
  process.exit(1);
}
const processors = availableParallelism();
const leftOut = filesWithoutPrograms();
const files = chosen.filter((file) => !leftOut.has(file));
if (files.length === 0) {
  console.error(linesOfLeftOut().join("\n"));
  process.exit(1);
}
// A separate folder per run: another run may be active.
const folder = join(root, ".build", "tests", String(process.pid));
removeLeftovers(dirname(folder), /^\d+$/);
removeLeftovers("/dev/shm", /^prism-tests-/);
await compileTests(root, folder);
// Servers and commands from the sources read the pages.
await writeManualIfStale();
// Commands from the sources read the table of operations.
if (files.some((file) => /^test.(?:cli|e2e)\b/.test(file)))
  spawnSync(process.execPath, [join(root, "scripts/operations.mjs"), "--if-stale"], { stdio: "inherit" });
// Tests of the console open dist/console.
if (files.some((file) => /^test.console\b/.test(file)))
  spawnSync(process.execPath, [join(root, "scripts/ready.mjs")], { stdio: "inherit" });
const scratch = memoryFolder();
// Tests of commands start the compiled sources when dist/prism is older than the sources.
// Each line: a test file and the id of a promise that it has shown (test/helpers/promise.ts).
const shown = join(folder, "promises.txt");
writeFileSync(shown, "");
const environment = {
  ...process.env,
  PATH,
  TEST_COMPILED: folder,
  TEST_PROMISES: shown,
  ...(scratch ? { TMPDIR: scratch } : {}),
};
const outcome = await runTests({
  root,
  folder,
  flags,
  environment,
  groups: makeGroups(files, slowFiles(root), processors),
  // Where a person has chosen tests, the first result counts.
  runsAgain: isWhole,
  // Tests wait more than their processor time says: for a disk, for each other.
  limits: { processes: 2.5 * processors, share: 1.1 * processors },
});
if (given.includes("--record") && flags.length === 0) recordSlowFiles(root, outcome.took);
const problems = outcome.status === 0 && flags.length === 0 ? promisesWithoutTest() : [];
rmSync(folder, { recursive: true, force: true });
if (scratch) rmSync(scratch, { recursive: true, force: true });
for (const line of [...linesOfLeftOut(), ...problems]) console.error(line);
for (const file of outcome.passedAlone) console.log(`passed only alone: ${file}`);
const isIncomplete = leftOut.size > 0 && given.includes("--gate");
process.exit(problems.length > 0 || isIncomplete ? 1 : outcome.status);

/** Parts of paths choose from all files: `npm test -- e2e/outage` runs that file, though it is slow. */
function chosenFiles() {
  if (parts.length > 0) return everyFile(root).filter((file) => parts.some((part) => file.includes(part)));
  const all = testSets(root);
  return sets.length === 0 ? everyFile(root) : sets.flatMap((set) => all[set]);
}

/**
 * Installs the missing programs of a set where it may. @returns the files that cannot run without
 * others, with what they need; with --gate also those of `npm test`, which the gate must not lack
 */
function filesWithoutPrograms() {
  const all = given.includes("--gate") && parts.length === 0 ? [...testSets(root).quick, ...chosen] : chosen;
  const needed = new Map(all.map((file) => [file, programsOf(root, file)]));
  const names = TEST_PROGRAMS.filter((name) => [...needed.values()].some((programs) => programs.has(name)));
  const missing = parts.length === 0 ? installMissing(names) : missingOf(names);
  const without = all.map((file) => [file, missing.filter((name) => needed.get(file).has(name))]);
  return new Map(without.filter(([, programs]) => programs.length > 0));
}

function linesOfLeftOut() {
  if (leftOut.size === 0) return [];
  const programs = [...new Set([...leftOut.values()].flat())];
  return [
    ...[...leftOut].map(([file, names]) => `left out: ${file} (no ${names.join(", ")})`),
    `${leftOut.size} test file${leftOut.size === 1 ? "" : "s"} left out; what is missing: ${installCommand(programs)}`,
  ];
}

/** Promises of docs/promises.md in files that ran, which no `keepsPromise()` of the file has shown. */
function promisesWithoutTest() {
  const done = new Set(readFileSync(shown, "utf8").split("\n"));
  const ran = new Set(files);
  return promiseTests(root)
    .filter(([file, id]) => ran.has(`test/${file}.test.ts`) && !done.has(`${file}#${id}`))
    .map(([file, id]) => `docs/promises.md: no test that ran shows ${file}#${id}`);
}

/** Removes folders of runs that were killed. No run takes an hour. */
function removeLeftovers(directory, pattern) {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory).filter((name) => pattern.test(name))) {
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > LEFTOVER_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** A folder in memory for this run's databases, if there is room and programs can run in it. */
function memoryFolder() {
  if (process.env.TMPDIR || process.platform !== "linux") return null;
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (bavail * bsize < NEEDED_BYTES || freemem() < 2 * NEEDED_BYTES) return null;
    const path = mkdtempSync("/dev/shm/prism-tests-");
    const program = join(path, "runs");
    writeFileSync(program, "#!/bin/sh\n", { mode: 0o700 });
    if (spawnSync(program).status === 0) return path;
    rmSync(path, { recursive: true });
    return null;
  } catch {
    return null;
  }
}
