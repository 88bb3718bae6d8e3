import type { TestContext } from "node:test";
import PusherModule, { type Channel, type Options } from "pusher-js";
import { eventually } from "../../helpers/eventually.ts";
import type { TestPrism } from "../../helpers/prism.ts";

/** The types of the package have its class as a member; Node gives the class itself. */
export const PusherJs = PusherModule as unknown as typeof PusherModule.default;

/**
 * Disconnects for good. After an abort the library continues to reconnect with one timer after the
 * other, and the process would never exit: so its next attempts do nothing.
 */
export function leave(pusher: PusherModule.default): void {
  pusher.disconnect();
  const seen = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if ("tryStrategy" in value) value.tryStrategy = () => ({ abort() {}, forceMinPriority() {} });
    for (const name of ["strategy", "strategies", "trueBranch", "falseBranch"]) {
      const inner: unknown = Reflect.get(value, name);
      for (const each of Array.isArray(inner) ? inner : [inner]) visit(each);
    }
  };
  visit(pusher.connection);
}

/** One event, as the official client hands it to its callbacks. */
export interface Heard {
  readonly channel: string;
  readonly event: string;
  readonly data: unknown;
}

export interface PusherOptions {
  /** Bearer token for the auth route; absent: the administrator's. */
  readonly token?: string;
  readonly options?: Partial<Options>;
}

/** `pusher-js` with everything it received. */
export class PusherClient {
  readonly pusher: PusherModule.default;
  readonly heard: Heard[] = [];
  /** Error codes that the connection received. */
  readonly codes: number[] = [];
  /** What the connection has been, in order. */
  readonly states: string[] = [];

  constructor(prism: TestPrism, { token = prism.adminToken, options = {} }: PusherOptions = {}) {
    this.pusher = new PusherJs(prism.parts.offers.pusher.key, {
      cluster: "",
      wsHost: "127.0.0.1",
      wsPort: prism.app.port,
      forceTLS: false,
      enabledTransports: ["ws"],
      channelAuthorization: {
        transport: "ajax",
        endpoint: `${prism.url}/pusher/auth`,
        headers: { Authorization: `Bearer ${token}` },
      },
      ...options,
    });
    this.pusher.connection.bind("state_change", ({ current }: { current: string }) => this.states.push(current));
    this.pusher.connection.bind("error", ({ error, data }: { error?: unknown; data?: unknown }) => {
      const told = (error as { data?: unknown } | undefined)?.data ?? data;
      this.codes.push((told as { code?: number } | undefined)?.code ?? 0);
    });
  }

  /** Connected, and disconnected when the test ends. */
  static async connect(t: TestContext, prism: TestPrism, options?: PusherOptions): Promise<PusherClient> {
    const client = new PusherClient(prism, options);
    prism.onClose.push(() => leave(client.pusher));
    t.after(() => leave(client.pusher));
    await client.becomes("connected");
    return client;
  }

  get socketId(): string {
    return this.pusher.connection.socket_id;
  }

  async becomes(state: string): Promise<void> {
    await eventually(`${state}; it is ${this.pusher.connection.state}`, () => this.pusher.connection.state === state);
  }

  /** Subscribes to a channel, without waiting. */
  ask(name: string): Channel {
    const channel = this.pusher.subscribe(name);
    channel.bind_global((event: string, data: unknown) => this.heard.push({ channel: name, event, data }));
    return channel;
  }

  /** Subscribed, or refused with the server's error. */
  async join<T extends Channel = Channel>(name: string): Promise<T> {
    const channel = this.ask(name);
    const outcome = await eventually(`${name} is answered`, () =>
      this.heard.find(({ channel, event }) => channel === name && event.startsWith("pusher:subscription_")),
    );
    if (outcome.event === "pusher:subscription_error") throw new Error(JSON.stringify(outcome.data));
    return channel as T;
  }

  /** What came with this event, in its order. */
  dataOf<T = Record<string, unknown>>(event: string): T[] {
    return this.heard.filter((heard) => heard.event === event).map(({ data }) => data as T);
  }

  async expect<T = Record<string, unknown>>(event: string): Promise<T> {
    await eventually(`${event}; came: ${JSON.stringify(this.heard)}`, () => this.dataOf(event).length > 0);
    return this.dataOf<T>(event)[0] as T;
  }
}

/** Event and data of a channel's events, without those of the client itself. */
export function eventsOf(client: PusherClient, channel: string): [string, unknown][] {
  return client.heard
    .filter((heard) => heard.channel === channel && !heard.event.startsWith("pusher:subscription_"))
    .map(({ event, data }) => [event, data]);
}
