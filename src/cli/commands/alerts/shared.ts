import type { Incident } from "../../../client/api-types.gen.ts";
import { isUuid } from "../../../core/ids.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { cut, type Output, printable } from "../../output/output.ts";
import { localTime, withLocalTimes } from "../../output/text.ts";
import { callOf, listOf, type Values } from "../../resource.ts";

/* Shared by the commands about alerts, incidents and on-call. */

export const OF_PROJECT = ["--project <project>", "project: id or slug"] as const;
const WIDTH = 80;
/** Number of things searched for a prefix or name. */
export const SEARCHED = 1000;

type GivenLabels = Readonly<Record<string, string>>;

interface TimelineLine {
  readonly at: string | null;
  readonly text: string;
}

/** Labels of arguments such as `team=db`. @throws CommandError 2 */
export function labelsOf(given: readonly string[]): GivenLabels {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new CommandError(EXIT.usage, `${text} is not a label such as team=db`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

export function labelText(labels: GivenLabels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

/** Text on lines of at most 80 characters; a longer word has a line of its own. */
export function wrapped(text: string, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of printable(withLocalTimes(text)).split(" ")) {
    const isFull = line !== "" && indent.length + line.length + 1 + word.length > WIDTH;
    if (isFull) lines.push(indent + line);
    line = line === "" || isFull ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, indent + line];
}

/** Sentences with their times. */
export function timelineText(lines: readonly TimelineLine[], out: Output): string[] {
  return lines.flatMap(({ at, text }) => [
    out.dim(at === null ? "  now" : `  ${localTime(at)}`),
    ...wrapped(text, "    "),
  ]);
}

/** The incident of a number, an id, or a number with `#`. @throws CommandError 2, 6, 7 */
export async function findIncident(server: ServerClient, ref: string, { projectId }: Values): Promise<Incident> {
  if (isUuid(ref)) return callOf(server, "getIncident", { id: ref });
  const number = /^#?([1-9]\d{0,14})$/.exec(ref)?.[1];
  if (number === undefined)
    throw new CommandError(EXIT.usage, `${printable(ref)} is not the number or id of an incident`);
  const query = { projectId, number: Number(number) };
  const found = await listOf(server, "listIncidents", query, 20);
  const [first] = found;
  if (first && found.length === 1) return first;
  if (!first) throw new CommandError(EXIT.notFound, `there is no incident ${number}`);
  const lines = found.map((each) => `  ${each.id}  ${cut(each.title)}  project ${each.projectId}`);
  throw new CommandError(
    EXIT.conflict,
    [`several projects have an incident ${number}; give --project:`, ...lines].join("\n"),
  );
}
