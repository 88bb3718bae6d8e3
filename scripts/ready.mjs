// Prepares a checkout, on any Node from 20.15 on: installs packages if node_modules differs from
// package-lock.json, and goes on with the Node among them (node-version.mjs). With `build` it builds
// dist/prism if a source is newer; with `check` it exits 1 if packages must be installed. Words after
// `--` are given to that Node. Fast if nothing has changed.
//
//     node scripts/ready.mjs [check | build] [-- <script> [argument]…]
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { carriedNode, isRightNode, isSame, NODE_MAJOR, pinnedNode } from "./node-version.mjs";

// Not import.meta.dirname: older versions of Node must reach the check below.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  console.error(`Prism needs Node 20.15 or newer to begin with; this is ${process.versions.node}.`);
  process.exit(1);
}
const given = process.argv.slice(2);
const end = given.includes("--") ? given.indexOf("--") : given.length;
const [words, script] = [given.slice(0, end), given.slice(end + 1)];
if (words.includes("check")) process.exit(isInstalled() ? 0 : 1);
installIfStale();
const node = carriedNode();
if (node !== null && !isSame(node, process.execPath)) await run(node, [fileURLToPath(import.meta.url), ...given]);
else {
  if (!isRightNode()) {
    console.error(
      `Prism needs Node ${NODE_MAJOR}, and npm has no package of it for ${process.platform}-${process.arch}: ` +
        `install it and start again with it. This is ${process.versions.node}.`,
    );
    process.exit(1);
  }
  if (node === null && pinnedNode() === null)
    console.error(
      `npm has no package of Node for ${process.platform}-${process.arch}: this goes on with ${process.version}`,
    );
  await prepare();
  if (script.length > 0) await run(process.execPath, script);
}

async function prepare() {
  // It needs the packages and the right Node, unlike this file.
  const { adaptAddon } = await import("./adapt-uws.mjs");
  adaptAddon();
  if (words.includes("build")) return buildIfStale();
  execFileSync(process.execPath, [join(root, "scripts/collect.mjs")], { stdio: "inherit" });
  packClientIfStale();
  buildConsoleIfStale();
}

/** Ends as the command does, with its exit code or by the same signal. */
async function run(command, args) {
  const path = [dirname(command), process.env.PATH].join(delimiter);
  const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, PATH: path } });
  // A terminal sends its signals to both.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const [status, signal] = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...how) => resolve(how));
  });
  if (signal === null) process.exit(status);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Installs packages if node_modules differs from package-lock.json, however it was installed. */
function installIfStale() {
  const stamp = join(root, "node_modules/.prism-platform");
  const platform = `${process.platform}-${process.arch}`;
  const isForPlatform = !existsSync(stamp) || readFileSync(stamp, "utf8") === platform;
  if (isForPlatform && isInstalled()) return noteIfAbsent(stamp, platform);
  const npm = process.env.npm_execpath ? [process.execPath, [process.env.npm_execpath]] : ["npm", []];
  // npm ci removes node_modules first, so that without a network nothing would be left; npm install
  // keeps it until the new packages are downloaded.
  const isUsable = isForPlatform && existsSync(join(root, "node_modules/.package-lock.json"));
  const command = isUsable ? ["install", "--no-save"] : ["ci"];
  console.error("installing packages");
  // Its standard output, such as "added 334 packages", is of no use here.
  execFileSync(npm[0], [...npm[1], ...command, "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["inherit", "ignore", 2],
  });
  noteIfAbsent(stamp, platform);
}

/** npm records the installed packages in node_modules, without those for other platforms. */
function isInstalled() {
  const hidden = join(root, "node_modules/.package-lock.json");
  if (!existsSync(hidden)) return false;
  const installed = JSON.parse(readFileSync(hidden, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages);
  const isAsWanted = ([path, { version, integrity, optional }]) => {
    const found = installed[path];
    return found ? found.version === version && found.integrity === integrity : path === "" || optional === true;
  };
  return wanted.every(isAsWanted) && Object.keys(installed).length <= wanted.length;
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
    "scripts/console-parts.mjs",
    "scripts/client-package.mjs",
    "scripts/chunks.mjs",
    "scripts/code-cache.mjs",
    "scripts/collect.mjs",
    "scripts/console-forms.mjs",
    "scripts/manual",
    "scripts/manual.mjs",
    "scripts/module-types.mjs",
    "scripts/node-version.mjs",
    "scripts/operations.mjs",
  ];
  if (builtAt > newest(inputs.map((input) => join(root, input)))) return;
  console.error("building dist/prism");
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "build.mjs")], { cwd: root });
  if (status === 0) return;
  process.stderr.write(Buffer.concat([stdout, stderr]));
  process.exit(1);
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
  const inputs = [
    "console",
    "src/client",
    "package-lock.json",
    "scripts/build-console.mjs",
    "scripts/console-parts.mjs",
  ];
  const forms = join(root, "console/forms");
  const changedAt = Math.max(
    newest(inputs.map((input) => join(root, input))),
    ...readdirSync(forms).map((name) => statSync(join(forms, name)).mtimeMs),
  );
  if (existsSync(output) && statSync(output).mtimeMs > changedAt) return;
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
