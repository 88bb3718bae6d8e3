import type { Context, Ended } from "../lib/context.ts";
import type { Placeholders } from "../lib/placeholders.ts";

/** Processes at once. */
const AT_ONCE = 3;

interface Line {
  readonly words: readonly string[];
  /** Members of the JSON output to keep, by their names. */
  readonly kept: readonly (readonly [name: string, path: string])[];
}

/** The data directory that commands are run on, and what earlier lines have noted. */
export interface Place {
  readonly context: Context;
  readonly dir: string;
  readonly names: Placeholders;
  readonly values: Map<string, string>;
}

/** Every line of a list of command lines, without what it notes. */
export function linesOf(text: string): Line[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [command = "", noted = ""] = line.split(" => ");
      const kept = noted.split(" ").flatMap((part) => {
        const [name, path] = part.split("=");
        return name !== undefined && path !== undefined ? [[name, path] as const] : [];
      });
      return {
        words: [...command.matchAll(/"([^"]*)"(?=\s|$)|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? ""),
        kept,
      };
    });
}

/** Runs a line and keeps what it notes. */
export async function runLine(place: Place, { words, kept }: Line, flags: readonly string[]): Promise<Ended> {
  const args = words.map((word) => word.replace(/\{(\w+)\}/g, (all, name: string) => place.values.get(name) ?? all));
  const where = args.includes("--url") ? [] : ["--data-dir", place.dir];
  const ended = await place.context.run([...args, ...flags, ...where]);
  for (const [name, path] of flags.includes("--json") ? kept : []) {
    const value = path
      .split(".")
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], parsed(ended.stdout));
    if (typeof value !== "string") console.error(`${words.join(" ")} has no ${path}: ${ended.stdout}${ended.stderr}`);
    else place.values.set(name, value);
  }
  return ended;
}

/** The line with its exit code and output as text; documents on stdout with one member a line. */
export function shown({ names }: Place, words: readonly string[], { status, stdout, stderr }: Ended): string {
  const document = parsed(stdout);
  const output = typeof document === "object" ? JSON.stringify(document, null, 1) : stdout.trimEnd();
  const errors = stderr.trimEnd();
  const parts = [`$ prism ${words.join(" ")}`, ...(output === "" ? [] : [output])];
  if (errors !== "") parts.push(errors.replace(/^/gm, "! "));
  return names.restart().in([...parts, `exit ${status}`, ""].join("\n"));
}

/** In the order of the items, some at once. */
export async function together<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await run(items[index] as T);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
