import type { Command } from "commander";
import { nearestName } from "../config/nearest.ts";
import { isUuid } from "../core/ids.ts";
import { confirm } from "./commands/access/prompt.ts";
import { type Context, contextOf } from "./context.ts";
import { CommandError, EXIT } from "./output/exit-codes.ts";
import { printable } from "./output/output.ts";
import { type ServerClient, serverOf } from "./server-client.ts";

/** Runs the work of a command on a server, with the command's context. */
export async function online(
  command: Command,
  work: (server: ServerClient, context: Context) => Promise<void>,
): Promise<void> {
  const context = contextOf(command);
  await work(await serverOf(context), context);
}

/** Every item of a list of the API. */
export async function everyItem<T>(server: ServerClient, path: string, query = {}): Promise<T[]> {
  const items: T[] = [];
  for await (const item of server.list<T>(path, query)) items.push(item);
  return items;
}

/** How things of a kind are named on the command line. */
interface Kind<T> {
  /** Singular, such as `rule`. */
  readonly one: string;
  /** The names that people use for it. */
  namesOf(thing: T): readonly (string | null)[];
  /** One line that tells it from others of the same name. */
  lineOf(thing: T): string;
}

const SHOWN_CANDIDATES = 10;

/**
 * The thing that a reference means: an id, a name, or the beginning of one, in this order.
 * @throws CommandError 6 where there is none, 7 with the candidates where there are several
 */
export function pick<T extends { readonly id: string }>(
  things: readonly T[],
  ref: string,
  { one, namesOf, lineOf }: Kind<T>,
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
  throw new CommandError(EXIT.notFound, `there is no ${one} ${printable(ref)}${hint}`);
}

function ambiguous(ref: string, one: string, lines: readonly string[]): CommandError {
  const shown = lines.slice(0, SHOWN_CANDIDATES).map((line) => `  ${printable(line)}`);
  const more = lines.length > shown.length ? [`  and ${lines.length - shown.length} more`] : [];
  const head = `${printable(ref)} means ${lines.length} ${one}s; give the id of one:`;
  return new CommandError(EXIT.conflict, [head, ...shown, ...more].join("\n"));
}

/** Asks before something is lost, unless --yes was given. @throws CommandError 2 for any other answer */
export async function requireYes(isYes: boolean | undefined, question: string, unchanged: string): Promise<void> {
  if (isYes === true || (await confirm(question))) return;
  throw new CommandError(EXIT.usage, `${unchanged}; --yes answers the question`);
}
