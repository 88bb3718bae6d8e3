import { setTimeout } from "node:timers/promises";
import { periodic } from "../core/time/periodic.ts";

/** Clocks of nodes that differ by more are a warning (docs/cluster.md). */
export const MOST_SKEW_MS = 500;

/** Clocks and timers of a node; the simulation has its own. */
export interface NodeTime {
  /** Monotonic, in ms. */
  elapsed(): number;
  /** Epoch ms. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Calls `work` at this interval. @returns ends it */
  every(ms: number, work: () => void): () => void;
}

export const SYSTEM_TIME: NodeTime = {
  elapsed: () => performance.now(),
  now: () => Date.now(),
  sleep: async (ms) => setTimeout(ms),
  every(ms, work) {
    const repeated = periodic({ everyMs: ms, work });
    repeated.start();
    return () => void repeated.stop();
  },
};
