import { type ClientProcess, startClient } from "./client-process.ts";
import type { Follows } from "./clients/client.ts";
import type { ProtocolName } from "./clients/protocols.ts";

/** Arguments of one client process. */
export interface SwarmPlan {
  readonly port: number;
  readonly protocol: ProtocolName;
  readonly follows: Follows;
  readonly projectId: string;
  /** Lines of a user's id and token; connections use them in rotation. */
  readonly peopleFile: string;
  readonly sockets: number;
  /** Number of its first connection among those of all processes. */
  readonly firstSocket: number;
  /** Limit of concurrent handshakes. */
  readonly inFlight: number;
  /** Number of local addresses that the connections use in rotation. */
  readonly addresses: number;
  /** Messages that each connection must receive, 0 for none. */
  readonly messages: number;
  readonly reportEvery: number;
}

/** Times from opening a connection to the protocol's welcome. */
interface Waits {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Result of connecting in one process; epoch ms. */
export interface Connecting extends Waits {
  readonly startedAt: number;
  readonly readyAt: number;
}

/** Result of connecting in all processes. */
export interface Connects extends Waits {
  /** Subscribed connections per second, from the first one opened to the last one subscribed. */
  readonly perSecond: number;
}

/** Open connections and their messages. */
export interface Swarm {
  readonly connects: Connects;
  /**
   * Resolves when every connection has received this many messages, rounded down to a multiple of
   * `reportEvery`.
   */
  reached(messages: number): Promise<void>;
  /** Milliseconds from the first message to the last one of all connections. */
  done(): Promise<number>;
  /** @throws if a connection was lost meanwhile. */
  stop(): Promise<void>;
}

export type SwarmOptions = Pick<SwarmPlan, "port" | "protocol" | "follows" | "peopleFile" | "sockets"> &
  Partial<SwarmPlan>;

/** Each socket needs a file descriptor, and memory that the garbage collector scans. */
const SOCKETS_PER_PROCESS = 5000;
const IN_FLIGHT = 100;
/** Avoids running out of ports and a server's limits per address. */
const SOCKETS_PER_ADDRESS = 500;
/** Limit of Prism for unauthenticated connections per address (Socket.IO, Pusher): 20. */
const IN_FLIGHT_PER_ADDRESS = 10;

/**
 * Opens connections from processes pinned to the processor for load, and waits until all of them
 * are subscribed.
 */
export async function startSwarm(options: SwarmOptions): Promise<Swarm> {
  return (await loadSwarm(options)).connect();
}

/**
 * Starts the processes before the connections are needed, because their start uses processor time.
 */
export async function loadSwarm(options: SwarmOptions): Promise<{ connect(): Promise<Swarm> }> {
  const processes = Math.ceil(options.sockets / SOCKETS_PER_PROCESS);
  const clients = Array.from({ length: processes }, (_, i) => startClient("swarm.ts", planOf(options, i, processes)));
  await Promise.all(clients.map((client) => client.said("loaded")));
  return { connect: () => connect(options, clients) };
}

/** The arguments of one of several processes. */
function planOf(options: SwarmOptions, index: number, processes: number): SwarmPlan {
  const firstSocket = Math.floor((options.sockets * index) / processes);
  const inFlight = options.inFlight ?? IN_FLIGHT;
  return {
    projectId: "default",
    messages: 0,
    reportEvery: 1,
    ...options,
    inFlight: Math.ceil(inFlight / processes),
    addresses: Math.max(Math.ceil(options.sockets / SOCKETS_PER_ADDRESS), Math.ceil(inFlight / IN_FLIGHT_PER_ADDRESS)),
    firstSocket,
    sockets: Math.floor((options.sockets * (index + 1)) / processes) - firstSocket,
  };
}

async function connect(options: SwarmOptions, clients: readonly ClientProcess[]): Promise<Swarm> {
  const progress = new Progress(clients.length);
  for (const [i, client] of clients.entries()) client.on("reached", (count) => progress.note(i, Number(count)));
  for (const client of clients) client.tell("go");
  const readies = await Promise.all(clients.map((client) => client.said("ready")));
  const reportEvery = options.reportEvery ?? 1;
  return {
    connects: together(
      options.sockets,
      readies.map((text) => JSON.parse(text) as Connecting),
    ),
    // A client that fails sends nothing more, so its failure rejects this, too.
    reached: (messages) =>
      Promise.race([progress.reached(messages - (messages % reportEvery)), ...clients.map((client) => client.failed)]),
    async done() {
      const times = (await Promise.all(clients.map((client) => client.said("done")))).map((text) => text.split(" "));
      return Math.max(...times.map(([, last]) => Number(last))) - Math.min(...times.map(([first]) => Number(first)));
    },
    async stop() {
      await Promise.all(clients.map((client) => client.stop()));
    },
  };
}

/** Progress of the slowest of several processes. */
class Progress {
  readonly #counts: number[];
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(processes: number) {
    this.#counts = Array.from({ length: processes }, () => 0);
  }

  note(index: number, count: number): void {
    this.#counts[index] = count;
    const slowest = Math.min(...this.#counts);
    for (const { resolve } of this.#waiting.filter((one) => one.count <= slowest)) resolve();
    this.#waiting = this.#waiting.filter((one) => one.count > slowest);
  }

  reached(count: number): Promise<void> {
    if (Math.min(...this.#counts) >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }
}

/** Combines several processes by their worst percentiles, so that none hides another. */
function together(sockets: number, all: readonly Connecting[]): Connects {
  const ms = Math.max(...all.map(({ readyAt }) => readyAt)) - Math.min(...all.map(({ startedAt }) => startedAt));
  return {
    perSecond: sockets / (ms / 1000),
    p50Ms: Math.max(...all.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...all.map(({ p99Ms }) => p99Ms)),
    maxMs: Math.max(...all.map(({ maxMs }) => maxMs)),
  };
}
