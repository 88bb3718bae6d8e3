// Prepares a checkout: installs packages if node_modules differs from package-lock.json, and with
// `build` builds dist/prism if a source is newer; with `check` it exits 1 if packages must be
// installed. Fast if nothing has changed. Uses Node only, because it runs before the installation.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adaptAddon } from "./adapt-uws.mjs";

// Not import.meta.dirname: older versions of Node must reach the check below.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  console.error(`Prism needs Node 20.15 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
if (major > 22) {
  // Its statements call Node without a context when they are garbage-collected, and Node 24 then
  // aborts.
  console.error(`Prism needs Node 20 or 22: better-sqlite3 12 aborts on newer ones. This is ${process.versions.node}.`);
  process.exit(1);
}

if (process.argv.includes("check")) process.exit(isInstalled() ? 0 : 1);
installIfStale();
adaptAddon();
if (process.argv.includes("build")) buildIfStale();
else {
  execFileSync(process.execPath, [join(root, "scripts/collect.mjs")], { stdio: "inherit" });
  packClientIfStale();
  buildConsoleIfStale();
}

/** Installs packages if node_modules differs from package-lock.json, however it was installed. */
function installIfStale() {
  const stamp = join(root, "node_modules/.prism-platform");
  const platform = `${process.versions.modules} ${process.platform}-${process.arch}`;
  const isForPlatform = !existsSync(stamp) || readFileSync(stamp, "utf8") === platform;
  if (isForPlatform && isInstalled()) return noteIfAbsent(stamp, platform);
  const npm = process.env.npm_execpath ? [process.execPath, [process.env.npm_execpath]] : ["npm", []];
  // npm ci removes node_modules first, so that without a network nothing would be left; npm install
  // keeps it until the new packages are downloaded.
  const isUsable = isForPlatform && existsSync(join(root, "node_modules/.package-lock.json"));
  const command = isUsable ? ["install", "--no-save"] : ["ci"];
  execFileSync(npm[0], [...npm[1], ...command, "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit" });
  noteIfAbsent(stamp, platform);
}

/** npm records the installed packages in node_modules, without those for other platforms. */
function isInstalled() {
  const hidden = join(root, "node_modules/.package-lock.json");
  if (!existsSync(hidden)) return false;
  const installed = JSON.parse(readFileSync(hidden, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages);
  const isSame = ([path, { version, integrity, optional }]) => {
    const found = installed[path];
    return found ? found.version === version && found.integrity === integrity : path === "" || optional === true;
  };
  return wanted.every(isSame) && Object.keys(installed).length <= wanted.length;
}

function noteIfAbsent(stamp, platform) {
  if (existsSync(stamp)) return;
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, platform);
}

function buildIfStale() {
  const output = join(root, "dist/prism");
  const builtAt = existsSync(output) ? statSync(output).mtimeMs : 0;
  const inputs = [
    "src",
    "console",
    "deploy/systemd",
    "examples/demo.json",
    "migrations",
    "build.mjs",
    "package-lock.json",
    "package.json",
    "scripts/adapt-uws.mjs",
    "scripts/api-types.mjs",
    "scripts/elf.mjs",
    "scripts/package/glibc.mjs",
    "scripts/uws-digests.json",
    "scripts/build-console.mjs",
    "scripts/client-package.mjs",
    "scripts/chunks.mjs",
    "scripts/code-cache.mjs",
    "scripts/collect.mjs",
    "scripts/module-types.mjs",
    "scripts/operations.mjs",
  ];
  if (builtAt > newest(inputs.map((input) => join(root, input)))) return;
  execFileSync(process.execPath, [join(root, "build.mjs")], { cwd: root, stdio: "inherit" });
}

/** The script at /prism-client.js; a server run from source needs it, too. */
function packClientIfStale() {
  const output = join(root, "dist/prism-client/package.json");
  const inputs = ["src/client", "package.json", "scripts/client-package.mjs"].map((input) => join(root, input));
  const changedAt = Math.max(newest(inputs), statSync(join(root, "src/client/api-types.gen.ts")).mtimeMs);
  if (existsSync(output) && statSync(output).mtimeMs > changedAt) return;
  execFileSync(process.execPath, [join(root, "scripts/client-package.mjs")], { cwd: root, stdio: "inherit" });
}

/** The console for a server that runs from source, with the gallery of its components. */
function buildConsoleIfStale() {
  const output = join(root, "dist/console/files.json");
  const inputs = ["console", "src/client", "package-lock.json", "scripts/build-console.mjs"];
  if (existsSync(output) && statSync(output).mtimeMs > newest(inputs.map((input) => join(root, input)))) return;
  execFileSync(process.execPath, [join(root, "scripts/build-console.mjs"), "--dev"], { cwd: root, stdio: "inherit" });
}

function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    const stat = statSync(path);
    // Output of the build does not make it stale.
    if (path.endsWith(".gen.ts")) continue;
    if (stat.isDirectory()) latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
    else latest = Math.max(latest, stat.mtimeMs);
  }
  return latest;
}
