import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../../config/kinds.ts";
import { nearestName } from "../../config/nearest.ts";
import { parseRfc3339, toRfc3339 } from "../../core/time/clock.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

/** @returns milliseconds of a text such as `5s`, `1.5h`, `250 ms`, or of a bare number. */
export function durationFlag(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined)
    throw new InvalidArgumentError("Use a duration such as 500ms, 5s, 10m, 2h, 1d, or a number of milliseconds.");
  return durationMs;
}

/** @returns epoch ms of an RFC 3339 time, a day (its start in UTC), or a duration before now. */
export function pastFlag(text: string): number {
  return instant(text, -1);
}

/** {@link pastFlag} with durations after now. */
export function futureFlag(text: string): number {
  return instant(text, 1);
}

function instant(text: string, direction: 1 | -1): number {
  const at = parseRfc3339(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (at !== undefined) return at;
  // A bare number could be a time or a duration, so it is refused.
  const durationMs = /[a-z]$/.test(text.trim()) ? parseDuration(text) : undefined;
  if (durationMs === undefined) {
    const relative = direction === 1 ? "from now (30d)" : "before now (24h)";
    throw new InvalidArgumentError(
      `Use a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or a duration ${relative}.`,
    );
  }
  return Date.now() + direction * durationMs;
}

/** The time of such a flag, as the API takes it. */
export function timeOf(at: unknown): string | undefined {
  return at === undefined ? undefined : toRfc3339(Number(at));
}

/** @returns a parser of whole numbers in a range. */
export function integerFlag(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,16}$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`Use a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** @returns a parser of comma separated names from a fixed list. */
export function listFlag<const T extends string>(known: readonly T[]): (text: string) => readonly T[] {
  return (text) => {
    const names = text
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "");
    if (names.length === 0) throw new InvalidArgumentError(`Use one or more of ${known.join(", ")}.`);
    return [...new Set(names)].map((name) => {
      const found = known.find((each) => each === name);
      if (found !== undefined) return found;
      const nearest = nearestName(name, known);
      throw new InvalidArgumentError(
        nearest ? `${name} is none of them; did you mean ${nearest}?` : `Use one or more of ${known.join(", ")}.`,
      );
    });
  };
}

/** @returns a number per time: `20/60000`, `20/1m`. */
export function rateFlag(text: string): { readonly count: number; readonly windowMs: number } {
  const [count = "", window = "", ...more] = text.split("/");
  const windowMs = parseDuration(window);
  if (!/^[1-9]\d{0,6}$/.test(count) || windowMs === undefined || more.length > 0)
    throw new InvalidArgumentError("Use a number and a time such as 20/60000 or 20/1m.");
  return { count: Number(count), windowMs };
}

/** For flags that can be repeated. */
export function collectFlag(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/** `prism help key rotate`: the help of a nested command, which Commander's own does not reach. */
export function addHelp(program: Command): void {
  program
    .command("help")
    .description("show what a command does and its options")
    .argument("[command...]", "command to show (default: the list of commands)")
    .addHelpText("after", "\nExamples:\n  $ prism help\n  $ prism help key rotate")
    .action((names: readonly string[]) => find(program, names).outputHelp());
}

/**
 * Of an unknown command in a group Commander would print the group's help, or run the group's default
 * command with it. @throws CommandError 2
 */
export function refuseUnknown(program: Command, argv: readonly string[]): void {
  const words = argv.slice(2).values();
  let command = program;
  for (const word of words) {
    if (word === "--" || command.commands.length === 0) return;
    if (word.startsWith("-")) {
      const [flag] = word.split("=");
      const option = [...program.options, ...command.options].find(
        ({ long, short }) => flag === long || flag === short,
      );
      if (option?.required && flag === word) words.next();
      continue;
    }
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    // It has arguments, of which this is one.
    if (!next && command.registeredArguments.length > 0) return;
    command = next ?? find(command, [word]);
  }
}

/** @throws CommandError 2 with the nearest name */
function find(program: Command, names: readonly string[]): Command {
  let command = program;
  for (const name of names) {
    const next = command.commands.find((each) => each.name() === name);
    if (!next) {
      const nearest = nearestName(
        name,
        command.commands.map((each) => each.name()),
      );
      throw new CommandError(EXIT.usage, `unknown command '${name}'${nearest ? `\n(Did you mean ${nearest}?)` : ""}`);
    }
    command = next;
  }
  return command;
}
