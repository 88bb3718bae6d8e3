import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/**
 * An empty file system with its usual directories, removed when the test ends.
 * @param options.isEmpty without the directories
 */
export function makeRoot(t: TestContext, { isEmpty = false }: { isEmpty?: boolean } = {}): string {
  const root = mkdtempSync(join(tmpdir(), "prism-root-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  // The user of the service must reach it.
  chmodSync(root, 0o755);
  const { mode } = statSync(dirname(root));
  if ((mode & 0o011) !== 0o011) chmodSync(dirname(root), (mode & 0o7777) | 0o011);
  if (isEmpty) return root;
  for (const directory of ["usr/local/bin", "etc", "dev", "proc", "tmp", "var/lib", "var/cache"])
    mkdirSync(join(root, directory), { recursive: true });
  return root;
}

/** Copies the shared libraries that a program needs, as a minimal image has them. */
export function addSystem(root: string, program: string): void {
  const { stdout } = spawnSync("ldd", [program], { encoding: "utf8" });
  for (const [path] of stdout.matchAll(/\/\S+\.so\S*/g)) {
    const file = join(root, path.startsWith("/usr/") ? path : `/usr${path}`);
    mkdirSync(dirname(file), { recursive: true });
    copyFileSync(path, file);
  }
  for (const name of ["bin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    if (!readdirSync(root).includes(name)) symlinkSync(`usr/${name}`, join(root, name));
  }
}

/** A program of one line for the shell, which it brings along. */
export function addShellScript(root: string, path: string, line: string): void {
  addSystem(root, "/bin/sh");
  copyFileSync("/bin/sh", join(root, "usr/bin/sh"));
  chmodSync(join(root, "usr/bin/sh"), 0o755);
  writeFileSync(join(root, path), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
}

/** SIGTERM to the command; unshare itself does not forward it. */
export function stop({ child }: Sandboxed): void {
  const pids = canIsolate ? descendants(child.pid ?? 0) : [child.pid ?? 0];
  for (const pid of pids) if (!canIsolate || descendants(pid).length === 0) process.kill(pid, "SIGTERM");
}

/** A process and all it has started, stopped first: none can start another one that is missed. */
function stoppedTree(pid: number): number[] {
  for (let known = 0; ; ) {
    const tree = [...descendants(pid), pid];
    for (const each of tree) signal(each, "SIGSTOP");
    if (tree.length === known) return tree;
    known = tree.length;
  }
}

/** The process may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** proc_pid_task(5) */
function descendants(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`;
  const text = existsSync(list) ? readFileSync(list, "utf8") : "";
  const children = text
    .split(" ")
    .filter((each) => each !== "")
    .map(Number);
  return [...children, ...children.flatMap(descendants)];
}

export interface SandboxOptions {
  /** Directory that becomes the root of the file system, read-only. */
  readonly root: string;
  /** Directories of the root that can be written. */
  readonly writable: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** A process that a {@link runSandboxed} started, with what it has written. */
export interface Sandboxed {
  readonly child: ChildProcess;
  output(): string;
}

/** Whether this machine lets a process have its own mounts; some build hosts do not. */
export const canIsolate =
  spawnSync("unshare", [...userNamespace(), "--mount", "--pid", "--fork", "/bin/sh", "-c", "mount --bind /tmp /tmp"], {
    stdio: "ignore",
  }).status === 0;

/** A path as the command in the sandbox sees it. */
export function pathInside(root: string, path: string): string {
  return canIsolate ? path : join(root, path);
}

/**
 * Runs a command as a container does: first process of its own process namespace, root directory
 * read-only except for `writable`, an unprivileged user, no new privileges. The network is the
 * machine's. Where that is not possible, the command runs as the same user with the paths of its
 * arguments and environment moved into the root.
 */
export function runSandboxed(t: TestContext, options: SandboxOptions): Sandboxed {
  const { file, args, ...more } = launch(options);
  const child = spawn(file, args, { ...more, stdio: ["ignore", "pipe", "pipe"] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    // Each: the child's wish to be killed with its parent is lost when it changes its user.
    for (const pid of stoppedTree(child.pid ?? 0)) signal(pid, "SIGKILL");
    await ended;
    // A process that holds them would keep the test.
    for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (part: Buffer) => {
      output += part.toString();
    });
  return { child, output: () => output };
}

const LIMIT_MS = 60_000;

/** {@link runSandboxed} to its end. */
export function runSandboxedSync(options: SandboxOptions): { status: number | null; output: string } {
  const { file, args, ...more } = launch(options);
  const { status, stdout, stderr } = spawnSync(file, args, { ...more, encoding: "utf8", timeout: LIMIT_MS });
  return { status, output: `${stdout}${stderr}` };
}

/** A bind mount of its own stays writable when the one above it becomes read-only (mount(8)). */
const ENTER = `
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 user=$2 writable=$3
shift 3
mount --bind "$root" "$root"
for directory in $writable; do mount --bind "$root$directory" "$root$directory"; done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot \${user:+--userspec="$user"} "$root" "$@"
`;

function launch(options: SandboxOptions) {
  const { root, writable, uid, gid, env, command } = options;
  const isRoot = process.getuid?.() === 0;
  if (!canIsolate) {
    const moved = (text: string): string => (text.startsWith("/") ? join(root, text) : text);
    const paths = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, moved(value)]));
    const own = { PATH: `${join(root, "usr/bin")}:${process.env["PATH"]}`, PRISM_CONFIG_DIR: join(root, "etc/prism") };
    const [file = "", ...args] = command.map(moved);
    return { file, args, cwd: root, env: { ...own, ...paths }, ...(isRoot ? { uid, gid } : {}) };
  }
  const namespaces = ["--mount", "--ipc", "--uts", "--pid", "--fork"];
  // The only user of a namespace need not be changed, and may not change its groups.
  const user = isRoot ? `${uid}:${gid}` : "";
  const enter = ["/bin/sh", "-c", ENTER, "sh", root, user, writable.join(" "), ...command];
  return { file: "unshare", args: [...userNamespace(), ...namespaces, ...enter], env };
}

/** Without root: a user namespace, in which this user is root and the only user. */
function userNamespace(): string[] {
  return process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
}
