import { setTimeout as sleep } from "node:timers/promises";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import type { Output } from "../../output/output.ts";

const EVERY_MS = 1000;

/** A look at something, as --json and as people see it. */
export interface Look {
  readonly value: unknown;
  readonly human: () => readonly string[];
}

/**
 * Shows a look once, or with `isWatched` one every second until the command is interrupted: on a terminal drawn anew, with --json one line
 * each. A server that goes away meanwhile is waited for. @throws what the first look throws
 */
export async function show(out: Output, isWatched: boolean, look: () => Promise<Look>): Promise<void> {
  const { value, human } = await look();
  if (!isWatched) {
    out.result(value, human);
    return;
  }
  out.frame(value, human);
  for (;;) {
    await sleep(EVERY_MS);
    try {
      const { value, human } = await look();
      out.frame(value, human);
    } catch (error) {
      if (!(error instanceof CommandError) || error.exitCode !== EXIT.unreachable) throw error;
      out.note(error.message);
    }
  }
}
