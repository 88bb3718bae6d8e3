import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const root = join(import.meta.dirname, "../..");
const children = new Set<ChildProcess>();
// A benchmark that fails or is interrupted stops its servers.
process.once("exit", () => {
  for (const child of children) child.kill();
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** A server process under measurement, in a temporary directory. */
export interface Server {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dir: string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Processors in taskset's syntax; default: all. */
  readonly cpus?: string;
  /** Added to that of this process; default: none. */
  readonly niceness?: number;
  /**
   * An existing data directory, which the caller removes; default: a new one, removed when the
   * server stops.
   */
  readonly dir?: string;
  /** Default: dist/prism. */
  readonly executable?: string;
}

/** Starts Prism on a free port. */
export async function startPrism(options: StartOptions = {}): Promise<Server> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "prism-bench-"));
  const args = ["serve", "--port", "0", "--data-dir", dir];
  const child = launch(options.executable ?? join(root, "dist/prism"), args, dir, {
    ...options,
    env: {
      PRISM_LOG_LEVEL: "warn",
      PRISM_RATE_LIMIT_USER: "1000000",
      // Benchmarks measure up to 10 000 rules, all of one user and project.
      PRISM_LIMITS_RULES_PER_PROJECT: "20000",
      PRISM_LIMITS_RULES_PER_USER: "20000",
      // Suppression is off: it would reduce the work.
      PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false",
      ...options.env,
    },
  });
  return running(child, dir, /http:\/\/127\.0\.0\.1:(\d+)/, options.dir !== undefined);
}

/** Starts a program of this folder that prints `listening <port>`. */
export async function startProgram(
  file: string,
  args: readonly string[] = [],
  options: StartOptions = {},
): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const child = launch(process.execPath, ["--import", "tsx", join(root, "bench", file), ...args], root, options);
  return running(child, dir, /listening (\d+)/);
}

/** Starts another program that listens at `port`. @throws Error when it is not installed */
export async function startCommand(
  command: string,
  args: readonly string[],
  /** `readyPath` answers 200 once the program is ready; null: it accepts connections then. */
  { dir, port, readyPath }: { readonly dir: string; readonly port: number; readonly readyPath: string | null },
): Promise<Server> {
  const child = launch(command, args, dir, {});
  let failure: Error | null = null;
  child.once("error", (error) => {
    failure = error;
  });
  child.once("exit", (code) => {
    failure ??= new Error(`${command} ended with ${code} before it was ready`);
  });
  child.stdout?.resume();
  child.stderr?.resume();
  const url = `http://127.0.0.1:${port}`;
  const isReady = (): Promise<boolean> => (readyPath === null ? accepts(port) : answers(url + readyPath));
  while (!(await isReady())) {
    if (failure) {
      rmSync(dir, { recursive: true, force: true });
      throw failure;
    }
    await setTimeout(50);
  }
  return { url, port, pid: child.pid ?? 0, dir, stop: () => ended(child, dir) };
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    (reply) => reply.ok,
    () => false,
  );
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const isOpen = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isOpen;
}

async function ended(child: ChildProcess, dir: string | null): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
  if (dir !== null) rmSync(dir, { recursive: true, force: true });
}

function launch(command: string, args: readonly string[], cwd: string, options: StartOptions): ChildProcess {
  const { env = {}, cpus, niceness } = options;
  const on = cpus === undefined ? [] : ["taskset", "-c", cpus];
  const nice = niceness === undefined ? [] : ["nice", "-n", String(niceness)];
  const [program, ...all] = [...on, ...nice, command, ...args];
  const child = spawn(program as string, all, {
    cwd,
    // Node would parse all certificates of that file in each process.
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_ENV: "development", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

async function running(child: ChildProcess, dir: string, ready: RegExp, keeps = false): Promise<Server> {
  const port = await new Promise<number>((resolve, reject) => {
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      const match = ready.exec(text);
      if (match) resolve(Number(match[1]));
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("exit", (code) => reject(new Error(`ended with ${code} before it was ready:\n${text}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    dir,
    stop: () => ended(child, keeps ? null : dir),
  };
}
