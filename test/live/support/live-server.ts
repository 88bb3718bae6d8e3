import type { TestContext } from "node:test";
import { makeProject } from "../../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../helpers/prism.ts";
import {
  deleteEvents,
  deleteNotifications,
  deleteTaskEntries,
  EventFeed,
  type Feed,
  NotificationFeed,
  TaskFeed,
} from "./feeds.ts";
import type { ConnectOptions, LiveClient, LiveProtocol, Target } from "./live-client.ts";
import { nativeProtocol, nativeUserProtocol } from "./native-protocol.ts";
import { pulseProtocol } from "./pulse-protocol.ts";
import { pusherProtocol } from "./pusher-protocol.ts";
import { socketIoProjectProtocols, socketIoUserProtocols } from "./socketio-protocol.ts";
import { sseProtocol } from "./sse-protocol.ts";
import { taskProtocol } from "./task-protocol.ts";

/** Every protocol that the contract suite is run with. */
export const PROTOCOLS: readonly LiveProtocol[] = [
  nativeProtocol,
  nativeUserProtocol,
  pulseProtocol,
  sseProtocol,
  taskProtocol,
  pusherProtocol,
  ...socketIoProjectProtocols,
  ...socketIoUserProtocols,
];

/** Each way of Socket.IO once, with one or the other stream: enough for what takes long. */
export const UNLIKE_PROTOCOLS = PROTOCOLS.filter(
  (protocol) =>
    protocol.transport !== "socketio" ||
    [...socketIoProjectProtocols.slice(1), socketIoUserProtocols[0]].includes(protocol),
);

/** Protocols in which clients resume after an offset. */
export const RESUMING_PROTOCOLS = PROTOCOLS.filter(({ resumes }) => resumes !== false);

/** The protocols that a token lets in for as long as it lasts. */
export const TOKEN_PROTOCOLS = PROTOCOLS.filter(({ letsIn }) => letsIn !== "logins");

/**
 * The protocols whose clients say who they are before there is a connection; of the others only a
 * few may be about to at a time.
 */
export const UPFRONT_PROTOCOLS = PROTOCOLS.filter(
  ({ transport }) => transport !== "pusher" && transport !== "socketio",
);

/** The protocols that follow a project, as its members may. */
export const PROJECT_PROTOCOLS = PROTOCOLS.filter(({ follows }) => follows === "project");

/** Less than may be pending of one address, for some have yet to go. */
const MAX_PENDING = 10;

/** A server with a project, feeds, and clients that are closed when the test ends. */
export class LiveServer {
  readonly prism: TestPrism;
  readonly projectId: string;
  readonly apiKey: string;
  /** The administrator; its tasks and notifications are followed. */
  readonly userId: string;
  readonly #t: TestContext;
  feed: EventFeed;
  tasks: TaskFeed;
  notifications: NotificationFeed;

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
    this.notifications = new NotificationFeed(prism, userId);
  }

  static async start(t: TestContext, options?: PrismOptions): Promise<LiveServer> {
    const prism = await startPrism(t, options);
    const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
    return new LiveServer(t, prism, { ...(await makeProject(prism)), userId: me.id });
  }

  get target(): Target {
    return { url: this.prism.url, projectId: this.projectId, token: this.prism.adminToken };
  }

  /**
   * The feed of a client of this protocol. @param userId the client's user; default: the
   * administrator.
   */
  feedOf({ follows }: LiveProtocol, userId = this.userId): Feed {
    if (follows === "project") return this.feed;
    if (userId === this.userId) return follows === "tasks" ? this.tasks : this.notifications;
    return follows === "tasks" ? new TaskFeed(this.prism, userId) : new NotificationFeed(this.prism, userId);
  }

  /** Another key of the project. */
  async newKey(options: { readonly expiresAt?: string } = {}): Promise<{ key: string; revoke(): Promise<unknown> }> {
    const path = `/api/v1/projects/${this.projectId}/keys`;
    const { body } = await this.prism.post<{ id: string; key: string }>(path, { name: "another", ...options });
    return { key: body.key, revoke: () => this.prism.delete(`${path}/${body.id}`) };
  }

  async connect(protocol: LiveProtocol, options?: ConnectOptions): Promise<LiveClient> {
    const client = await protocol.connect(this.target, options);
    this.#t.after(() => client.close());
    return client;
  }

  /** Many clients, as many at once as the server lets be pending; in the order of `all`. */
  async connectAll(all: readonly (readonly [LiveProtocol, ConnectOptions?])[]): Promise<LiveClient[]> {
    const connect = ([protocol, options]: readonly [LiveProtocol, ConnectOptions?]) => this.connect(protocol, options);
    const upfront = new Map(
      all.filter(([protocol]) => UPFRONT_PROTOCOLS.includes(protocol)).map((one) => [one, connect(one)] as const),
    );
    const others = all.filter((one) => !upfront.has(one));
    const clients = new Map<readonly [LiveProtocol, ConnectOptions?], LiveClient>();
    for (let from = 0; from < others.length; from += MAX_PENDING) {
      const part = others.slice(from, from + MAX_PENDING);
      for (const [i, client] of (await Promise.all(part.map(connect))).entries()) {
        const one = part[i];
        if (one) clients.set(one, client);
      }
    }
    return Promise.all(
      all.map((one) => upfront.get(one) ?? clients.get(one) ?? Promise.reject(new Error("not there"))),
    );
  }

  /** Removes what a client of this protocol could have received before an instant. */
  async deleteBefore({ follows }: LiveProtocol, before: number): Promise<void> {
    if (follows === "tasks") await deleteTaskEntries(this.prism, this.userId, before);
    else if (follows === "user") await deleteNotifications(this.prism, before);
    else await deleteEvents(this.prism, this.projectId, before);
  }

  /** The server stops and comes back on the same data directory, at another port. */
  async restart(): Promise<void> {
    await this.prism.restart();
    this.feed = new EventFeed(this.prism.url, this.apiKey, this.feed.count);
    this.tasks = new TaskFeed(this.prism, this.userId, this.tasks.count);
    this.notifications = new NotificationFeed(this.prism, this.userId, this.notifications.count);
  }
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
