import { startClient } from "./client-process.ts";
import type { Target } from "./clients/client.ts";
import type { ProtocolName } from "./clients/protocols.ts";

/** Arguments of the paced load. */
export interface PacedPlan {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in rotation. Each `mark-0;` in a body becomes `mark-<number of the request>;`. */
  readonly bodies: readonly string[];
  readonly perSecond: number;
  /** Total number of requests. */
  readonly count: number;
  /** Limit of concurrent requests; later ones wait, and the wait is measured. */
  readonly connections: number;
  /** Sockets that receive the resulting messages. */
  readonly listeners: readonly (Omit<Target, "port" | "from"> & { readonly protocol: ProtocolName })[];
}

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface PacedResult {
  /** The actual pace. */
  readonly perSecond: number;
  /** Responses outside 2xx. */
  readonly errors: number;
  readonly answers: Latency;
  /** Per listener, from when a request was due to its message. */
  readonly messages: readonly Latency[];
}

type PacedOptions = Pick<PacedPlan, "port" | "headers" | "bodies" | "perSecond" | "count"> & Partial<PacedPlan>;

const CONNECTIONS = 64;

/** Runs the load to completion. @throws if a request was refused. */
export async function runPaced(options: PacedOptions): Promise<PacedResult> {
  return resultOf(start(options));
}

/** Starts a load of at most `count` requests in the background, until it is stopped. */
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
