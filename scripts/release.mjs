// Builds dist/prism with a Node that gets security fixes, independent of the Node that runs this:
// npm run release. Copies the tracked files to a temporary directory, installs and builds them with
// the Node of npm's package node-<platform>-<arch>, an official build with its headers. Takes some
// minutes, because better-sqlite3 is compiled; that needs a C++ compiler and Python.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

/** Supported until 2027-04-30. Node 24 needs better-sqlite3 13, which needs Node 22. */
const NODE = "22.23.3";

const root = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "prism-release-"));
try {
  const node = installNode();
  const source = copySources();
  const env = { ...process.env, PATH: [join(node, "bin"), process.env.PATH].join(delimiter), npm_config_nodedir: node };
  for (const args of [
    ["ci", "--no-audit", "--no-fund"],
    ["run", "build"],
  ])
    execFileSync("npm", args, { cwd: source, env, stdio: "inherit" });
  mkdirSync(join(root, "dist"), { recursive: true });
  copyFileSync(join(source, "dist/prism"), join(root, "dist/prism.tmp"));
  renameSync(join(root, "dist/prism.tmp"), join(root, "dist/prism"));
  console.log(`dist/prism carries Node ${NODE}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function installNode() {
  const name = `node-${process.platform}-${process.arch}`;
  execFileSync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", work, `${name}@${NODE}`], {
    cwd: work,
    stdio: "inherit",
  });
  return join(work, "node_modules", name);
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
