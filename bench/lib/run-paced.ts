import { startClient } from "./client-process.ts";
import type { Target } from "./clients/client.ts";
import type { ProtocolName } from "./clients/protocols.ts";

/** What the paced load does. */
export interface PacedPlan {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in turn. `mark-0;` in one becomes `mark-<number of the request>;`. */
  readonly bodies: readonly string[];
  readonly perSecond: number;
  /** Requests in all. */
  readonly count: number;
  /** Requests that can be on their way at a time; later ones wait, and their wait counts. */
  readonly connections: number;
  /** Sockets that listen for what the requests bring about. */
  readonly listeners: readonly (Omit<Target, "port" | "from"> & { readonly protocol: ProtocolName })[];
}

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface PacedResult {
  /** The pace that was kept. */
  readonly perSecond: number;
  /** Answers outside 2xx. */
  readonly errors: number;
  readonly answers: Latency;
  /** For each listener, from when a request was due to its message. */
  readonly messages: readonly Latency[];
}

type PacedOptions = Pick<PacedPlan, "port" | "headers" | "bodies" | "perSecond" | "count"> & Partial<PacedPlan>;

const CONNECTIONS = 64;

/** Runs the load to its end. @throws when a request was refused. */
export async function runPaced(options: PacedOptions): Promise<PacedResult> {
  return resultOf(start(options));
}

/**
 * Starts a load that goes on, for at most `count` requests, until it is told to stop, beside
 * something else.
 */
export async function startProbe(options: PacedOptions): Promise<{ stop(): Promise<PacedResult> }> {
  const client = start(options);
  await client.said("ready");
  return {
    async stop() {
      const [result] = await Promise.all([resultOf(client), client.stop()]);
      return result;
    },
  };
}

function start(options: PacedOptions): ReturnType<typeof startClient> {
  const plan: PacedPlan = { path: "/events", connections: CONNECTIONS, listeners: [], ...options };
  return startClient("paced-load.ts", plan);
}

async function resultOf(client: ReturnType<typeof startClient>): Promise<PacedResult> {
  const result = JSON.parse(await client.said("result")) as PacedResult;
  if (result.errors > 0) throw new Error(`${result.errors} requests were refused`);
  return result;
}
