import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { interrupt } from "./process-ends.ts";

/** Asks a person; where there is none, or the input ends, the answer is no. */
export async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return false;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  // The terminal is in raw mode: Ctrl-C arrives here and not as a signal.
  prompt.once("SIGINT", interrupt);
  try {
    const answer = await Promise.race([prompt.question(`${question} Type yes: `), once(prompt, "close")]);
    return typeof answer === "string" && answer.trim().toLowerCase() === "yes";
  } finally {
    prompt.close();
  }
}
