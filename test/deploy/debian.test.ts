import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import SqliteDatabase from "better-sqlite3";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { debianRoot, dpkg, makePackage } from "./support/debian.ts";
import { keptFolder, releaseFile } from "./support/release.ts";
import { addShellScript, canIsolate, runSandboxed } from "./support/sandbox.ts";
import { sandboxOf, userOf } from "./support/unit.ts";

const top = join(import.meta.dirname, "../..");
const built = join(top, "dist/prism");
const fixtures = join(import.meta.dirname, "fixtures");
const UNITS = "usr/lib/systemd/system";

let made: { readonly first: string; readonly next: string } | undefined;

/** The package of the release, and one of a later version; made once, because the executable has 115 MB. */
function packages(): { readonly first: string; readonly next: string } {
  if (made !== undefined) return made;
  const unpacked = keptFolder();
  execFileSync("tar", ["-xzf", releaseFile(".tar.gz"), "--strip-components=1", "-C", unpacked]);
  const next = makePackage(unpacked, "99.0.0-rc.1", join(keptFolder(), "next.deb"));
  rmSync(unpacked, { recursive: true });
  made = { first: releaseFile(".deb"), next };
  return made;
}

function modeOf(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

/** Runs the unit of the package, or the one in `folder`, on a port that is free. @returns the URL, once it is ready */
async function started(t: TestContext, root: string, folder = UNITS) {
  const port = await lastingPort();
  const dataDir = canIsolate ? {} : { PRISM_DATA_DIR: "/var/lib/prism" };
  const running = runSandboxed(t, sandboxOf(root, "prism.service", { PORT: String(port), ...dataDir }, folder));
  const url = `http://127.0.0.1:${port}`;
  await eventually("the service is ready", async () => {
    assert.equal(running.child.exitCode, null, running.output());
    return (await fetch(`${url}/health/ready`).catch(() => null))?.status === 200;
  });
  return { url, running };
}

/** `prism service install`, then the database of version a403ea08 with the secrets with which it was made. */
function installOld(root: string): void {
  const { status, stderr } = service(root, "install", "--unmaintained-node");
  assert.equal(status, 0, stderr);
  const database = join(root, "var/lib/prism/prism.db");
  writeFileSync(database, gunzipSync(readFileSync(join(fixtures, "a403ea08.db.gz"))), { mode: 0o600 });
  chownSync(database, userOf(root).uid, userOf(root).gid);
  const key = Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64");
  const secrets = `JWT_SECRET=mPq7Zr1xVb4Nc9Td2Wf6Ys8Gh3Jk5Lu0\nPRISM_ENCRYPTION_KEY=${key}\n`;
  writeFileSync(join(root, "etc/prism/secrets.env"), secrets);
}

function service(root: string, ...args: readonly string[]): { status: number | null; stderr: string } {
  return spawnSync(built, ["service", ...args, "--root", root], { encoding: "utf8" });
}

/** Rows that people see, by their keys. */
function rowsOf(file: string): ReadonlySet<string> {
  const connection = new SqliteDatabase(file, { readonly: true });
  const tables = ["users", "rules", "events", "incidents", "channels", "webhooks", "heartbeats", "api_keys"];
  const text = tables.map((table) => `select '${table} ' || id from ${table}`).join(" union all ");
  const rows = connection.prepare<[], string>(text).pluck().all();
  connection.close();
  return new Set(rows);
}

/** Everything in that database is there, and a password of it still logs in. */
async function requireOldData(t: TestContext, url: string, root: string): Promise<void> {
  const login = await fetch(`${url}/api/v1/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: "keeper", password: "correct horse battery 9" }),
  });
  assert.equal(login.status, 200, await login.text());
  const old = join(temporaryDir(t), "prism.db");
  writeFileSync(old, gunzipSync(readFileSync(join(fixtures, "a403ea08.db.gz"))));
  const [before, now] = [rowsOf(old), rowsOf(join(root, "var/lib/prism/prism.db"))];
  assert.ok(before.size > 100, String(before.size));
  assert.deepEqual(
    [...before].filter((row) => !now.has(row)),
    [],
  );
}

test("the Debian package installs, serves, is upgraded, removed and purged, and asks no question", async (t) => {
  const root = debianRoot(t);
  const installed = dpkg(root, "--install", packages().first);
  assert.match(installed, /systemd does not run here: no service was started\nNext: prism user create/);
  for (const [path, mode] of [
    ["usr/bin/prism", "755"],
    ["usr/share/man/man1/prism.1.gz", "644"],
    ["usr/share/bash-completion/completions/prism", "644"],
    ["usr/share/doc/prism/copyright", "644"],
    [`${UNITS}/prism.service`, "644"],
    ["etc/prism", "750"],
    ["etc/prism/prism.config.json", "640"],
    ["etc/prism/secrets.env", "640"],
    ["var/lib/prism", "700"],
  ] as const)
    assert.equal(modeOf(join(root, path)), mode, path);
  assert.equal(statSync(join(root, "var/lib/prism")).uid, userOf(root).uid);
  assert.ok(readdirSync(join(root, "etc/systemd/system/multi-user.target.wants")).includes("prism.service"), "enabled");
  assert.equal(dpkg(root, "--verify", "prism"), "");
  const status = spawnSync("chroot", [root, "/usr/bin/prism", "service", "status"], { encoding: "utf8" });
  assert.equal(status.status, 0, `${status.stdout}${status.stderr}`);
  const again = spawnSync("chroot", [root, "/usr/bin/prism", "service", "install"], { encoding: "utf8" });
  assert.equal(again.status, 3);

  const { url, running } = await started(t, root);
  const [config, secrets] = ["prism.config.json", "secrets.env"].map((name) => join(root, "etc/prism", name));
  assert.ok(config && secrets);
  const before = [config, secrets].map((file) => readFileSync(file, "utf8"));
  const enabled = join(root, "etc/systemd/system/timers.target.wants/prism-backup.timer");
  // As systemctl disable does it.
  rmSync(enabled);
  const upgraded = dpkg(root, "--install", packages().next);
  assert.match(upgraded, /Unpacking prism \(99\.0\.0~rc\.1\) over \(\d/);
  assert.doesNotMatch(upgraded, /Next:/);
  assert.equal(lstatSync(enabled, { throwIfNoEntry: false }), undefined, "a unit that was disabled stays so");
  assert.deepEqual(
    [config, secrets].map((file) => readFileSync(file, "utf8")),
    before,
  );
  assert.equal(running.child.exitCode, null, "dpkg replaces an executable that runs");
  assert.equal((await fetch(`${url}/health`)).status, 200);

  const database = join(root, "var/lib/prism/prism.db");
  dpkg(root, "--remove", "prism");
  for (const path of ["usr/bin/prism", `${UNITS}/prism.service`])
    assert.equal(existsSync(join(root, path)), false, path);
  for (const file of [config, secrets, database]) assert.ok(existsSync(file), file);
  const purged = dpkg(root, "--purge", "prism");
  assert.match(purged, /Kept: \/var\/lib\/prism, and \/etc\/prism\/secrets\.env/);
  assert.deepEqual(
    [config, secrets, database].map((file) => existsSync(file)),
    [false, true, true],
  );
});

test("where systemd runs, the package starts its services, restarts them on upgrade and stops them on removal", (t) => {
  const root = debianRoot(t);
  mkdirSync(join(root, "run/systemd/system"), { recursive: true });
  addShellScript(root, "usr/bin/systemctl", 'echo "$@" >>/tmp/calls; echo enabled');
  const calls = (): string[] => {
    const lines = readFileSync(join(root, "tmp/calls"), "utf8").trim().split("\n");
    writeFileSync(join(root, "tmp/calls"), "");
    return lines.filter((line) => !/is-(enabled|active)| preset /.test(line));
  };
  const units = "prism.service prism-backup.timer";
  dpkg(root, "--install", packages().first);
  assert.deepEqual(calls(), ["--system daemon-reload", `--quiet --system start ${units}`]);
  dpkg(root, "--install", packages().first);
  assert.deepEqual(calls(), ["--system daemon-reload", `--quiet --system restart ${units}`]);
  dpkg(root, "--remove", "prism");
  assert.deepEqual(calls(), [`stop ${units}`, "--system daemon-reload"]);
  dpkg(root, "--purge", "prism");
  for (const path of ["etc/prism", "var/lib/prism", "var/cache/prism"])
    assert.equal(existsSync(join(root, path)), false, `${path} of a server that never ran`);
});

test("the package takes over from prism service install, and upgrades the database of version a403ea08", async (t) => {
  const root = debianRoot(t);
  installOld(root);
  const both = dpkg(root, "--install", packages().first);
  assert.match(both, /\/etc\/systemd\/system\/prism\.service of prism service install comes before the package's/);
  assert.equal(service(root, "uninstall").status, 0);
  const { url } = await started(t, root);
  await requireOldData(t, url, root);
});

test("a database without its secrets fails the installation, which ends well once they are there", (t) => {
  const root = debianRoot(t);
  installOld(root);
  const secrets = join(root, "etc/prism/secrets.env");
  const text = readFileSync(secrets, "utf8");
  rmSync(secrets);
  assert.throws(
    () => dpkg(root, "--install", packages().first),
    /write JWT_SECRET and the PRISM_ENCRYPTION_KEY of that database/,
  );
  writeFileSync(secrets, text);
  dpkg(root, "--configure", "prism");
  assert.equal(dpkg(root, "--verify", "prism"), "");
});

test("a purge keeps the secrets of a server that ran, also if its database is in another directory", (t) => {
  const root = debianRoot(t);
  dpkg(root, "--install", packages().first);
  mkdirSync(join(root, "var/cache/prism/prism-native"));
  const purged = dpkg(root, "--purge", "prism");
  assert.match(purged, /Kept: .* \/etc\/prism\/secrets\.env/);
  const left = ["etc/prism/secrets.env", "etc/prism/prism.config.json", "var/cache/prism"];
  assert.deepEqual(
    left.map((path) => existsSync(join(root, path))),
    [true, false, false],
  );
});

test("an upgrade of version a403ea08 by the executable's file alone runs with the unit and the data of before", async (t) => {
  const root = debianRoot(t);
  installOld(root);
  const units = "etc/systemd/system";
  copyFileSync(join(fixtures, "a403ea08.service"), join(root, units, "prism.service"));
  const { url } = await started(t, root, units);
  await requireOldData(t, url, root);
});
