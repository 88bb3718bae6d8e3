import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { EventFilter } from "../../../client/wire.ts";
import { LEVELS } from "../../../core/vocabulary.ts";
import { type Context, contextOf } from "../../context.ts";
import type { Entry, StreamStart } from "../../follow-stream.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { integerFlag, listFlag } from "../../output/flag-values.ts";
import { type Output, printable } from "../../output/output.ts";
import type { ServerClient } from "../../server-client.ts";
import { withServer } from "../../with-server.ts";

const EVERY_MS = 1000;

/** A look at something, as --json and as people see it. */
interface Look {
  readonly value: unknown;
  readonly human: () => readonly string[];
}

/**
 * Shows a look once, or with `isWatched` one every second until the command is interrupted: on a
 * terminal drawn anew, with --json one line each. A server that goes away meanwhile is waited for.
 * @throws what the first look throws
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

interface Flags {
  readonly project: string;
  readonly type?: string;
  readonly level?: NonNullable<EventFilter["level"]>;
  readonly from?: StreamStart;
  readonly notifications?: boolean;
  readonly stream?: string;
  readonly limit?: number;
}

export function addTail(program: Command): void {
  program
    .command("tail")
    .description("follow events, or your notifications, as they come; goes on where it was when the server restarts")
    .option("--project <project>", "id or slug", "default")
    .option("--type <type>", "only this type, or those that begin so: order.*")
    .option("--level <levels>", `only these, comma separated: ${LEVELS.join(", ")}`, listFlag(LEVELS))
    .option("--from <offset>", "begin behind an offset, or with earliest (default: what comes from now on)", startFlag)
    .addOption(
      new Option("--notifications", "your own notifications, and what happens to them").conflicts(["type", "level"]),
    )
    .addOption(
      new Option("--stream <name>", "a stream by its name: user:me, project:<id>").conflicts([
        "project",
        "notifications",
      ]),
    )
    .option("--limit <n>", "end after this many", integerFlag(1, Number.MAX_SAFE_INTEGER))
    .addHelpText(
      "after",
      `
With --json one object a line: the event, or the notification, with its offset.

Examples:
  $ prism tail
  $ prism tail --project shop --type 'order.*' --level error,fatal
  $ prism tail --from earliest --limit 100 --json | jq -r .type
  $ prism tail --notifications`,
    )
    .action(async (flags: Flags, command: Command) => tail(contextOf(command), flags));
}

async function tail(context: Context, flags: Flags): Promise<void> {
  const { out } = context;
  const { followStream } = await import("../../follow-stream.ts");
  let shown = 0;
  await withServer(
    context,
    async (server) => {
      const stream = await streamOf(server, flags);
      await followStream({
        server,
        stream,
        from: flags.from ?? "latest",
        filter: filterOf(flags),
        onNote: (text) => out.note(text),
        onEntry(entry) {
          out.line(out.json ? JSON.stringify(lineOf(entry)) : humanLine(out, entry, stream.startsWith("user:")));
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

/**
 * The event or notification itself, so that what reads an export reads this too; `type` and
 * `offset` are the entry's.
 */
function lineOf({ offset, type, ts, data }: Entry): Record<string, unknown> {
  return { offset, type, ts, ...(data as object) };
}

function humanLine(out: Output, { offset, type, ts, data }: Entry, isOwn: boolean): string {
  const { level, source, payload, title, message, ...rest } = data as Partial<Record<string, unknown>>;
  const head = [out.dim(ts), `#${offset}`];
  if (isOwn && typeof title === "string") {
    return [...head, type, out.bold(printable(title)), printable(String(message ?? ""))].join("  ");
  }
  if (isOwn) return [...head, type, printable(JSON.stringify(rest))].join("  ");
  const parts = [
    ...head,
    paintLevel(out, String(level)),
    out.bold(type),
    typeof source === "string" ? printable(source) : "",
  ];
  return [...parts.filter((part) => part !== "").map(String), printable(JSON.stringify(payload ?? {}))].join("  ");
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

/** @throws ServerRefused, with a hint where an API key looks for a project that is not its own */
async function projectIdOf(server: ServerClient, ref: string): Promise<string> {
  try {
    return (await server.get<{ id: string }>(`/api/v1/projects/${encodeURIComponent(ref)}`)).id;
  } catch (error) {
    const isKey = server.token?.startsWith("prk_") === true;
    if (!isKey || !(error instanceof ServerRefused) || error.code !== "PROJECT_NOT_FOUND") throw error;
    throw new CommandError(EXIT.notFound, `the API key is not of project ${ref}; name its own with --project`);
  }
}

function startFlag(text: string): StreamStart {
  if (text === "earliest" || text === "latest") return text;
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Use an offset, earliest or latest.");
  return Number(text);
}
