import { type Command, InvalidArgumentError, Option } from "commander";
import type { EventFilter } from "../../../client/wire.ts";
import { LEVELS } from "../../../core/text/vocabulary.ts";
import type { Entry, StreamStart } from "../../../remote/follow-stream.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { integerFlag, listFlag } from "../../output/flag-values.ts";
import { type Output, printable } from "../../output/output.ts";
import { single } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { slugsOf } from "../access/projects.ts";

interface Flags {
  readonly project: string;
  readonly all?: boolean;
  readonly type?: string;
  readonly level?: NonNullable<EventFilter["level"]>;
  readonly from?: StreamStart;
  readonly notifications?: boolean;
  readonly stream?: string;
  readonly limit?: number;
}

export function addTail(program: Command): void {
  const levels = `only events of these levels, comma separated: ${LEVELS.join(", ")}`;
  single(program, "tail", {
    text: "follow events or your notifications live; resumes after a restart of the server",
    about:
      "Each line has the id that prism explain takes. --json prints one object per line: the event or notification with its offset.",
    examples: [
      "",
      "--project shop --type 'order.*' --level error,fatal",
      "--all --level fatal",
      "--from earliest --limit 100 --json | jq -r .type",
      '--notifications --token "$(prism token create --user ann)"',
    ],
    flags: {
      project: ["--project <project>", "id or slug of the project", "default"],
      all: new Option("--all", "all projects that exist now and that the token may view").conflicts([
        ...["project", "notifications", "stream"],
      ]),
      type: ["--type <type>", "only events of this type, or with this prefix: order.*"],
      level: ["--level <levels>", levels, listFlag(LEVELS)],
      from: ["--from <offset>", "start after this offset, or at earliest (default: new entries only)", startFlag],
      notifications: new Option("--notifications", "your own notifications and their changes").conflicts([
        ...["type", "level"],
      ]),
      stream: new Option("--stream <name>", "a stream by name: user:me, project:<id>").conflicts([
        ...["project", "notifications"],
      ]),
      limit: ["--limit <n>", "exit after this many entries", integerFlag(1, Number.MAX_SAFE_INTEGER)],
    },
    act: (context, flags) => tail(context, flags as unknown as Flags),
  });
}

async function tail(context: CommandContext, flags: Flags): Promise<void> {
  const { out } = context;
  const { followStream } = await import("../../../remote/follow-stream.ts");
  let shown = 0;
  await withServer(
    context,
    async (server) => {
      const slugs = flags.all ? await slugsOf(server) : undefined;
      const streams = slugs ? [...slugs.keys()].map((id) => `project:${id}`) : [await streamOf(server, flags)];
      if (streams.length === 0) throw new CommandError(EXIT.notFound, "there is no project that you may view");
      const isOwn = streams[0]?.startsWith("user:") === true;
      const eventLine = eventLines(out, slugs);
      await followStream({
        server,
        streams,
        from: flags.from ?? "latest",
        filter: filterOf(flags),
        onNote: (text) => out.note(text),
        onEntry(entry) {
          const human = isOwn ? notificationLine : eventLine;
          out.line(out.json ? JSON.stringify(lineOf(entry)) : human(entry, out));
          return ++shown !== flags.limit;
        },
      });
    },
    { mustRun: true },
  );
}

async function streamOf(server: ServerClient, { stream, notifications, project }: Flags): Promise<string> {
  return stream ?? (notifications ? "user:me" : `project:${await projectIdOf(server, project)}`);
}

/** The event or notification in the format of exports; `type` and `offset` are the entry's. */
function lineOf({ offset, type, ts, data }: Entry): Record<string, unknown> {
  return { offset, type, ts, ...(data as object) };
}

function notificationLine({ offset, type, ts, data }: Entry, out: Output): string {
  const { title, message, ...rest } = data as Partial<Record<string, unknown>>;
  const head = [out.dim(ts), `#${offset}`, type];
  if (typeof title !== "string") return [...head, printable(JSON.stringify(rest))].join("  ");
  const more = message === undefined || message === title ? [] : [printable(String(message))];
  if (typeof rest["id"] === "string") head.splice(2, 0, printable(rest["id"]));
  return [...head, out.bold(printable(title)), ...more].join("  ");
}

/** Longer cells shift only their own line. */
const MAX_COLUMN = 32;

/**
 * @param slugs of projects, if the project is a column. @returns one line per event; a column is as
 * wide as its widest cell so far, and a missing source is a dash.
 */
function eventLines(out: Output, slugs: ReadonlyMap<string, string> | undefined): (entry: Entry) => string {
  const widths: number[] = [];
  const padded = (cell: string, column: number): string => {
    widths[column] = Math.max(widths[column] ?? 0, Math.min(cell.length, MAX_COLUMN));
    return cell.padEnd(widths[column] ?? 0);
  };
  return ({ offset, type, ts, data }) => {
    const { id, level, source, payload, projectId } = data as Partial<Record<string, unknown>>;
    const project = slugs ? [padded(slugs.get(String(projectId)) ?? String(projectId), 0)] : [];
    return [
      out.dim(ts),
      padded(`#${offset}`, 1),
      typeof id === "string" ? printable(id) : "-",
      ...project,
      paintLevel(out, String(level)),
      out.bold(padded(type, 2)),
      padded(typeof source === "string" && source !== "" ? printable(source) : "-", 3),
      printable(JSON.stringify(payload ?? {})),
    ].join("  ");
  };
}

function paintLevel(out: Output, level: string): string {
  const text = level.padEnd(5);
  if (level === "error" || level === "fatal") return out.red(text);
  return level === "warn" ? out.yellow(text) : out.dim(text);
}

function filterOf({ type, level }: Flags): EventFilter | undefined {
  if (type === undefined && level === undefined) return undefined;
  return { ...(type === undefined ? {} : { type }), ...(level === undefined ? {} : { level }) };
}

/** @throws ServerRefused, with a hint when an API key asks for a project other than its own */
async function projectIdOf(server: ServerClient, ref: string): Promise<string> {
  try {
    return (await server.get<{ id: string }>(`/api/v1/projects/${encodeURIComponent(ref)}`)).id;
  } catch (error) {
    const isKey = server.token?.startsWith("prk_") === true;
    if (!isKey || !(error instanceof ServerRefused) || error.code !== "PROJECT_NOT_FOUND") throw error;
    throw new CommandError(
      EXIT.notFound,
      `the API key does not belong to project ${ref}; name its project with --project`,
    );
  }
}

function startFlag(text: string): StreamStart {
  if (text === "earliest" || text === "latest") return text;
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Use an offset, earliest or latest.");
  return Number(text);
}
