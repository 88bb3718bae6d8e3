import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { environmentName } from "../../src/config/option.ts";
import { makeServiceToken } from "../http/support/access/makers.ts";
import { ChildOutput } from "./child-output.ts";
import { makeUser } from "./people.ts";
import type { TestPrism } from "./prism.ts";

const built = join(import.meta.dirname, "../../dist/prism");

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
  readonly #output: ChildOutput;

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
    this.#output = new ChildOutput(this.#child);
    t.after(async () => {
      await this.kill();
      rmSync(dir, { recursive: true, force: true });
    });
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
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

  /** Waits for a line of its log that contains `words`. */
  async untilSays(words: string): Promise<LogLine> {
    return this.#output.until(`"${words}" in the worker's log`, () =>
      this.lines.find(({ msg }) => msg.includes(words)),
    );
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** @returns its exit code */
  async ended(): Promise<number | null> {
    return (await this.#output.ended).code;
  }

  /** SIGTERM. @returns its exit code */
  async stop(): Promise<number | null> {
    this.signal("SIGTERM");
    return this.ended();
  }

  /** SIGKILL: no chance to say goodbye. */
  async kill(): Promise<void> {
    await this.#output.stop();
  }
}

export interface WorkToken {
  readonly id: string;
  readonly token: string;
  /** A login of the token's owner. */
  readonly owner: string;
}

/** A service token that may work, of an administrator of its own. */
export async function workToken(prism: TestPrism, name = "worker"): Promise<WorkToken> {
  const { id, token: owner } = await makeUser(prism, name, ["Admin"]);
  return { ...(await makeServiceToken(prism, id, { scopes: ["jobs:work"] })), owner };
}
