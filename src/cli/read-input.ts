import { readFileSync } from "node:fs";
import { CommandError, EXIT } from "./output/exit-codes.ts";

/** The text that a flag names: `@file`, `-` for stdin, else the value itself. @throws CommandError 2 for a file that cannot be read. */
export async function readInput(given: string, flag: string): Promise<string> {
  if (given === "-") return readStdin();
  return given.startsWith("@") ? readTextFile(given.slice(1), flag) : given;
}

/** {@link readInput} as a JSON object. @throws CommandError 2 */
export async function readJsonObject(given: string, flag: string): Promise<Record<string, unknown>> {
  const text = await readInput(given, flag);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(EXIT.usage, `${flag} is not JSON: ${reason}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new CommandError(EXIT.usage, `${flag} must be a JSON object`);
  return value as Record<string, unknown>;
}

export function readTextFile(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CommandError(EXIT.usage, `${flag}: ${path} cannot be read (${reason})`);
  }
}

/** All that stdin holds, as text. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
