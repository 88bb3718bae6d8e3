import type { TestContext } from "node:test";
import { makeProject } from "../../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { deleteEvents, deleteTaskEntries, EventFeed, type Feed, TaskFeed } from "./feeds.ts";
import type { ConnectOptions, LiveClient, LiveProtocol, Target } from "./live-client.ts";
import { nativeProtocol } from "./native-protocol.ts";
import { pulseProtocol } from "./pulse-protocol.ts";
import { sseProtocol } from "./sse-protocol.ts";
import { taskProtocol } from "./task-protocol.ts";

/** The protocols that follow a project, as its members and its keys may. */
export const PROJECT_PROTOCOLS: readonly LiveProtocol[] = [nativeProtocol, pulseProtocol, sseProtocol];

/** Every protocol that the contract suite is run with. */
export const PROTOCOLS: readonly LiveProtocol[] = [...PROJECT_PROTOCOLS, taskProtocol];

/** A server with a project, feeds, and clients that are closed when the test ends. */
export class LiveServer {
  readonly prism: TestPrism;
  readonly projectId: string;
  readonly apiKey: string;
  /** The administrator, whose tasks are followed. */
  readonly userId: string;
  readonly #t: TestContext;
  feed: EventFeed;
  tasks: TaskFeed;

  private constructor(
    t: TestContext,
    prism: TestPrism,
    { id, apiKey, userId }: { id: string; apiKey: string; userId: string },
  ) {
    this.#t = t;
    this.prism = prism;
    this.projectId = id;
    this.apiKey = apiKey;
    this.userId = userId;
    this.feed = new EventFeed(prism.url, apiKey);
    this.tasks = new TaskFeed(prism, userId);
  }

  static async start(t: TestContext, options?: PrismOptions): Promise<LiveServer> {
    const prism = await startPrism(t, options);
    const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
    return new LiveServer(t, prism, { ...(await makeProject(prism)), userId: me.id });
  }

  get target(): Target {
    return { url: this.prism.url, projectId: this.projectId, token: this.prism.adminToken };
  }

  /** What a client of this protocol hears. */
  feedOf({ follows }: LiveProtocol): Feed {
    return follows === "tasks" ? this.tasks : this.feed;
  }

  async connect(protocol: LiveProtocol, options?: ConnectOptions): Promise<LiveClient> {
    const client = await protocol.connect(this.target, options);
    this.#t.after(() => client.close());
    return client;
  }

  /** What a client of this protocol could have heard before an instant is removed. */
  async deleteBefore({ follows }: LiveProtocol, before: number): Promise<void> {
    if (follows === "tasks") await deleteTaskEntries(this.prism, this.userId, before);
    else await deleteEvents(this.prism, this.projectId, before);
  }

  /** The server stops and comes back on the same data directory, at another port. */
  async restart(): Promise<void> {
    await this.prism.restart();
    this.feed = new EventFeed(this.prism.url, this.apiKey, this.feed.count);
    this.tasks = new TaskFeed(this.prism, this.userId, this.tasks.count);
  }
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
