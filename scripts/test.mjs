// Runs the test files whose path contains one of the arguments; all of them without arguments. Node 20's runner takes no patterns.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";

/** Neighbours share a process: to load the program takes a second of processor time, which most files need less than for their tests. */
const FILES_AT_ONCE = 8;
/** What waits for what never comes is to fail, and not to keep everybody waiting. It holds for a process, thus for all of its files together. */
const LIMIT = "--test-timeout=900000";
/** Names what failed, and why, at the end, where whoever reads no more than the last page finds it. */
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
// Most tests wait for a disk, a clock or a process: one file more than there are processors keeps them busy.
const concurrency = `--test-concurrency=${availableParallelism() + 1}`;
// Of this run alone: another may be under way.
const groups = join(root, ".build", "tests", String(process.pid));
const { status, signal } = spawnSync(
  process.execPath,
  ["--import", "tsx", "--test", concurrency, LIMIT, REPORTER, ...flags, ...grouped(files, groups)],
  { cwd: root, stdio: "inherit" },
);
rmSync(groups, { recursive: true, force: true });
if (signal) console.error(`ended by ${signal}`);
process.exit(status ?? 1);

/** Files in `folder` that import up to so many neighbours each; a few files are run as they are. */
function grouped(all, folder) {
  if (all.length <= FILES_AT_ONCE) return all;
  mkdirSync(folder, { recursive: true });
  const neighbours = [];
  for (const file of all) {
    const last = neighbours.at(-1);
    if (last && last.length < FILES_AT_ONCE && dirname(last[0]) === dirname(file)) last.push(file);
    else neighbours.push([file]);
  }
  return neighbours.map((group) => {
    if (group.length === 1) return group[0];
    const path = join(folder, `${group[0].replaceAll("/", "-").replace(/\.test\.ts$/, "")}.test.mjs`);
    writeFileSync(path, group.map((file) => `import ${JSON.stringify(join(root, file))};\n`).join(""));
    return path;
  });
}

function find(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return find(path);
      return entry.name.endsWith(".test.ts") ? [relative(root, path)] : [];
    })
    .sort();
}
