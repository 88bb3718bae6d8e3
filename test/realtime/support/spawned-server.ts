import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { temporaryDir } from "../../helpers/store.ts";
import { EventFeed } from "./feeds.ts";
import type { Target } from "./live-client.ts";

const root = join(import.meta.dirname, "../../..");

/** Prism in a process of its own, run from source, so that it can be killed. */
export class SpawnedServer {
  readonly #dir: string;
  readonly #environment: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;
  #token = "";
  #url = "";
  #projectId = "";
  #apiKey = "";
  #count = 0;

  private constructor(dir: string, environment: Readonly<Record<string, string>>) {
    this.#dir = dir;
    this.#environment = environment;
  }

  static async start(t: TestContext, environment: Readonly<Record<string, string>> = {}): Promise<SpawnedServer> {
    const server = new SpawnedServer(temporaryDir(t), environment);
    t.after(() => server.kill());
    await server.run();
    const project = await server.#post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "shop" });
    server.#projectId = project.id;
    server.#apiKey = project.apiKey;
    return server;
  }

  get target(): Target {
    return { url: this.#url, projectId: this.#projectId, token: this.#token };
  }

  /** Goes on numbering where the one before stopped. */
  newFeed(): EventFeed {
    const feed = new EventFeed(this.#url, this.#apiKey, this.#count);
    return feed;
  }

  /** Starts the server on its data directory; events numbered up to `count` are there already. */
  async run(count = 0): Promise<void> {
    this.#count = count;
    const args = ["--import", "tsx", join(root, "bin/prism.ts"), "serve", "--port", "0", "--data-dir", this.#dir];
    const env = {
      ...process.env,
      NODE_ENV: "development",
      PRISM_MIN_FREE_BYTES: "0",
      PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false",
      ...this.#environment,
    };
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#url = await readUrl(child);
    const reply = await fetch(`${this.#url}/dev/token`);
    this.#token = ((await reply.json()) as { token: string }).token;
  }

  /** SIGKILL: no chance to say goodbye. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** Makes tasks of the administrator's that are called so. */
  async postTasks(from: number, to: number): Promise<void> {
    for (let n = from; n <= to; n++) await this.#post("/api/v1/tasks", { title: String(n) });
  }

  async #post<T>(path: string, body: unknown): Promise<T> {
    const response = await fetch(this.#url + path, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await response.json()) as T;
  }
}

async function readUrl(child: ChildProcess): Promise<string> {
  let output = "";
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const ready = /Prism is ready: (http:\/\/[^:]+:\d+)/.exec(output);
      if (ready?.[1]) resolve(ready[1]);
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("exit", (code) => reject(new Error(`prism ended with ${code}:\n${output}`)));
  });
}
