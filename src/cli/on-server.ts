import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { nearestName } from "../config/nearest.ts";
import { isUuid } from "../core/ids.ts";
import type { ServerClient } from "../remote/server-client.ts";
import { type CommandContext, contextOf } from "./context.ts";
import { CommandError, EXIT, ServerRefused } from "./output/exit-codes.ts";
import { type Output, printable } from "./output/output.ts";
import { type ServerUse, withServer } from "./with-server.ts";

/** Runs the work of a command on its server ({@link withServer}), with the command's context. */
export function online<T>(
  command: Command,
  work: (server: ServerClient, context: CommandContext) => Promise<T>,
  use?: ServerUse,
): Promise<T> {
  const context = contextOf(command);
  return withServer(context, (server) => work(server, context), use);
}

/** Undefined if the caller may not read it, or it does not exist. @throws other errors of the request */
export async function unlessHidden<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ServerRefused && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}

/** How things of a kind are named on the command line. */
interface Kind<T> {
  /** Singular, such as `rule`. */
  readonly one: string;
  /** The names that people use for it. */
  namesOf(thing: T): readonly (string | null)[];
  /** One line that distinguishes it from others of the same name. */
  lineOf(thing: T): string;
  /** Where else it may be, if there is none. */
  readonly elsewhere?: string | undefined;
}

const SHOWN_CANDIDATES = 10;

/**
 * The thing that a reference means: an id, a name, or a prefix of one, in this order.
 * @throws CommandError 6 where there is none, 7 with the candidates where there are several
 */
export function pick<T extends { readonly id: string }>(
  things: readonly T[],
  ref: string,
  { one, namesOf, lineOf, elsewhere }: Kind<T>,
): T {
  const named = (matches: (name: string) => boolean) => (thing: T) =>
    namesOf(thing).some((name) => name !== null && matches(name));
  const tests = [
    ({ id }: T) => id === ref,
    named((name) => name === ref),
    (thing: T) => thing.id.startsWith(ref) || named((name) => name.startsWith(ref))(thing),
  ];
  for (const test of ref === "" ? [] : tests) {
    const found = things.filter(test);
    const [first] = found;
    if (first && found.length === 1) return first;
    if (first) throw ambiguous(ref, one, found.map(lineOf));
  }
  const names = isUuid(ref) ? [] : things.flatMap((thing) => namesOf(thing).filter((name) => name !== null));
  const nearest = nearestName(ref, names);
  const hint = nearest === undefined ? "" : `; did you mean ${printable(nearest)}?`;
  const more = elsewhere === undefined ? "" : `; ${elsewhere}`;
  throw new CommandError(EXIT.notFound, `there is no ${one} ${printable(ref)}${hint}${more}`);
}

function ambiguous(ref: string, one: string, lines: readonly string[]): CommandError {
  const shown = lines.slice(0, SHOWN_CANDIDATES).map((line) => `  ${printable(line)}`);
  const more = lines.length > shown.length ? [`  and ${lines.length - shown.length} more`] : [];
  const head = `${printable(ref)} matches ${lines.length} ${one}s; give the id of one:`;
  return new CommandError(EXIT.conflict, [head, ...shown, ...more].join("\n"));
}

const EVERY_MS = 1000;

/** A view, for --json and for people. */
export interface Look {
  readonly value: unknown;
  readonly human: () => readonly string[];
}

/**
 * Prints a view once, or with `isWatched` every second until the command is interrupted: redrawn on
 * a terminal, one line each with --json. Waits for a server that disconnects.
 * @throws errors of the first view
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
