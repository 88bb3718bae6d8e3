import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { environmentName } from "../../src/config/option.ts";
import { makeServiceToken } from "../http/support/access/makers.ts";
import { eventually } from "./eventually.ts";
import { makeUser } from "./people.ts";
import type { TestPrism } from "./prism.ts";

const built = join(import.meta.dirname, "../../dist/prism");
/** A machine that does much else at once is slow. */
const PATIENCE_MS = 60_000;

export interface WorkerOptions {
  readonly queues: string;
  readonly url: string;
  readonly token: string;
  /** Of the worker's own, by dotted key. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The command `prism worker` as it is built, in an otherwise empty folder. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  stdout = "";
  stderr = "";

  constructor(t: TestContext, { queues, url, token, settings = {}, args = [] }: WorkerOptions) {
    if (!existsSync(built)) throw new Error("dist/prism is not built; run npm run build, or npm test which does");
    const dir = mkdtempSync(join(tmpdir(), "prism-worker-test-"));
    const env: NodeJS.ProcessEnv = { PATH: process.env["PATH"], HOME: dir, PRISM_TOKEN: token };
    for (const [key, value] of Object.entries(settings)) env[environmentName(key)] = value;
    this.#child = spawn(built, ["worker", "--url", url, "--queues", queues, "--log-level", "debug", ...args], {
      cwd: dir,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.#ended = new Promise((resolve) => this.#child.once("close", resolve));
    t.after(async () => {
      await this.kill();
      rmSync(dir, { recursive: true, force: true });
    });
  }

  /** Waits until it works. */
  static async start(t: TestContext, options: WorkerOptions): Promise<WorkerProcess> {
    const worker = new WorkerProcess(t, options);
    await worker.untilSays("ready");
    return worker;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its log lines, whole ones. */
  get lines(): readonly LogLine[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** Waits for a line of its log that says so. */
  async untilSays(words: string): Promise<LogLine> {
    const ask = (): LogLine | undefined => {
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}: ${this.stderr}`);
      return this.lines.find(({ msg }) => msg.includes(words));
    };
    return eventually(`the worker says ${words}`, ask, PATIENCE_MS);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** @returns its exit code */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** SIGTERM. @returns its exit code */
  async stop(): Promise<number | null> {
    this.signal("SIGTERM");
    return this.#ended;
  }

  /** SIGKILL: no chance to say goodbye. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
  }
}

export interface WorkToken {
  readonly id: string;
  readonly token: string;
  /** A login of whoever it is of. */
  readonly owner: string;
}

/** A service token that may work, of an administrator of its own. */
export async function workToken(prism: TestPrism, name = "worker"): Promise<WorkToken> {
  const { id, token: owner } = await makeUser(prism, name, ["Admin"]);
  return { ...(await makeServiceToken(prism, id, { scopes: ["jobs:work"] })), owner };
}
