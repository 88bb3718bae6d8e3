// The programs that tests start and that a minimal Debian 12 with Node does not have, and where they
// come from: `node scripts/programs.mjs` installs those that are missing where it may, and names the
// others; with --bench also the program of the benchmarks. The runner of the tests does the same, and
// leaves out the files whose programs are missing still. A file that starts one says so in a line of
// its own: `// needs: nginx, curl`.
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "..");

/** `orElse`: other names, or paths, that do as well; `variable`: of the environment, with a path. */
const PROGRAMS = [
  { name: "amtool", package: "prometheus-alertmanager" },
  { name: "apprise", package: "apprise" },
  { name: "caddy", package: "caddy" },
  {
    name: "chromium",
    package: "chromium",
    orElse: ["chromium-browser", "google-chrome", "google-chrome-stable"],
    variable: "CHROMIUM_PATH",
  },
  {
    name: "chromium-headless-shell",
    package: "chromium-headless-shell",
    orElse: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    variable: "CHROMIUM_PATH",
  },
  { name: "curl", package: "curl" },
  { name: "fish", package: "fish" },
  { name: "git", package: "git" },
  { name: "ip", package: "iproute2" },
  { name: "jq", package: "jq" },
  // Debian 12 has one that is too old: test/cluster/support/nats.ts fetches the next one by apt-get.
  {
    name: "nats-server",
    package: "nats-server",
    orElse: ["apt-get", join(root, "node_modules/.cache/debian-next/usr/sbin/nats-server")],
    variable: "NATS_SERVER",
  },
  { name: "nginx", package: "nginx-light" },
  // Debian 12 has none: test/remote/import/ntfy-program.ts fetches that of the next release by apt-get.
  {
    name: "ntfy",
    package: "ntfy",
    orElse: ["apt-get", join(root, "node_modules/.cache/debian-next-ntfy/usr/bin/ntfy")],
    variable: "NTFY_PROGRAM",
  },
  { name: "openssl", package: "openssl" },
  { name: "prometheus", package: "prometheus" },
  { name: "prometheus-alertmanager", package: "prometheus-alertmanager" },
  { name: "promtool", package: "prometheus" },
  { name: "squid", package: "squid" },
  { name: "systemd-analyze", package: "systemd" },
  { name: "wrk", package: "wrk", isOfBench: true },
  { name: "zsh", package: "zsh" },
];

/** The programs that tests may need. */
export const TEST_PROGRAMS = PROGRAMS.filter(({ isOfBench }) => !isOfBench).map(({ name }) => name);

/** Where programs are that a PATH may not have: Debian's servers are for root. */
export const PATH = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);

/** @returns those of the programs that are not on this machine */
export function missingOf(names) {
  return PROGRAMS.filter((program) => names.includes(program.name) && !isThere(program)).map(({ name }) => name);
}

/** The command that installs programs on Debian. */
export function installCommand(names) {
  const packages = PROGRAMS.filter(({ name }) => names.includes(name)).map((program) => program.package);
  return `apt-get install --no-install-recommends ${[...new Set(packages)].join(" ")}`;
}

/** Installs what is missing where it may: as root on Debian. @returns what is missing still */
export function installMissing(names) {
  const missing = missingOf(names);
  if (missing.length === 0 || !mayInstall()) return missing;
  const command = installCommand(missing);
  console.log(`installing what is missing: ${command}`);
  const script = `apt-get update -qq && ${command} -y -qq`;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stderr } = spawnSync("sh", ["-c", script], {
    env,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) console.error(`apt-get failed:\n${stderr}`);
  return missingOf(missing);
}

function mayInstall() {
  return process.getuid?.() === 0 && existsSync("/etc/debian_version") && find("apt-get");
}

function isThere({ name, orElse = [], variable }) {
  if (variable !== undefined && process.env[variable]) return true;
  return [name, ...orElse].some(find);
}

function find(name) {
  if (name.startsWith("/")) return isProgram(name);
  return PATH.split(delimiter).some((folder) => isProgram(join(folder, name)));
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

if (process.argv[1] === import.meta.filename) {
  const isForBench = process.argv.includes("--bench");
  const left = installMissing(PROGRAMS.filter(({ isOfBench }) => isForBench || !isOfBench).map(({ name }) => name));
  console.log(left.length > 0 ? `missing: ${left.join(", ")}; ${installCommand(left)}` : "all programs are there");
}
