import type { Agent } from "node:http";
import type { LookupFunction } from "node:net";
import type Pusher from "pusher";
import type { Config } from "../../../../config/load.ts";
import { PrismError } from "../../../../core/errors.ts";
import { PermanentError, RetryLater } from "../../../jobs/index.ts";
import type { PusherApp } from "../../../pusher/index.ts";
import { ProviderDown } from "../../channel.ts";
import { HostUnknown, type OutsideHosts, type ResolvedAddress } from "../webhook/outside-hosts.ts";

/** One event for one channel, in the format of the REST API. */
export interface PusherEvent {
  readonly channel: string;
  readonly name: string;
  /** JSON text. */
  readonly data: string;
}

/** Limit of events per call of `batch_events`. */
const MAX_BATCH = 10;
/** How long the first event of a batch waits for others. */
const GATHER_MS = 5;

interface Waiting {
  readonly event: PusherEvent;
  resolve(): void;
  reject(error: unknown): void;
}

/** Batches events that arrive together, up to ten per request. Each add settles with its batch. */
export class PusherBatches {
  readonly #send: (events: readonly PusherEvent[]) => Promise<void>;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  readonly #underWay = new Set<Promise<void>>();

  constructor(send: (events: readonly PusherEvent[]) => Promise<void>) {
    this.#send = send;
  }

  add(event: PusherEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, resolve, reject });
      if (this.#waiting.length >= MAX_BATCH) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
    });
  }

  /** Sends the pending batch and resolves when all answers have arrived. */
  async close(): Promise<void> {
    this.#flush();
    await Promise.all(this.#underWay);
  }

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    const sent = this.#send(batch.map(({ event }) => event)).then(
      () => {
        for (const { resolve } of batch) resolve();
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error);
      },
    );
    this.#underWay.add(sent);
    void sent.finally(() => this.#underWay.delete(sent));
  }
}

export interface PusherClientParts {
  readonly config: Pick<Config, "pusher">;
  readonly app: PusherApp;
  readonly hosts: OutsideHosts;
}

const TIMEOUT_MS = 10_000;
/** Pusher's documented delay after a rate limit without Retry-After. */
const RATE_LIMIT_MS = 10_000;

/** The REST API of Pusher Channels, through Pusher's library, to checked addresses. */
export class PusherClient {
  readonly #parts: PusherClientParts;
  readonly #url: URL;

  constructor(parts: PusherClientParts) {
    this.#parts = parts;
    const { endpoint, cluster = "mt1" } = parts.config.pusher;
    this.#url = new URL(endpoint ?? `https://api-${cluster}.pusher.com`);
  }

  /** Sends up to ten events. @throws PermanentError, RetryLater, ProviderDown, or Error to retry */
  async send(events: readonly PusherEvent[]): Promise<void> {
    await this.#call((pusher) => pusher.triggerBatch(events.map((event) => ({ ...event }))));
  }

  /** Lists the channels of the app, which sends nothing. @throws the error found */
  async check(): Promise<void> {
    await this.#call((pusher) => pusher.get({ path: "/channels" }));
  }

  async #call(fn: (pusher: Pusher) => Promise<unknown>): Promise<void> {
    const agent = await this.#agent();
    // The library's own limit passes a signal to its HTTP client, which recognises signals by a
    // class name that bundling changes.
    const limit = setTimeout(() => agent.destroy(), TIMEOUT_MS);
    try {
      await fn(await this.#pusher(agent));
    } catch (error) {
      throw failureOf(error);
    } finally {
      clearTimeout(limit);
      agent.destroy();
    }
  }

  async #pusher(agent: Agent): Promise<Pusher> {
    const { default: Library } = await import("pusher");
    const { hostname, port, protocol } = this.#url;
    const useTLS = protocol === "https:";
    return new Library({ ...this.#parts.app, host: hostname, port, useTLS, agent });
  }

  async #agent(): Promise<Agent> {
    try {
      const { url, addresses } = await this.#parts.hosts.require(this.#url.href);
      return await agentFor(url, addresses);
    } catch (error) {
      const isRefused = error instanceof PrismError && !(error.cause instanceof HostUnknown);
      throw isRefused ? new ProviderDown(error.message, { cause: error }) : error;
    }
  }
}

/** Connects only to these addresses of this host, wherever a redirect points. */
async function agentFor(url: URL, addresses: readonly ResolvedAddress[]): Promise<Agent> {
  const lookup: LookupFunction = (host, { all }, done) => {
    const [first] = addresses;
    if (!first || host !== url.hostname) done(new Error(`${host} is not the host of the Pusher app`), "", 0);
    else if (all) done(null, [...addresses]);
    else done(null, first.address, first.family);
  };
  // Loaded with the first call, like the library.
  const { Agent: AgentOf } = await (url.protocol === "https:" ? import("node:https") : import("node:http"));
  const agent = new AgentOf({ lookup });
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, done) => {
    // An IP address in a URL is not resolved.
    if (options.host !== name) throw new Error("the Pusher app redirects elsewhere");
    return connect(options, done);
  };
  return agent;
}

/**
 * Classifies an error by the documented statuses of the REST API. The library's error contains the
 * signed URL, so none of it is passed on.
 */
function failureOf(error: unknown): Error {
  const { status, error: cause } = Object(error) as { status?: unknown; error?: unknown };
  if (typeof status !== "number") return new Error(`Pusher cannot be reached${codeOf(cause)}`);
  const says = `Pusher answered ${status}`;
  if (status === 400 || status === 413) return new PermanentError(says);
  if (status === 401 || status === 403 || status === 404)
    return new ProviderDown(
      `${says}: pusher.appId, key and secret are not those of an active app, or its quota is used up`,
    );
  return status === 429 ? new RetryLater(says, RATE_LIMIT_MS) : new Error(says);
}

function codeOf(cause: unknown): string {
  const { code, type } = Object(cause) as { code?: unknown; type?: unknown };
  const name = code ?? type;
  return typeof name === "string" ? `: ${name}` : "";
}
