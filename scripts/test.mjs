// Runs the test files with one of the arguments in their path; without arguments all of them, with
// --quick those of test-sets.mjs. --list only prints them; --record writes test/slow.txt after a run
// of all. Node 20's runner supports no patterns.
//
// TEST_SEED=<number> in the environment repeats the random values of the run that printed it,
// including fast-check's. TEST_ALL_RUNS=1 runs each property as often as its test says, instead of
// a tenth of that. TMPDIR is the directory of the tests' databases; default: memory if it has room,
// because a commit waits for the disk.
import "./node-version.mjs";
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
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
import { everyFile, promiseTests, quickFiles, recordSlowFiles, slowFiles } from "./test-sets.mjs";

/**
 * Test files of one process: loading the program costs each process a second of processor time. The
 * last processes get fewer, so that no processor is idle at the end.
 */
const MOST_FILES = 40;
const FEWEST_FILES = 3;
/** Slow files start first, a few per process: seconds of the files of one process. */
const MOST_SECONDS = 60;
const STRIDE = 16;
/** For all files of a process together, also on a busy machine: ends a test that hangs. */
const LIMIT = "--test-timeout=1800000";
const REPORTER = `--test-reporter=${join(import.meta.dirname, "test-reporter.mjs")}`;
const PRELOAD = `--require=${join(import.meta.dirname, "test-resources.cjs")}`;
const NEEDED_BYTES = 2 ** 30;
const LEFTOVER_MS = 3_600_000;

const root = join(import.meta.dirname, "..");
const OWN_FLAGS = ["--quick", "--list", "--record"];
const given = process.argv.slice(2);
const flags = given.filter((argument) => argument.startsWith("--") && !OWN_FLAGS.includes(argument));
const wanted = given.filter((argument) => !argument.startsWith("--"));
const isQuick = given.includes("--quick") && wanted.length === 0;
const files = (isQuick ? quickFiles : everyFile)(root).filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
if (given.includes("--list")) {
  console.log(files.join("\n"));
  process.exit(0);
}
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(", ")}`);
  process.exit(1);
}
// Most tests wait for a disk, a clock or a process: one more process than processors keeps them
// busy.
const processes = availableParallelism() + 1;
// A separate folder per run: another run may be active.
const folder = join(root, ".build", "tests", String(process.pid));
removeLeftovers(dirname(folder), /^\d+$/);
removeLeftovers("/dev/shm", /^prism-tests-/);
await compileTests(root, folder);
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
const times = join(folder, "times.json");
const environment = {
  ...process.env,
  TEST_COMPILED: folder,
  TEST_PROMISES: shown,
  TEST_TIMES: times,
  ...(scratch ? { TMPDIR: scratch } : {}),
};
const runner = spawn(
  process.execPath,
  [PRELOAD, "--test", `--test-concurrency=${processes}`, LIMIT, REPORTER, ...flags, ...writeGroups()],
  { cwd: root, stdio: "inherit", env: environment },
);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => runner.kill(signal));
runner.on("close", (status, signal) => {
  const broken = status === 0 && flags.length === 0 ? promisesWithoutTest() : [];
  if (given.includes("--record") && status === 0 && wanted.length === 0 && !isQuick)
    recordSlowFiles(root, JSON.parse(readFileSync(times, "utf8")));
  rmSync(folder, { recursive: true, force: true });
  if (scratch) rmSync(scratch, { recursive: true, force: true });
  if (signal) console.error(`ended by ${signal}`);
  for (const promise of broken) console.error(`docs/promises.md: no test that ran shows ${promise}`);
  process.exit(broken.length > 0 ? 1 : (status ?? 1));
});

/** Promises of docs/promises.md in files that ran, which no `keepsPromise()` of the file has shown. */
function promisesWithoutTest() {
  const done = new Set(readFileSync(shown, "utf8").split("\n"));
  const ran = new Set(files);
  return promiseTests(root)
    .filter(([file, id]) => ran.has(`test/${file}.test.ts`) && !done.has(`${file}#${id}`))
    .map(([file, id]) => `${file}#${id}`);
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

/**
 * Writes one file per process that imports its test files. The runner sorts by name, so the number
 * makes the slow ones start first.
 */
function writeGroups() {
  mkdirSync(join(folder, "groups"));
  const seconds = slowFiles(root);
  const slow = files.filter((file) => seconds.has(file));
  const groups = [
    ...mixed(
      groupedByTime(slow.filter(isWaiting), seconds),
      groupedByTime(
        slow.filter((file) => !isWaiting(file)),
        seconds,
      ),
      seconds,
    ),
    ...grouped(files.filter((file) => !seconds.has(file))),
  ];
  const setUp = process.env.TEST_SEED
    ? [`import ${JSON.stringify(join(folder, "test/helpers/fast-check-seed.js"))};\n`]
    : [];
  return groups.map((group, index) => {
    const name = group[0].replaceAll("/", "-").replace(/\.test\.ts$/, "");
    const path = join(folder, "groups", `${String(index).padStart(3, "0")}-${name}.test.mjs`);
    const imports = group.map((file) => `import ${JSON.stringify(join(folder, file.replace(/\.ts$/, ".js")))};\n`);
    writeFileSync(path, [...setUp, ...imports].join(""));
    return path;
  });
}

/** Nodes of a cluster wait for each other: several such files at a time leave the processors idle. */
function isWaiting(file) {
  return file.startsWith("test/cluster/") && !file.includes("simulation");
}

/** Of the time of all processes the waiting groups take that of one, from the beginning to their end. */
function mixed(waiting, others, seconds) {
  const groups = [];
  const [one, rest] = [[...waiting], [...others]];
  let ahead = 0;
  while (one.length + rest.length > 0) {
    const isOne = rest.length === 0 || (one.length > 0 && ahead <= 0);
    const group = (isOne ? one : rest).shift();
    const took = group.reduce((sum, file) => sum + seconds.get(file), 0);
    ahead += isOne ? took * (processes - 1) : -took;
    groups.push(group);
  }
  return groups;
}

/** Groups of at most MOST_SECONDS or of one file, the longest first. */
function groupedByTime(slow, seconds) {
  const groups = [];
  for (const file of slow.sort((one, other) => seconds.get(other) - seconds.get(one))) {
    const took = seconds.get(file);
    const group = groups.find(({ sum }) => sum + took <= MOST_SECONDS);
    if (group) {
      group.files.push(file);
      group.sum += took;
    } else groups.push({ files: [file], sum: took });
  }
  return groups.map((group) => group.files);
}

/**
 * Groups of at most MOST_FILES, which become smaller towards the end. Neighbours, which take about
 * as long as each other, get into different groups.
 */
function grouped(quick) {
  const groups = [];
  const all = Array.from({ length: STRIDE }, (_, from) => quick.filter((_, at) => at % STRIDE === from)).flat();
  for (let at = 0; at < all.length; ) {
    const share = Math.ceil((all.length - at) / (2 * processes));
    const size = Math.max(FEWEST_FILES, Math.min(MOST_FILES, share));
    groups.push(all.slice(at, at + size));
    at += size;
  }
  return groups;
}
