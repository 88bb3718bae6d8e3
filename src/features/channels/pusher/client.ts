import type { Agent } from "node:http";
import type Pusher from "pusher";
import type { Config } from "../../../config/load.ts";
import { PrismError } from "../../../core/errors.ts";
import { type CallLimits, httpLimitsOf, late, named, openConnection } from "../../delivery/calls/connect.ts";
import type { ResolvedAddress } from "../../delivery/calls/resolve.ts";
import { NoAnswer, ProviderDown, Throttled } from "../../delivery/channel.ts";
import type { PusherApp } from "../../protocols/pusher/index.ts";
import { PermanentError } from "../../time/jobs/index.ts";
import { addressesOf, hostOf, type OutsideHosts } from "../webhook/safe-fetch.ts";

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
  readonly config: Pick<Config, "pusher" | "delivery" | "proxy">;
  readonly app: PusherApp;
  readonly hosts: OutsideHosts;
}

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

  /** Sends up to ten events. @throws PermanentError, Throttled, ProviderDown, or Error to retry */
  async send(events: readonly PusherEvent[]): Promise<void> {
    await this.#call((pusher) => pusher.triggerBatch(events.map((event) => ({ ...event }))));
  }

  /** Lists the channels of the app, which sends nothing. @throws the error found */
  async check(): Promise<void> {
    await this.#call((pusher) => pusher.get({ path: "/channels" }));
  }

  async #call(fn: (pusher: Pusher) => Promise<unknown>): Promise<void> {
    const call = new AbortController();
    // The library's own limit passes a signal to its HTTP client, which recognises signals by a
    // class name that bundling changes.
    const agent = await this.#agent(call);
    try {
      await fn(await this.#pusher(agent));
    } catch (error) {
      throw call.signal.aborted ? named("Pusher", call.signal.reason) : failureOf(error);
    } finally {
      call.abort();
      agent.destroy();
    }
  }

  async #pusher(agent: Agent): Promise<Pusher> {
    const { default: Library } = await import("pusher");
    const { hostname, port, protocol } = this.#url;
    const useTLS = protocol === "https:";
    return new Library({ ...this.#parts.app, host: hostname, port, useTLS, agent });
  }

  async #agent(call: AbortController): Promise<Agent> {
    const { hosts, config } = this.#parts;
    const limits = httpLimitsOf(config);
    try {
      const { url, addresses } = await addressesOf(hosts, this.#url.href, limits);
      return await agentFor(url, addresses, limits, call);
    } catch (error) {
      throw error instanceof PrismError ? new ProviderDown(error.message, { cause: error }) : named("Pusher", error);
    }
  }
}

/**
 * Connects only to these addresses of this host, wherever a redirect points.
 * @param call aborted with the reason when there is no connection, or no answer in time
 */
async function agentFor(
  url: URL,
  addresses: readonly ResolvedAddress[],
  limits: CallLimits,
  call: AbortController,
): Promise<Agent> {
  const isTls = url.protocol === "https:";
  // Loaded with the first call, like the library.
  const { Agent: AgentOf } = await (isTls ? import("node:https") : import("node:http"));
  const agent = new AgentOf();
  const host = hostOf(url);
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const giveUp = (error: Error): void => {
    call.abort(error);
    agent.destroy();
  };
  agent.createConnection = (options, done) => {
    if (options.host !== host) throw new Error("the Pusher app redirects elsewhere");
    openConnection({ host, port, addresses, tls: isTls ? {} : undefined }, limits, call.signal).then(
      (socket) => {
        const timer = setTimeout(() => giveUp(late("answer", limits.answerMs)), limits.answerMs);
        call.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
        done?.(null, socket);
      },
      (error: Error) => {
        giveUp(error);
        done?.(error, undefined as never);
      },
    );
    return undefined as never;
  };
  return agent;
}

/**
 * Classifies an error by the documented statuses of the REST API. The library's error contains the
 * signed URL, so none of it is passed on.
 */
function failureOf(error: unknown): Error {
  const { status, error: cause } = Object(error) as { status?: unknown; error?: unknown };
  if (typeof status !== "number") return new NoAnswer(`Pusher: no answer${codeOf(cause)}`, { phase: "answer" });
  const says = `Pusher answered ${status}`;
  if (status === 400 || status === 413) return new PermanentError(says);
  if (status === 401 || status === 403 || status === 404)
    return new ProviderDown(
      `${says}: pusher.appId, key and secret are not those of an active app, or its quota is used up`,
    );
  return status === 429 ? new Throttled(says, RATE_LIMIT_MS, { isGuess: true }) : new Error(says);
}

function codeOf(cause: unknown): string {
  const { code, type } = Object(cause) as { code?: unknown; type?: unknown };
  const name = code ?? type;
  return typeof name === "string" ? `: ${name}` : "";
}
