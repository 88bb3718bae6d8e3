// Builds dist/prism from the tracked files alone and packages it into dist/release
// (scripts/package.mjs): npm run release. Copies them to a temporary directory, installs and builds
// them there with the Node that everything runs on (node-version.mjs).
import "./node-version.mjs";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { buildTime } from "./package/archive.mjs";

const root = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "prism-release-"));
try {
  const source = copySources();
  const env = { ...process.env, PRISM_COMMIT: commit(), SOURCE_DATE_EPOCH: String(buildTime(root)) };
  // Scripts of packages, which npm runs, are not given the place of the key.
  delete env.PRISM_SIGNING_KEY_FILE;
  const run = (program, ...words) => execFileSync(program, words, { cwd: source, env, stdio: "inherit" });
  run("npm", "run", "build");
  mkdirSync(join(root, "dist"), { recursive: true });
  copyFileSync(join(source, "dist/prism"), join(root, "dist/prism.tmp"));
  renameSync(join(root, "dist/prism.tmp"), join(root, "dist/prism"));
  console.log(`dist/prism carries Node ${process.versions.node}`);
  // Packages are for Linux, and need GNU tar.
  if (process.platform === "linux") {
    const { PRISM_SIGNING_KEY_FILE: key } = process.env;
    if (key) env.PRISM_SIGNING_KEY_FILE = resolve(key);
    run(process.execPath, "scripts/package.mjs");
    rmSync(join(root, "dist/release"), { recursive: true, force: true });
    cpSync(join(source, "dist/release"), join(root, "dist/release"), { recursive: true });
    console.log(`${join(root, "dist/release")} has the files to publish`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The last commit, if the tracked files are as it left them; otherwise an empty text. */
function commit() {
  const git = (...words) => execFileSync("git", words, { cwd: root, encoding: "utf8" }).trim();
  return git("status", "--porcelain", "--untracked-files=no") === "" ? git("rev-parse", "HEAD") : "";
}

function copySources() {
  const source = join(work, "source");
  const files = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0");
  for (const file of files) {
    if (file === "" || !existsSync(join(root, file))) continue;
    mkdirSync(dirname(join(source, file)), { recursive: true });
    cpSync(join(root, file), join(source, file));
  }
  return source;
}
