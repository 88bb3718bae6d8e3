// Runs all benchmarks, or those with one of the arguments in their name, one after the other.
// `--report [name]…` runs those that have a reference and writes docs/benchmarks.md.
// `--against <commit> [part]…` compares this checkout with another commit instead.
import "./node-version.mjs";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const wanted = process.argv.slice(2);
const program = { "--against": "against.ts", "--report": "figures.ts" }[wanted[0]];
if (program) {
  const args = ["--import", "tsx", join(root, "bench", program), ...wanted.slice(1)];
  process.exit(spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1);
}
const files = readdirSync(join(root, "bench")).filter((name) => name.endsWith(".bench.ts"));
for (const file of files.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))) {
  const { status } = spawnSync(process.execPath, ["--import", "tsx", join(root, "bench", file)], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}
