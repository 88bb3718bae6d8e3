import type { TestContext } from "node:test";
import { WebSocket } from "ws";
import { PrismClient, type PrismClientOptions, type Problem } from "../../../src/client/index.ts";
import { eventually } from "../../helpers/eventually.ts";

/** Connects again soon: tests wait for it. */
const RECONNECT = { minMs: 20, maxMs: 100 };

export interface Observed {
  readonly client: PrismClient;
  readonly states: PrismClient["state"][];
  readonly problems: Problem[];
  /** Codes of the problems. */
  codes(): string[];
}

/** A client with the WebSocket of `ws`, closed with the test, and everything it reported. */
export function startClient(t: TestContext, options: PrismClientOptions): Observed {
  const client = new PrismClient({ WebSocket, reconnect: RECONNECT, ...options });
  const states: PrismClient["state"][] = [];
  const problems: Problem[] = [];
  client.on("state", (state) => states.push(state));
  client.on("error", (problem) => problems.push(problem));
  t.after(() => client.close());
  return { client, states, problems, codes: () => problems.map(({ error }) => error.code) };
}

/** The numbers that a feed gave its events, in the order in which they were handled. */
export function followProject(client: PrismClient, projectId: string, numbers: number[] = []) {
  const subscription = client.subscribe(`project:${projectId}`, { from: "earliest" });
  subscription.on("event", ({ data }) => {
    numbers.push(Number(data.payload["n"]));
  });
  return { subscription, numbers };
}

export function stateIs(client: PrismClient, state: PrismClient["state"]["state"]): Promise<boolean> {
  return eventually(`the client is ${state}`, () => client.state.state === state);
}

/** Resolves at the next subscription. */
export function subscribed(client: PrismClient): Promise<void> {
  return new Promise((resolve) => {
    const off = client.on("subscribed", () => {
      off();
      resolve();
    });
  });
}

/** Offsets on paper. */
export class MemoryStorage {
  readonly values = new Map<string, string>();

  get(key: string): string | undefined {
    return this.values.get(key);
  }

  set(key: string, value: string): void {
    this.values.set(key, value);
  }
}
