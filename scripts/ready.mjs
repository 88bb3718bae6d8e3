// Makes a checkout ready: installs what package-lock.json says if node_modules is not that, and with `build` makes dist/prism if a source is
// newer. Quick when nothing has changed. Uses nothing but Node, for it runs before anything is installed.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  console.error(`Prism needs Node 20.15 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

installIfStale();
if (process.argv.includes("build")) buildIfStale();
else {
  execFileSync(process.execPath, [join(root, "scripts/collect.mjs")], { stdio: "inherit" });
  packClientIfStale();
}

function installIfStale() {
  const stamp = join(root, "node_modules/.prism-lock");
  const wanted = `${hash("package-lock.json")} ${process.versions.modules} ${process.platform}-${process.arch}`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const npm = process.env.npm_execpath ? [process.execPath, [process.env.npm_execpath]] : ["npm", []];
  execFileSync(npm[0], [...npm[1], "ci", "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit" });
  mkdirSync(join(root, "node_modules"), { recursive: true });
  writeFileSync(stamp, wanted);
}

function buildIfStale() {
  const output = join(root, "dist/prism");
  const builtAt = existsSync(output) ? statSync(output).mtimeMs : 0;
  const inputs = [
    "src",
    "migrations",
    "build.mjs",
    "package-lock.json",
    "package.json",
    "scripts/client-package.mjs",
    "scripts/collect.mjs",
    "scripts/module-types.mjs",
  ];
  if (builtAt > newest(inputs.map((input) => join(root, input)))) return;
  execFileSync(process.execPath, [join(root, "build.mjs")], { cwd: root, stdio: "inherit" });
}

/** What the server answers with at /prism-client.js, run from source too. */
function packClientIfStale() {
  const output = join(root, "dist/prism-client/package.json");
  const inputs = ["src/client", "package.json", "scripts/client-package.mjs"].map((input) => join(root, input));
  if (existsSync(output) && statSync(output).mtimeMs > newest(inputs)) return;
  execFileSync(process.execPath, [join(root, "scripts/client-package.mjs")], { cwd: root, stdio: "inherit" });
}

function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    const stat = statSync(path);
    // What the build writes itself says nothing about whether it is stale.
    if (path.endsWith(".gen.ts")) continue;
    if (stat.isDirectory()) latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
    else latest = Math.max(latest, stat.mtimeMs);
  }
  return latest;
}

function hash(file) {
  return createHash("sha256")
    .update(readFileSync(join(root, file)))
    .digest("hex");
}
