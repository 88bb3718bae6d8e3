import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { syncDir, syncFile } from "../../../core/data-dir.ts";
import { nodeWarning, readAsset } from "../../../core/runtime.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { table } from "../../output/output.ts";
import { realPathOf } from "../../output/text.ts";
import { resource } from "../../resource.ts";

const EXECUTABLE = "/usr/local/bin/prism";
const CONFIG = "/etc/prism/prism.config.json";
const SECRETS = "/etc/prism/secrets.env";
const DATABASE = "/var/lib/prism/prism.db";
const UNITS = ["prism.service", "prism-backup.service", "prism-backup.timer"] as const;

/** Files of the service by target path; `source` is their name in the repository. */
const FILES: readonly { readonly path: string; readonly source: string }[] = [
  ...UNITS.map((unit) => ({ path: `/etc/systemd/system/${unit}`, source: `deploy/systemd/${unit}` })),
  { path: "/etc/sysusers.d/prism.conf", source: "deploy/systemd/sysusers.d/prism.conf" },
  { path: "/etc/tmpfiles.d/prism.conf", source: "deploy/systemd/tmpfiles.d/prism.conf" },
];

/** The same in a package: /usr/local and /etc belong to the administrator. */
const PACKAGED_EXECUTABLE = "/usr/bin/prism";
const PACKAGED_FILES = FILES.map(({ path, source }) => ({
  path: path.replace("/etc/systemd/", "/usr/lib/systemd/").replace(/^\/etc\/(?=sysusers|tmpfiles)/, "/usr/lib/"),
  source,
}));

const FIRST_CONFIG = { env: "production", host: "127.0.0.1", port: 3000, dataDir: "/var/lib/prism" };

interface ServiceFlags {
  readonly root: string;
  readonly start?: boolean;
  readonly unmaintainedNode?: boolean;
}

export function addService(program: Command): void {
  const root = ["--root <dir>", "root of the file system, for images", "/"] as const;
  resource(program, "service", "", {
    text: "install or uninstall the systemd service, or show its status",
    examples: `install again replaces the executable and the units, and keeps configuration, secrets and data.

Examples:
  $ sudo ./dist/prism service install
  $ prism service install --print
  $ prism service status`,
    verbs: {
      install: {
        text: "install or upgrade executable, units, user, directories, configuration and secrets",
        examples: ["$ sudo ./dist/prism service install", "--print"],
        flags: {
          root: ["--root <dir>", "root of the file system, for images; no service is started", "/"],
          print: ["--print", "print the files and change nothing"],
          start: ["--no-start", "do not enable and start the service"],
          unmaintainedNode: [
            "--unmaintained-node",
            "install a build with a Node.js that no longer gets security fixes",
          ],
        },
        act: (context, flags) =>
          flags["print"] ? printFiles(context, FILES, textOf) : install(context, flags as unknown as ServiceFlags),
      },
      prepare: {
        text: "for packages: make user, directories, configuration and secrets; units are the package's",
        examples: ["$ sudo prism service prepare", "--print --json"],
        flags: { root, print: ["--print", "print the files that the package brings, and change nothing"] },
        act: (context, flags) =>
          flags["print"]
            ? printFiles(context, PACKAGED_FILES, packagedTextOf)
            : prepare(context, String(flags["root"])),
      },
      uninstall: {
        text: "stop the service and remove executable and units; configuration, secrets and data stay",
        examples: "Examples:\n  $ sudo prism service uninstall",
        flags: { root },
        act: (context, flags) => uninstall(context, String(flags["root"])),
      },
      status: {
        text: "check the files of the service; exit 8 when one is missing or differs",
        examples: "Examples:\n  $ prism service status",
        flags: { root },
        act: (context, flags) => showStatus(context, String(flags["root"])),
      },
    },
  });
}

function textOf(source: string): string {
  return readAsset(source, source).toString("utf8");
}

