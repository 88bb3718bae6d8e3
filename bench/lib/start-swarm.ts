import { type ClientProcess, startClient } from "./client-process.ts";
import type { Follows } from "./clients/client.ts";
import type { ProtocolName } from "./clients/protocols.ts";

/** What one process of clients does. */
export interface SwarmPlan {
  readonly port: number;
  readonly protocol: ProtocolName;
  readonly follows: Follows;
  readonly projectId: string;
  /** Lines of a user's id and token; connections take them in turn. */
  readonly peopleFile: string;
  readonly sockets: number;
  /** The number of its first connection among those of all processes. */
  readonly firstSocket: number;
  /** Connections that are on their way at a time. */
  readonly inFlight: number;
  /** How many addresses of this machine the connections come from, in turn. */
  readonly addresses: number;
  /** Messages that each connection has to get, 0 for none. */
  readonly messages: number;
  readonly reportEvery: number;
}

/** How long connections took from being opened to the protocol's welcome. */
interface Waits {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** How connecting went in one process; epoch ms. */
export interface Connecting extends Waits {
  readonly startedAt: number;
  readonly readyAt: number;
}

/** How connecting went in all. */
export interface Connects extends Waits {
  /** Connections that have come to follow, from the first one opened to the last one. */
  readonly perSecond: number;
}

/** Connections that stand, and what they get. */
export interface Swarm {
  readonly connects: Connects;
  /**
   * Resolves when every connection has had so many messages, rounded down to a multiple of
   * `reportEvery`.
   */
  reached(messages: number): Promise<void>;
  /** Milliseconds from the first message to the last one of all. */
  done(): Promise<number>;
  /** @throws when a connection was lost meanwhile. */
  stop(): Promise<void>;
}

export type SwarmOptions = Pick<SwarmPlan, "port" | "protocol" | "follows" | "peopleFile" | "sockets"> &
  Partial<SwarmPlan>;

/** Each needs a file descriptor, and memory that a garbage collector looks through. */
const SOCKETS_PER_PROCESS = 5000;
const IN_FLIGHT = 100;
/** So that neither ports nor a server's limits by address run out. */
const SOCKETS_PER_ADDRESS = 500;
/** Prism lets 20 of an address in that have not said yet who they are (Socket.IO, Pusher). */
const IN_FLIGHT_PER_ADDRESS = 10;

/**
 * Opens connections from processes pinned to the processor for load, and waits until all of them
 * follow.
 */
export async function startSwarm(options: SwarmOptions): Promise<Swarm> {
  return (await loadSwarm(options)).connect();
}

/** Starts the processes, which take time from everybody, before the connections are wanted. */
export async function loadSwarm(options: SwarmOptions): Promise<{ connect(): Promise<Swarm> }> {
  const processes = Math.ceil(options.sockets / SOCKETS_PER_PROCESS);
  const clients = Array.from({ length: processes }, (_, i) => startClient("swarm.ts", planOf(options, i, processes)));
  await Promise.all(clients.map((client) => client.said("loaded")));
  return { connect: () => connect(options, clients) };
}

/** The part of one of several processes. */
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
    // A client that fails says nothing more: that is told as well.
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

/** How far the slowest of several processes is. */
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

/**
 * The worst percentiles of several processes stand for all: none of them hides what another saw.
 */
function together(sockets: number, all: readonly Connecting[]): Connects {
  const ms = Math.max(...all.map(({ readyAt }) => readyAt)) - Math.min(...all.map(({ startedAt }) => startedAt));
  return {
    perSecond: sockets / (ms / 1000),
    p50Ms: Math.max(...all.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...all.map(({ p99Ms }) => p99Ms)),
    maxMs: Math.max(...all.map(({ maxMs }) => maxMs)),
  };
}
