// Makes a checkout ready: installs what package-lock.json says if node_modules is not that, and with `build` makes dist/prism if a source is
// newer; with `check` it exits 1 if something has to be installed. Quick when nothing has changed. Uses nothing but Node, for it runs before anything is installed.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adaptAddon } from "./adapt-uws.mjs";

// Not import.meta.dirname: this file must run on older versions of Node up to the check below.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  console.error(`Prism needs Node 20.15 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
if (major > 22) {
  // Its statements call Node without a context when they are collected as garbage, and Node 24 then aborts.
  console.error(
    `Prism needs Node 20 or 22, for better-sqlite3 12 ends the process on newer ones; this is ${process.versions.node}.`,
  );
  process.exit(1);
}

if (process.argv.includes("check")) process.exit(isInstalled() ? 0 : 1);
installIfStale();
adaptAddon();
if (process.argv.includes("build")) buildIfStale();
else {
  execFileSync(process.execPath, [join(root, "scripts/collect.mjs")], { stdio: "inherit" });
  packClientIfStale();
}

/** Installs where node_modules is not what package-lock.json says. An installation by `npm install` or `npm ci` counts. */
function installIfStale() {
  const stamp = join(root, "node_modules/.prism-platform");
  const platform = `${process.versions.modules} ${process.platform}-${process.arch}`;
  const isForPlatform = !existsSync(stamp) || readFileSync(stamp, "utf8") === platform;
  if (isForPlatform && isInstalled()) return noteIfAbsent(stamp, platform);
  const npm = process.env.npm_execpath ? [process.execPath, [process.env.npm_execpath]] : ["npm", []];
  // npm ci removes node_modules first, so without a network nothing is left; install keeps what is there until it has the rest.
  const isUsable = isForPlatform && existsSync(join(root, "node_modules/.package-lock.json"));
  const command = isUsable ? ["install", "--no-save"] : ["ci"];
  execFileSync(npm[0], [...npm[1], ...command, "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit" });
  noteIfAbsent(stamp, platform);
}

/** npm notes in node_modules what it installed; packages for other platforms are absent there. */
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
    "deploy/systemd",
    "migrations",
    "build.mjs",
    "package-lock.json",
    "package.json",
    "scripts/adapt-uws.mjs",
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
