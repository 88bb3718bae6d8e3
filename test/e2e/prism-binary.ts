import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const built = join(import.meta.dirname, "../../dist/prism");

export interface BinaryOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** The executable in an otherwise empty folder, as somebody who downloaded it has it. */
export class PrismBinary {
  readonly dir: string;
  readonly #options: BinaryOptions;
  #child: ChildProcess | null = null;
  output = "";
  url = "";
  token = "";

  constructor(t: TestContext, options: BinaryOptions = {}) {
    if (!existsSync(built)) throw new Error("dist/prism is not built; run npm run build, or npm test which does");
    this.#options = options;
    this.dir = mkdtempSync(join(tmpdir(), "prism-e2e-"));
    copyFileSync(built, join(this.dir, "prism"));
    t.after(async () => {
      await this.kill();
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  /** Starts the server and fetches a token. @param onPort 0: one that is free. */
  async start(onPort = 0): Promise<void> {
    this.output = "";
    const args = ["serve", "--port", String(onPort), ...(this.#options.args ?? [])];
    const child = spawn(join(this.dir, "prism"), args, {
      cwd: this.dir,
      env: this.#env(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const port = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        this.output += chunk.toString();
        const ready = /Prism is ready: http:\/\/[^:]+:(\d+)/.exec(this.output);
        if (ready?.[1]) resolve(ready[1]);
      };
      child.stdout?.on("data", read);
      child.stderr?.on("data", read);
      child.once("exit", (code) => reject(new Error(`prism ended with ${code}:\n${this.output}`)));
    });
    this.url = `http://127.0.0.1:${port}`;
    const { token } = (await (await fetch(`${this.url}/dev/token`)).json()) as { token: string };
    this.token = token;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** SIGKILL: no chance to say goodbye. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => child.once("exit", resolve));
  }

  /** SIGTERM. @returns the exit code. */
  async stop(): Promise<number | null> {
    return this.#end("SIGTERM");
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

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill(signal);
    return ended;
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
