// needs: systemd-analyze
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { addShellScript, addSystem, canIsolate, makeRoot } from "./sandbox.ts";

const scripts = join(import.meta.dirname, "../../../scripts/package");
const built = join(import.meta.dirname, "../../../dist/prism");
/** What the package depends on, as Debian's packages that are installed here. */
const NEEDED = ["init-system-helpers", "libc6", "libgcc-s1", "libstdc++6", "systemd"];
/** What its scripts call, besides Debian's helpers in Perl. */
const PROGRAMS = ["rm", "rmdir", "perl", "systemd-sysusers", "systemd-tmpfiles"];

/**
 * A Debian of its own, removed when the test ends: dpkg's database, the libraries, and what the
 * package's scripts call.
 */
export function debianRoot(t: TestContext): string {
  const root = makeRoot(t);
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  for (const program of [built, "/bin/sh"]) addSystem(root, program);
  for (const program of PROGRAMS) addSystem(root, `/usr/bin/${program}`);
  for (const name of ["sh", ...PROGRAMS]) copyFileSync(`/usr/bin/${name}`, join(root, "usr/bin", name));
  for (const name of ["perl-base", "init-system-helpers"]) addFiles(root, name);
  if (!canIsolate) addPlainTmpfiles(root);
  const state = join(root, "var/lib/dpkg");
  for (const folder of ["info", "updates"]) mkdirSync(join(state, folder), { recursive: true });
  writeFileSync(join(state, "status"), execFileSync("dpkg-query", ["--status", ...NEEDED]));
  return root;
}

/** Copies the files of an installed package, without its documentation. */
function addFiles(root: string, name: string): void {
  const files = execFileSync("dpkg-query", ["--listfiles", name], { encoding: "utf8" }).split("\n");
  for (const file of files.filter((each) => each !== "" && !each.startsWith("/usr/share/"))) {
    const [stats, target] = [lstatSync(file), join(root, file)];
    if (stats.isDirectory()) continue;
    mkdirSync(dirname(target), { recursive: true });
    if (lstatSync(target, { throwIfNoEntry: false })) continue;
    if (stats.isSymbolicLink()) symlinkSync(readlinkSync(file), target);
    else copyFileSync(file, target);
  }
}

/** systemd's needs /proc. This one makes the directories, and gives them their modes and owners. */
function addPlainTmpfiles(root: string): void {
  for (const name of ["mkdir", "chmod", "chown"]) {
    addSystem(root, `/usr/bin/${name}`);
    copyFileSync(`/usr/bin/${name}`, join(root, "usr/bin", name));
  }
  const make = 'if [ "$kind" = d ]; then mkdir -p "$path"; fi; chmod "$mode" "$path"; chown "$user:$group" "$path"';
  const read = `while read -r kind path mode user group _; do case "$kind" in d | z) ${make} ;; esac; done`;
  rmSync(join(root, "usr/bin/systemd-tmpfiles"));
  addShellScript(root, "usr/bin/systemd-tmpfiles", `set -e; ${read} </usr/lib/tmpfiles.d/prism.conf`);
}

const WITH_PROC = 'mount -t proc proc "$1/proc" && shift && exec dpkg "$@"';

/** Runs dpkg on that root; a question would get no answer. @returns what it printed */
export function dpkg(root: string, ...args: readonly string[]): string {
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const own = [`--root=${root}`, "--force-unsafe-io", ...args];
  const isolated = ["--mount", "--pid", "--fork", "/bin/sh", "-c", WITH_PROC, "sh", root, ...own];
  const [program, all] = canIsolate ? (["unshare", isolated] as const) : (["dpkg", own] as const);
  const { status, stdout, stderr } = spawnSync(program, all, { env, encoding: "utf8", input: "" });
  assert.equal(status, 0, `dpkg ${args.join(" ")}: ${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

/** A package of the files in `folder`. @returns its path */
export function makePackage(folder: string, version: string, file: string): string {
  const code = `
    import { writeFileSync } from "node:fs";
    import { debianPackage } from ${JSON.stringify(join(scripts, "debian.mjs"))};
    const [folder, version, file] = process.argv.slice(1);
    const options = { architecture: process.arch, glibc: "2.28", time: 1_700_000_000, level: 1 };
    writeFileSync(file, debianPackage({ folder, version, ...options }));`;
  execFileSync(process.execPath, ["--input-type=module", "-e", code, folder, version, file]);
  return file;
}
