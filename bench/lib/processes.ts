import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** A server process under measurement, in a temporary directory of its own. */
export interface Server {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dir: string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Processors as taskset takes them; none given: all. */
  readonly cpus?: string;
  /** An existing data directory, which is then the caller's to remove; without it a new one, removed at the stop. */
  readonly dir?: string;
}

/** Starts dist/prism on a free port. */
export async function startPrism(options: StartOptions = {}): Promise<Server> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "prism-bench-"));
  const args = ["serve", "--port", "0", "--data-dir", dir];
  const child = launch(join(root, "dist/prism"), args, dir, {
    ...options,
    env: {
      PRISM_LOG_LEVEL: "warn",
      PRISM_RATE_LIMIT_USER: "1000000",
      // What fires is told: to hold it back would be less work.
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

function launch(command: string, args: readonly string[], cwd: string, { env = {}, cpus }: StartOptions): ChildProcess {
  const [program, ...all] = cpus === undefined ? [command, ...args] : ["taskset", "-c", cpus, command, ...args];
  return spawn(program as string, all, {
    cwd,
    env: { ...process.env, NODE_ENV: "development", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
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
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      if (!keeps) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  return Number(stdout.trim()) / 1024;
}
