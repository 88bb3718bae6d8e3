import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { interrupt } from "../../output/process-ends.ts";

/** Where a person is asked. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Asks a person; where there is none, or the input ends, the answer is no. */
export async function confirm(
  question: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (input.isTTY !== true || output.isTTY !== true) return false;
  const prompt = createInterface({ input, output });
  // The terminal is in raw mode: Ctrl-C arrives here and not as a signal.
  prompt.once("SIGINT", interrupt);
  try {
    // Ctrl-D rejects the question, an input that ends leaves it open for ever.
    const asked = prompt.question(`${question} Type yes: `).catch(() => null);
    const answer = await Promise.race([asked, once(prompt, "close").then(() => null)]);
    if (answer === null) output.write("\n");
    return answer?.trim().toLowerCase() === "yes";
  } finally {
    prompt.close();
  }
}
