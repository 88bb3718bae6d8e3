// The sources that walks.mjs and measure.mjs count: this checkout, or those of a commit.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" });

/**
 * A commit's are in a folder until the process ends, with the packages of this checkout. @param ref anything that git
 * resolves to a commit; undefined: this checkout. @returns its folder and commit, with `+` where src differs from it
 */
export function treeOf(ref) {
  const commit = git("rev-parse", "--verify", "--short=8", `${ref ?? "HEAD"}^{commit}`).trim();
  if (ref === undefined) return { dir: root, commit: commit + (git("status", "--porcelain", "src") === "" ? "" : "+") };
  const dir = mkdtempSync(join(tmpdir(), "prism-tree-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  git("archive", "--output", join(dir, "source.tar"), commit);
  execFileSync("tar", ["-xf", "source.tar"], { cwd: dir });
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  execFileSync(process.execPath, ["scripts/collect.mjs"], { cwd: dir, stdio: ["ignore", 2, 2] });
  return { dir, commit };
}
