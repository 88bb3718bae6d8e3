// needs: systemd-analyze
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { nodeWarning } from "../../src/core/runtime.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import {
  addShellScript,
  addSystem,
  makeRoot,
  pathInside,
  runSandboxed,
  runSandboxedSync,
  stop,
} from "./support/sandbox.ts";
import { readUnit, sandboxOf, userOf } from "./support/unit.ts";

const built = join(import.meta.dirname, "../../dist/prism");
const UNITS = ["prism.service", "prism-backup.service", "prism-backup.timer"];

function service(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: `${process.env["PATH"]}:/usr/bin:/bin`, HOME: tmpdir() };
  const { status, stdout, stderr } = spawnSync(built, ["service", ...args], { env, encoding: "utf8" });
  return { status, stdout, stderr };
}

/** The tests may run with a Node that gets no more fixes. */
const ANY_NODE = "--unmaintained-node";

function install(root: string): string {
  const { status, stdout, stderr } = service("install", ANY_NODE, "--root", root);
  assert.equal(status, 0, stderr);
  return stdout;
}

function modeOf(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

test("F4: prism service install makes executable, units, user, directories, configuration and secrets", (t) => {
  const root = makeRoot(t);
  const first = install(root);
  assert.match(first, /installed .*\/usr\/local\/bin\/prism\n/);
  for (const [path, mode] of [
    ["usr/local/bin/prism", "755"],
    ["etc/systemd/system/prism.service", "644"],
    ["etc/systemd/system/prism-backup.timer", "644"],
    ["etc/prism", "750"],
    ["etc/prism/prism.config.json", "640"],
    ["etc/prism/secrets.env", "640"],
    ["var/lib/prism", "700"],
    ["var/cache/prism", "700"],
  ] as const)
    assert.equal(modeOf(join(root, path)), mode, path);
  const user = userOf(root);
  assert.equal(statSync(join(root, "var/lib/prism")).uid, user.uid);
  const secrets = statSync(join(root, "etc/prism/secrets.env"));
  assert.deepEqual([secrets.uid, secrets.gid], [0, user.gid]);

  const text = readFileSync(join(root, "etc/prism/secrets.env"), "utf8");
  assert.match(text, /^JWT_SECRET=\S{64}$/m);
  assert.match(text, /^PRISM_ENCRYPTION_KEY=\S{44}$/m);
  assert.equal(first.includes(/JWT_SECRET=(\S+)/.exec(text)?.[1] ?? "JWT_SECRET"), false, "no secret is printed");
  assert.equal(service("status", "--root", root).status, 0);
});

test("install again keeps configuration and secrets, and replaces what differs; uninstall keeps the data", (t) => {
  const root = makeRoot(t);
  install(root);
  const config = join(root, "etc/prism/prism.config.json");
  const unit = join(root, "etc/systemd/system/prism.service");
  writeFileSync(config, '{"env":"production","port":3100,"dataDir":"/var/lib/prism"}');
  const before = [config, join(root, "etc/prism/secrets.env")].map((file) => readFileSync(file, "utf8"));
  writeFileSync(unit, "[Unit]\n");
  assert.equal(service("status", "--root", root).status, 8);
  const second = install(root);
  assert.match(second, /unchanged .*\/usr\/local\/bin\/prism\n/);
  assert.match(second, /installed .*prism\.service\n/);
  assert.deepEqual(
    [config, join(root, "etc/prism/secrets.env")].map((file) => readFileSync(file, "utf8")),
    before,
  );
  assert.equal(service("status", "--root", root).status, 0);

  assert.equal(service("uninstall", "--root", root).status, 0);
  for (const path of ["usr/local/bin/prism", "etc/systemd/system/prism.service", "etc/sysusers.d/prism.conf"])
    assert.equal(existsSync(join(root, path)), false, path);
  for (const path of ["etc/prism/secrets.env", "var/lib/prism"]) assert.ok(existsSync(join(root, path)), path);
  assert.equal(service("status", "--root", root).status, 8);
});

test("a database without its secrets gets no new ones", (t) => {
  const root = makeRoot(t);
  mkdirSync(join(root, "var/lib/prism"), { recursive: true });
  writeFileSync(join(root, "var/lib/prism/prism.db"), "");
  const { status, stderr } = service("install", ANY_NODE, "--root", root);
  assert.equal(status, 3);
  assert.match(stderr, /PRISM_ENCRYPTION_KEY of that database/);
  assert.equal(existsSync(join(root, "etc/prism/secrets.env")), false);
});

test("install refuses a build whose Node.js gets no more security fixes, and changes nothing", (t) => {
  const root = makeRoot(t);
  const { status, stderr } = service("install", "--root", root);
  const warning = nodeWarning(Date.now());
  if (warning === null) return assert.equal(status, 0, stderr);
  assert.equal(status, 3);
  assert.match(
    stderr,
    /Node\.js \S+, which gets no security fixes since .*npm run release, or give --unmaintained-node/,
  );
  for (const path of ["usr/local/bin/prism", "etc/prism", "etc/systemd"])
    assert.equal(existsSync(join(root, path)), false, path);
});

test("the unit bounds memory and processors of the service", (t) => {
  const root = makeRoot(t);
  install(root);
  const settings = readUnit(root, "prism.service");
  assert.deepEqual(
    ["MemoryHigh", "MemoryMax", "CPUWeight"].map((name) => settings.get(name)),
    [["60%"], ["80%"], ["100"]],
  );
});

test("a link in an image that leads out of it is refused by install, status and uninstall", (t) => {
  const [root, outside] = [makeRoot(t), makeRoot(t)];
  mkdirSync(join(root, "etc"), { recursive: true });
  mkdirSync(join(outside, "system"));
  writeFileSync(join(outside, "system/prism.service"), "kept");
  symlinkSync(outside, join(root, "etc/systemd"));
  for (const action of ["install", "status", "uninstall"]) {
    const { status, stderr } = service(action, ...(action === "install" ? [ANY_NODE] : []), "--root", root);
    assert.equal(status, 3, action);
    assert.match(stderr, /etc\/systemd\S* is or contains a link that leads out of/, action);
  }
  assert.deepEqual(readdirSync(join(outside, "system")), ["prism.service"]);
  assert.equal(existsSync(join(root, "usr/local/bin/prism")), false);
});

test("--print prints every file as it is in deploy/", () => {
  const { status, stdout } = service("install", "--print");
  assert.equal(status, 0);
  for (const file of [...UNITS, "sysusers.d/prism.conf", "tmpfiles.d/prism.conf"])
    assert.ok(stdout.includes(readFileSync(join(import.meta.dirname, "../../deploy/systemd", file), "utf8")), file);
});

test("systemd-analyze finds nothing wrong with the units, and an exposure below 2", (t) => {
  const root = makeRoot(t);
  install(root);
  mkdirSync(join(root, "bin"));
  writeFileSync(join(root, "bin/kill"), "", { mode: 0o755 });
  mkdirSync(join(root, "lib/systemd"), { recursive: true });
  cpSync("/lib/systemd/system", join(root, "lib/systemd/system"), { recursive: true, verbatimSymlinks: true });
  const verified = spawnSync("systemd-analyze", ["verify", `--root=${root}`, ...UNITS], { encoding: "utf8" });
  assert.equal(verified.error, undefined, "systemd is not installed: apt-get install systemd");
  assert.deepEqual([verified.status, verified.stdout, verified.stderr], [0, "", ""]);
  for (const unit of UNITS.slice(0, 2)) {
    const args = ["security", "--offline=true", `--root=${root}`, "--threshold=20", unit];
    const { status, stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
    assert.equal(status, 0, stdout.split("\n").slice(-3).join("\n"));
  }
});

test("F4, N8, N9: the service starts as the unit says, is upgraded while it runs, is backed up, and stops in order", async (t) => {
  const root = makeRoot(t);
  addSystem(root, built);
  addShellScript(root, "usr/bin/systemd-notify", 'echo "$@" >"$NOTIFY_SOCKET"');
  install(root);
  const port = await lastingPort();
  const config = { env: "production", host: "127.0.0.1", port, dataDir: pathInside(root, "/var/lib/prism") };
  writeFileSync(join(root, "etc/prism/prism.config.json"), JSON.stringify(config));

  const started = runSandboxed(t, sandboxOf(root, "prism.service", { NOTIFY_SOCKET: "/var/lib/prism/notified" }));
  const notified = join(root, "var/lib/prism/notified");
  await eventually("systemd is notified", () => {
    assert.equal(started.child.exitCode, null, started.output());
    return existsSync(notified) && readFileSync(notified, "utf8") === "--ready\n";
  });
  const isReady = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok;
  assert.ok(await isReady());
  assert.equal(statSync(join(root, "var/lib/prism/prism.db")).uid, userOf(root).uid);
  assert.equal(existsSync(join(root, "var/lib/prism/secrets.json")), false);

  // Another build: written over, a file that runs would be refused with "Text file busy".
  const next = join(root, "tmp/prism");
  copyFileSync(built, next);
  appendFileSync(next, "\n");
  const upgraded = spawnSync(next, ["service", "install", ANY_NODE, "--root", root], { encoding: "utf8" });
  assert.equal(upgraded.status, 0, upgraded.stderr);
  assert.match(upgraded.stdout, /installed .*\/usr\/local\/bin\/prism\n/);
  assert.equal(statSync(join(root, "usr/local/bin/prism")).size, statSync(next).size);
  assert.ok(await isReady());

  const backup = runSandboxedSync(sandboxOf(root, "prism-backup.service"));
  assert.equal(backup.status, 0, backup.output);
  assert.match(readdirSync(join(root, "var/lib/prism/backups")).join(), /^prism-\w+\.tar$/);
  stop(started);
  const [code] = await once(started.child, "exit");
  assert.equal(code, 0, started.output());
  assert.match(started.output(), /"msg":"stopped"/);
});
