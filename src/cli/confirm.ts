import { createInterface } from "node:readline/promises";

/** Asks a person; where there is none the answer is no. */
export async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return false;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} Type yes: `);
    return answer.trim().toLowerCase() === "yes";
  } finally {
    prompt.close();
  }
}
