// Runs the test files whose path contains one of the arguments; all of them without arguments. Node 20's runner takes no patterns.
// TEST_SEED=<number> in the environment repeats what chance decided in a run that printed it, fast-check's values too;
// TEST_ALL_RUNS=1 tries each property as often as its test says, in place of a tenth of that.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { compileTests } from "./compile-tests.mjs";

/** Test files of one process: loading the program costs each process half a second of processor time. */
const FILES_PER_PROCESS = 8;
/** A process of these folders runs for a minute, so it gets fewer files and starts first. */
const SLOW_FOLDERS = ["test/e2e/", "test/live/", "test/cli/", "test/features/plugins/"];
const FILES_PER_SLOW_PROCESS = 3;
/** A test that waits for something that never comes fails. The limit holds for a process, so for all of its files together. */
const LIMIT = "--test-timeout=900000";
/** Repeats failures at the end, for logs that keep only the last page. */
const REPORTER = "--test-reporter=spec";

const root = join(import.meta.dirname, "..");
const flags = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const files = find(join(root, "test")).filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(", ")}`);
  process.exit(1);
}
// Most tests wait for a disk, a clock or a process: one process more than there are processors keeps them busy.
const concurrency = `--test-concurrency=${availableParallelism() + 1}`;
// The folder belongs to this run alone: another run may be under way.
const folder = join(root, ".build", "tests", String(process.pid));
await compileTests(root, folder);
const { status, signal } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", concurrency, LIMIT, REPORTER, ...flags, ...writeGroups()],
  { cwd: root, stdio: "inherit" },
);
rmSync(folder, { recursive: true, force: true });
if (signal) console.error(`ended by ${signal}`);
process.exit(status ?? 1);

/** Writes one file per process that imports its test files. The runner sorts by name, so the number makes the slow ones start first. */
function writeGroups() {
  mkdirSync(join(folder, "groups"));
  const isSlow = (file) => SLOW_FOLDERS.some((name) => file.startsWith(name));
  const groups = [
    ...chunks(files.filter(isSlow), FILES_PER_SLOW_PROCESS),
    ...chunks(
      files.filter((file) => !isSlow(file)),
      FILES_PER_PROCESS,
    ),
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

function chunks(all, size) {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}

function find(path) {
  return readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => {
      const child = join(path, entry.name);
      if (entry.isDirectory()) return find(child);
      return entry.name.endsWith(".test.ts") ? [relative(root, child)] : [];
    })
    .sort();
}
