// Runs the test files whose path contains one of the arguments; all of them without arguments. Node 20's runner takes no patterns.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";

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
const { status, signal } = spawnSync(process.execPath, ["--import", "tsx", "--test", concurrency, ...flags, ...files], {
  cwd: root,
  stdio: "inherit",
});
if (signal) console.error(`ended by ${signal}`);
process.exit(status ?? 1);

function find(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return find(path);
      return entry.name.endsWith(".test.ts") ? [relative(root, path)] : [];
    })
    .sort();
}
