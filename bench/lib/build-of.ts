import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "../..");
const folder = join(root, ".build/against");
/** Of `dist/`: what users get. */
const KEPT = ["prism", "module.d.ts", "prism-client"];

export interface Build {
  /** Abbreviated id of the commit. */
  readonly commit: string;
  /** With `prism`, `module.d.ts` and `prism-client/`. */
  readonly dist: string;
  readonly executable: string;
}

/**
 * What a commit builds, built once and kept in `.build/against/<commit>/`. Packages are those of this
 * checkout if the commit has the same lock file, else they are installed. The Node is the one that the
 * commit asks for.
 * @param ref anything that git resolves to a commit
 * @throws Error if git does not know the commit, such as in a clone without history
 */
export function buildOf(ref: string): Build {
  const commit = git("rev-parse", "--verify", "--short=10", `${ref}^{commit}`);
  const dist = join(folder, commit);
  if (!existsSync(dist)) build(commit, dist);
  return { commit, dist, executable: join(dist, "prism") };
}

/** Whether this clone has the commit. */
export function hasCommit(commit: string): boolean {
  return spawnSync("git", ["cat-file", "-e", `${commit}^{commit}`], { cwd: root, stdio: "ignore" }).status === 0;
}

/** The last build of this checkout. */
export function builtHere(): Build {
  const dist = join(root, "dist");
  return { commit: "this checkout", dist, executable: join(dist, "prism") };
}

function build(commit: string, dist: string): void {
  mkdirSync(folder, { recursive: true });
  // Not below this checkout: npm puts the programs of all folders above into PATH, this Node among them.
  const dir = mkdtempSync(join(tmpdir(), "prism-build-"));
  try {
    const archive = join(dir, "source.tar");
    git("archive", "--output", archive, commit);
    run(dir, "tar", "-xf", archive);
    const lock = (at: string): string => readFileSync(join(at, "package-lock.json"), "utf8");
    if (lock(dir) === lock(root)) symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
    else run(dir, "npm", "ci", "--no-audit", "--no-fund");
    run(dir, "npm", "run", "build");
    const copy = `${dist}.new`;
    for (const name of KEPT) cpSync(join(dir, "dist", name), join(copy, name), { recursive: true });
    renameSync(copy, dist);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function run(cwd: string, command: string, ...args: string[]): void {
  console.error(`${command} ${args.join(" ")}`);
  // Standard output is the report's.
  execFileSync(command, args, { cwd, stdio: ["ignore", 2, 2], env: environmentOf(cwd) });
}

/**
 * Commits that bring their Node among their packages need no other one. For earlier ones that of
 * .nvmrc comes first in PATH, with its headers for addons that are compiled.
 */
function environmentOf(source: string): NodeJS.ProcessEnv {
  const manifest = existsSync(join(source, "package.json")) ? readFileSync(join(source, "package.json"), "utf8") : "{}";
  if (!existsSync(join(source, ".nvmrc")) || "optionalDependencies" in JSON.parse(manifest)) return process.env;
  const major = readFileSync(join(source, ".nvmrc"), "utf8").trim();
  const name = `node-${process.platform}-${process.arch}`;
  const place = join(folder, `node-${major}`);
  const node = join(place, "node_modules", name);
  if (!existsSync(node)) {
    mkdirSync(place, { recursive: true });
    const words = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", place, `${name}@${major}`];
    execFileSync("npm", words, { cwd: place, stdio: ["ignore", 2, 2] });
  }
  const PATH = [join(node, "bin"), process.env["PATH"]].join(delimiter);
  // npm hands the settings of this checkout's .npmrc on; earlier commits compile their addons at the installation.
  return { ...process.env, PATH, npm_config_nodedir: node, npm_config_ignore_scripts: "false" };
}

function git(...args: string[]): string {
  return execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
}
