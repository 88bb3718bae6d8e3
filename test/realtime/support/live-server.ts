import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { makeProject } from "../../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../helpers/prism.ts";
import type { ConnectOptions, LiveClient, LiveProtocol, Target } from "./live-client.ts";
import { nativeProtocol } from "./native-protocol.ts";
import { pulseProtocol } from "./pulse-protocol.ts";
import { sseProtocol } from "./sse-protocol.ts";

/** Every protocol that the contract suite is run with. */
export const PROTOCOLS: readonly LiveProtocol[] = [nativeProtocol, pulseProtocol, sseProtocol];

/** Does not get smaller by compression. */
const NOISE = randomBytes(200_000).toString("base64");

/** Numbers its events 1, 2, 3 …, so that what a client got can be compared with what was sent. */
export class Feed {
  readonly #url: string;
  readonly #apiKey: string;
  count = 0;
  lastSeq = 0;

  constructor(url: string, apiKey: string, count = 0) {
    this.#url = url;
    this.#apiKey = apiKey;
    this.count = count;
  }

  /** Ingests so many events in one request. @returns the offset of the last one. */
  async publish(count = 1, { paddingBytes = 0, type = "tick" } = {}): Promise<number> {
    const lines: string[] = [];
    const padding = paddingBytes > 0 ? NOISE.slice(0, paddingBytes) : undefined;
    for (let i = 0; i < count; i++) lines.push(JSON.stringify({ type, payload: { n: ++this.count, padding } }));
    const response = await fetch(`${this.#url}/events`, {
      method: "POST",
      headers: { "X-API-Key": this.#apiKey, "Content-Type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    const body = (await response.json()) as { accepted: number; lastSeq: number };
    if (body.accepted !== count) throw new Error(`accepted ${body.accepted} of ${count}: ${response.status}`);
    this.lastSeq = body.lastSeq;
    return body.lastSeq;
  }
}

/** A server with a project, its feed, and clients that are closed when the test ends. */
export class LiveServer {
  readonly prism: TestPrism;
  readonly projectId: string;
  readonly apiKey: string;
  readonly #t: TestContext;
  feed: Feed;

  private constructor(t: TestContext, prism: TestPrism, projectId: string, apiKey: string) {
    this.#t = t;
    this.prism = prism;
    this.projectId = projectId;
    this.apiKey = apiKey;
    this.feed = new Feed(prism.url, apiKey);
  }

  static async start(t: TestContext, options?: PrismOptions): Promise<LiveServer> {
    const prism = await startPrism(t, options);
    const { id, apiKey } = await makeProject(prism);
    return new LiveServer(t, prism, id, apiKey);
  }

  get target(): Target {
    return { url: this.prism.url, projectId: this.projectId, token: this.prism.adminToken };
  }

  async connect(protocol: LiveProtocol, options?: ConnectOptions): Promise<LiveClient> {
    const client = await protocol.connect(this.target, options);
    this.#t.after(() => client.close());
    return client;
  }

  /** The server stops and comes back on the same data directory, at another port. */
  async restart(): Promise<void> {
    await this.prism.restart();
    this.feed = new Feed(this.prism.url, this.apiKey, this.feed.count);
  }
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
