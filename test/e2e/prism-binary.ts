import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildOutput } from "../helpers/child-output.ts";
import type { Scope } from "../helpers/scope.ts";

const built = join(import.meta.dirname, "../../dist/prism");

export interface BinaryOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /**
   * Its data directory is a file system in memory of this size, seen at {@link PrismBinary.dataDir}
   * while it runs; the machine must permit unshare(1).
   */
  readonly diskBytes?: number;
}

let copy: string | undefined;

/** A copy for all tests of the process, in the file system of their folders: it has 115 MB. */
function copyOfBuilt(): string {
  if (copy !== undefined) return copy;
  const folder = mkdtempSync(join(tmpdir(), "prism-e2e-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "prism");
  copyFileSync(built, path);
  copy = path;
  return path;
}

/** The executable in an otherwise empty folder, as after a download. */
export class PrismBinary {
  readonly dir: string;
  readonly #options: BinaryOptions;
  #child: ChildProcess | null = null;
  #output: ChildOutput | null = null;
  url = "";
  token = "";

  constructor(t: Scope, options: BinaryOptions = {}) {
    if (!existsSync(built)) throw new Error("dist/prism is not built; run npm run build, or npm test which does");
    this.#options = options;
    this.dir = mkdtempSync(join(tmpdir(), "prism-e2e-"));
    linkSync(copyOfBuilt(), join(this.dir, "prism"));
    t.after(async () => {
      await this.kill();
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  /** Starts the server and fetches a token. @param onPort 0: one that is free. */
  async start(onPort = 0): Promise<void> {
    const args = ["serve", "--port", String(onPort), ...(this.#options.args ?? [])];
    const [program, ...all] = this.#command(args);
    this.#child = spawn(program, all, {
      cwd: this.dir,
      env: this.#env(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = new ChildOutput(this.#child);
    this.#output = output;
    const [, port] = await output.until("prism is ready", () =>
      /Prism is ready: http:\/\/[^:]+:(\d+)/.exec(output.all),
    );
    this.url = `http://127.0.0.1:${port}`;
    const { token } = (await (await fetch(`${this.url}/dev/token`)).json()) as { token: string };
    this.token = token;
  }

  /** What the server printed since it was started last. */
  get output(): string {
    return this.#output?.all ?? "";
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The data directory as other processes of this user see it. */
  get dataDir(): string {
    const own = join(this.dir, "data");
    return this.#options.diskBytes === undefined ? own : `/proc/${this.pid}/root${own}`;
  }

  #command(args: readonly string[]): [string, ...string[]] {
    const { diskBytes } = this.#options;
    const program = join(this.dir, "prism");
    if (diskBytes === undefined) return [program, ...args];
    const data = join(this.dir, "data");
    mkdirSync(data, { recursive: true });
    const enter = 'mount -t tmpfs -o "size=$1" none "$2" && shift 2 && exec "$@"';
    const names = ["--user", "--map-root-user", "--mount"];
    return ["unshare", ...names, "/bin/sh", "-c", enter, "sh", String(diskBytes), data, program, ...args];
  }

  /** SIGKILL: no chance to say goodbye. */
  async kill(): Promise<void> {
    await this.#output?.stop();
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<void> {
    await this.#output?.ended;
  }

  /** SIGTERM. @returns the exit code. */
  async stop(): Promise<number | null> {
    await this.#output?.stop("SIGTERM");
    return (await this.#output?.ended)?.code ?? null;
  }

  /** Runs a command of the executable to its end. */
  run(args: readonly string[], input = ""): { status: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync(join(this.dir, "prism"), [...args], {
      cwd: this.dir,
      env: this.#env(),
      input,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  }

  async call<T>(
    method: string,
    path: string,
    body?: unknown,
    contentType = "application/json",
  ): Promise<{ status: number; body: T }> {
    const init: RequestInit = {
      method,
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": contentType },
    };
    if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(this.url + path, init);
    return { status: response.status, body: (await response.json()) as T };
  }

  /** All items of a paged list. */
  async all<T>(path: string, limit = 100): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const query: string = `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${cursor ? `&cursor=${cursor}` : ""}`;
      const page: { body: { data: T[]; nextCursor: string | null } } = await this.call("GET", query);
      items.push(...page.body.data);
      cursor = page.body.nextCursor;
    } while (cursor);
    return items;
  }

  #env(): NodeJS.ProcessEnv {
    // Nothing of the checkout: no node_modules to fall back on, no settings of this shell.
    return {
      PATH: process.env["PATH"],
      HOME: this.dir,
      PRISM_CONFIG_DIR: join(this.dir, "etc"),
      PRISM_MIN_FREE_BYTES: "0",
      PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false",
      ...this.#options.env,
    };
  }
}
