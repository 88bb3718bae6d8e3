import type { TestContext } from "node:test";
import { PrismBinary } from "../../e2e/prism-binary.ts";
import { lastingPort } from "../../helpers/free-ports.ts";
import { EventFeed } from "./feeds.ts";
import type { Target } from "./live-client.ts";

/** The executable with a project, so that it can be killed; it comes back at the same address. */
export class SpawnedServer {
  readonly #binary: PrismBinary;
  readonly #port: number;
  #projectId = "";
  #apiKey = "";
  #count = 0;

  private constructor(binary: PrismBinary, port: number) {
    this.#binary = binary;
    this.#port = port;
  }

  static async start(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<SpawnedServer> {
    const server = new SpawnedServer(new PrismBinary(t, { env }), await lastingPort());
    await server.run();
    const project = await server.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "shop" });
    server.#projectId = project.id;
    server.#apiKey = project.apiKey;
    return server;
  }

  get target(): Target {
    return { url: this.#binary.url, projectId: this.#projectId, token: this.#binary.token };
  }

  get apiKey(): string {
    return this.#apiKey;
  }

  /** Continues numbering after the previous one. */
  newFeed(): EventFeed {
    return new EventFeed(this.#binary.url, this.#apiKey, this.#count);
  }

  /** Starts the server on its data directory; events numbered up to `count` are there already. */
  async run(count = 0): Promise<void> {
    this.#count = count;
    await this.#binary.start(this.#port);
  }

  /** SIGKILL, without a clean stop. */
  kill(): Promise<void> {
    return this.#binary.kill();
  }

  /** Makes tasks of the administrator's, and notifications for him, that are called so. */
  async postNumbered(from: number, to: number): Promise<void> {
    for (let n = from; n <= to; n++) {
      await this.post("/api/v1/tasks", { title: String(n) });
      await this.post("/api/v1/notifications", { userId: "me", title: String(n), message: "tick" });
    }
  }

  /** As the administrator. @throws for anything but success */
  async post<T>(path: string, request: unknown): Promise<T> {
    const { status, body } = await this.#binary.call<T>("POST", path, request);
    if (status >= 300) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const reply = await fetch(`${this.#binary.url}/metrics`, {
      headers: { Authorization: `Bearer ${this.#binary.token}` },
    });
    const text = await reply.text();
    const line = text.split("\n").find((each) => each.startsWith(`${name} `));
    if (!line) throw new Error(`there is no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }
}