/** With the paths of a package. */
function packagedTextOf(source: string): string {
  return textOf(source)
    .replaceAll(EXECUTABLE, PACKAGED_EXECUTABLE)
    .replace(/^# \/etc\//, "# /usr/lib/")
    .replace(
      /^# prism service install puts .*$/m,
      "# The package brings this file; prism service prepare made the rest.",
    );
}

function printFiles({ out }: CommandContext, of: typeof FILES, read: typeof textOf): void {
  const files = of.map(({ path, source }) => ({ path, text: read(source) }));
  out.result(files, () => files.map(({ path, text }) => `# ---- ${path}\n${text}`));
}

function install({ out }: CommandContext, { root, start, unmaintainedNode }: ServiceFlags): void {
  requireAdministrator(root, "install");
  if (resolve(root) === "/" && isPackaged(root) && process.execPath === PACKAGED_EXECUTABLE)
    throw new CommandError(
      EXIT.refused,
      "a package has installed this executable and its service; upgrade the package",
    );
  requireMaintainedNode(unmaintainedNode);
  // Directories and units are readable by all users; secrets have their own mode.
  process.umask(0o022);
  const at = (path: string): string => pathIn(root, path);
  // All are checked before the first is written.
  for (const path of [CONFIG, SECRETS, DATABASE, ...FILES.map((file) => file.path)]) at(path);
  const isUpgrade = existsSync(at(EXECUTABLE));
  const done = [installExecutable(at(EXECUTABLE))];
  for (const { path, source } of FILES) done.push(replaceFile(at(path), textOf(source)));
  done.push(...makeOwnFiles(root));
  const state = start === false ? "" : startUnits(root, isUpgrade);
  out.result({ root: resolve(root), isUpgrade, done, state }, () => [
    ...done,
    ...(state === "" ? [] : [state]),
    ...(isUpgrade
      ? []
      : ["", "Next: prism user create --username admin --role Admin --password", "      prism doctor"]),
  ]);
}

/** User, configuration, secrets and directories, as in the two files for systemd's tools. @returns its actions */
function makeOwnFiles(root: string): readonly string[] {
  const at = (path: string): string => pathIn(root, path);
  // By name: those in /etc come before those of a package.
  runTool("systemd-sysusers", root, ["prism.conf"]);
  const done = [
    createOnce(at(CONFIG), `${JSON.stringify(FIRST_CONFIG, null, 2)}\n`),
    existsSync(at(SECRETS)) ? `kept      ${at(SECRETS)}` : createSecrets(at(SECRETS), at(DATABASE)),
  ];
  runTool("systemd-tmpfiles", root, ["--create", "prism.conf"]);
  return done;
}

function prepare({ out }: CommandContext, root: string): void {
  requireAdministrator(root, "prepare");
  process.umask(0o022);
  for (const path of [CONFIG, SECRETS, DATABASE]) pathIn(root, path);
  const done = makeOwnFiles(root);
  const own = FILES.map(({ path }) => pathIn(root, path)).filter((path) => existsSync(path));
  out.result({ root: resolve(root), done, own }, () => [
    ...done,
    ...own.map((path) => `${path} of prism service install comes before the package's`),
    ...(own.length === 0
      ? []
      : [
          "Remove them:  sudo prism service uninstall",
          "       then:  sudo systemctl enable --now prism prism-backup.timer",
        ]),
  ]);
}

/** Whether a package brought the executable, and `prism service install` did not. */
function isPackaged(root: string): boolean {
  return existsSync(pathIn(root, PACKAGED_EXECUTABLE)) && !existsSync(pathIn(root, EXECUTABLE));
}

/** @throws CommandError 3 */
function requireAdministrator(root: string, action: string): void {
  if (resolve(root) === "/" && process.getuid?.() !== 0)
    throw new CommandError(EXIT.refused, `prism service ${action} changes the system; run it with sudo`);
}

/** @throws CommandError 3 */
function requireMaintainedNode(isAccepted = false): void {
  const warning = isAccepted ? null : nodeWarning(Date.now());
  if (warning === null) return;
  const [reason = ""] = warning.split(";");
  throw new CommandError(EXIT.refused, `${reason}; build with npm run release, or give --unmaintained-node`);
}

/**
 * The path of a file below `root`. In an image a link such as `etc/systemd -> /etc/systemd` would
 * lead to the files of this machine. @throws CommandError 3
 */
function pathIn(root: string, path: string): string {
  const file = join(resolve(root), path);
  if (resolve(root) === "/") return file;
  let dir = dirname(file);
  while (lstatSync(dir, { throwIfNoEntry: false }) === undefined && dirname(dir) !== dir) dir = dirname(dir);
  if (!isWithin(realPathOf(resolve(root)), realPathOf(dir)))
    throw new CommandError(EXIT.refused, `${dir} is or contains a link that leads out of ${root}`);
  return file;
}

function isWithin(root: string | undefined, dir: string | undefined): boolean {
  // A root that is missing is created with everything below it.
  if (root === undefined) return true;
  return dir !== undefined && (dir === root || dir.startsWith(`${root}/`));
}

/**
 * Copies this program. A running executable cannot be overwritten ("Text file busy"), so the copy
 * is renamed; the running process keeps the previous file. @throws CommandError 3
 */
function installExecutable(target: string): string {
  if (globalThis.__packed === undefined)
    throw new CommandError(EXIT.refused, "run the executable that npm run build makes: ./dist/prism service install");
  const source = process.execPath;
  if (existsSync(target) && isSameFile(source, target)) return `unchanged ${target}`;
  const next = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  try {
    copyFileSync(source, next);
    chmodSync(next, 0o755);
    syncFile(next);
    renameSync(next, target);
  } finally {
    rmSync(next, { force: true });
  }
  return `installed ${target}`;
}

function isSameFile(a: string, b: string): boolean {
  const [first, second] = [statSync(a), statSync(b)];
  if (first.ino === second.ino && first.dev === second.dev) return true;
  return first.size === second.size && sha256Hex(readFileSync(a)) === sha256Hex(readFileSync(b));
}

function replaceFile(file: string, text: string): string {
  if (existsSync(file) && readFileSync(file, "utf8") === text) return `unchanged ${file}`;
  const next = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(next, text);
  renameSync(next, file);
  return `installed ${file}`;
}

function createOnce(file: string, text: string): string {
  if (existsSync(file)) return `kept      ${file}`;
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  // systemd-tmpfiles changes its group to that of the service. A power failure must not lose a key
  // with which a database was made.
  writeFileSync(file, text, { mode: 0o600, flag: "wx", flush: true });
  syncDir(dirname(file));
  return `created   ${file}`;
}

/** @throws CommandError 3: a key other than the database's would be refused at the start. */
function createSecrets(file: string, database: string): string {
  if (existsSync(database))
    throw new CommandError(
      EXIT.refused,
      `${database} exists, and ${file} does not; ` +
        "write JWT_SECRET and the PRISM_ENCRYPTION_KEY of that database into it",
    );
  const lines = [
    "# Keep a copy elsewhere: without its encryption key a database cannot be opened.",
    `JWT_SECRET=${randomBytes(48).toString("base64")}`,
    `PRISM_ENCRYPTION_KEY=${randomBytes(32).toString("base64")}`,
  ];
  return createOnce(file, `${lines.join("\n")}\n`);
}

/** @throws CommandError 3 if systemd is not installed, 1 if the program fails */
function runTool(tool: string, root: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(tool, [`--root=${resolve(root)}`, ...args], { encoding: "utf8" });
  if (error)
    throw new CommandError(EXIT.refused, `${tool} cannot be run (${error.message}); this machine has no systemd`);
  if (status !== 0) throw new CommandError(EXIT.failure, `${tool} failed: ${stderr.trim()}`);
}

/** Whether the system under `root` is running systemd (sd_booted(3)). */
function isBooted(root: string): boolean {
  return resolve(root) === "/" && existsSync("/run/systemd/system");
}

function systemctl(...args: readonly string[]): string {
  const { status, error, stdout, stderr } = spawnSync("systemctl", args, { encoding: "utf8" });
  if (error || status === null) throw new CommandError(EXIT.failure, `systemctl cannot be run: ${error?.message}`);
  if (status !== 0 && args[0] !== "is-active")
    throw new CommandError(EXIT.failure, `systemctl ${args.join(" ")} failed: ${stderr.trim()}`);
  return stdout.trim();
}

function startUnits(root: string, isUpgrade: boolean): string {
  if (!isBooted(root)) return "systemd does not run here: no service was started";
  systemctl("daemon-reload");
  systemctl("enable", "prism.service", "prism-backup.timer");
  systemctl(isUpgrade ? "restart" : "start", "prism.service", "prism-backup.timer");
  return "the service runs: journalctl -u prism";
}

function uninstall({ out }: CommandContext, root: string): void {
  requireAdministrator(root, "uninstall");
  if (isBooted(root) && existsSync(FILES[0]?.path ?? "")) systemctl("disable", "--now", ...UNITS);
  const removed = [...FILES.map(({ path }) => path), EXECUTABLE]
    .map((path) => pathIn(root, path))
    .filter((path) => existsSync(path));
  for (const path of removed) rmSync(path);
  if (isBooted(root)) systemctl("daemon-reload");
  out.result({ removed }, () => [
    ...removed.map((path) => `removed ${path}`),
    "kept    /etc/prism, /var/lib/prism and the user prism",
  ]);
}

type FileState = "current" | "differs" | "missing" | "present" | "readable by everyone";

function showStatus({ out }: CommandContext, root: string): void {
  const [executable, ofService, read] = isPackaged(root)
    ? ([PACKAGED_EXECUTABLE, PACKAGED_FILES, packagedTextOf] as const)
    : ([EXECUTABLE, FILES, textOf] as const);
  const files = [
    { path: executable, state: stateOf(root, executable, (file) => isSameFile(process.execPath, file)) },
    ...ofService.map(({ path, source }) => ({
      path,
      state: stateOf(root, path, (file) => readFileSync(file, "utf8") === read(source)),
    })),
    ...[CONFIG, SECRETS].map((path) => ({ path, state: privacyOf(root, path) })),
  ];
  const service = isBooted(root) ? systemctl("is-active", "prism.service") : "systemd does not run here";
  out.result({ files, service }, () => [
    ...table(
      ["FILE", "STATE"],
      files.map(({ path, state }) => [path, state]),
    ),
    `service: ${service}`,
  ]);
  if (files.some(({ state }) => state !== "current" && state !== "present")) process.exitCode = EXIT.checkFailed;
}

function stateOf(root: string, path: string, isCurrent: (file: string) => boolean): FileState {
  const file = pathIn(root, path);
  if (!existsSync(file)) return "missing";
  return isCurrent(file) ? "current" : "differs";
}

function privacyOf(root: string, path: string): FileState {
  const stats = statSync(pathIn(root, path), { throwIfNoEntry: false });
  if (!stats) return "missing";
  return (stats.mode & 0o007) === 0 ? "present" : "readable by everyone";
}
