import type { ErrorDetail } from "../../../core/errors.ts";
import type { CommandContext } from "../../context.ts";
import { readFileOrStdin } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import type { Verb } from "../../resource.ts";
import { withServer } from "../../with-server.ts";

const PATH = "/api/v1/operator";
const ROUTES: Readonly<Record<string, string>> = {
  ntfyToken: `${PATH}/ntfy/tokens`,
  gotifyApplication: `${PATH}/gotify/applications`,
  gotifyClient: `${PATH}/gotify/clients`,
  pingKey: `${PATH}/heartbeats/keys`,
};
/** Rows of one request, which stores all or none. */
const PART = 500;

interface Filed {
  readonly line: number;
  readonly row: Readonly<Record<string, unknown>>;
}

interface Stored {
  readonly created: number;
  readonly unchanged: number;
}

/** `prism import tokens`. */
export const IMPORT_TOKENS: Verb = {
  text: "import tokens of ntfy and Gotify and ping keys of Healthchecks, so that senders and apps go on",
  about: `One JSON object per line: {kind: "ntfyToken", user, token, label, expiresAt}, {kind: "gotifyApplication", user, token, name,
description, defaultPriority}, {kind: "gotifyClient", user, token, name, expiresAfterInactivitySeconds} or {kind: "pingKey",
project, token}. Accounts and projects exist before. A row that is stored already is left alone, so that a file can be
imported again. Only the server's operator may do it: a token that others know acts as its account.`,
  examples: ["tokens.ndjson"],
  changes: true,
  args: { file: ["<file>", "one JSON object per line; - for stdin"] },
  act: async (context, { file }) => run(context, filedIn(await readFileOrStdin(String(file), "<file>"))),
};

async function run(context: CommandContext, filed: ReadonlyMap<string, readonly Filed[]>): Promise<void> {
  const stored = await withServer(
    context,
    async (server) => {
      const done: Record<string, Stored> = {};
      for (const [kind, rows] of filed)
        for (let at = 0; at < rows.length; at += PART) {
          const part = rows.slice(at, at + PART);
          const answer = (await server
            .post(ROUTES[kind] ?? "", { rows: part.map(({ row }) => row) })
            .catch((error: unknown) => {
              throw refusalOf(error, part);
            })) as Stored;
          const { created = 0, unchanged = 0 } = done[kind] ?? {};
          done[kind] = { created: created + answer.created, unchanged: unchanged + answer.unchanged };
        }
      return done;
    },
    { localOnly: "import tokens" },
  );
  context.out.result(stored, () =>
    table(
      ["KIND", "CREATED", "UNCHANGED"],
      Object.entries(stored).map(([kind, { created, unchanged }]) => [kind, String(created), String(unchanged)]),
    ),
  );
}

/** Rows by kind. @throws CommandError 7: no message has a token */
function filedIn(text: string): ReadonlyMap<string, readonly Filed[]> {
  const filed = new Map<string, Filed[]>();
  for (const [at, content] of text.replace("\ufeff", "").split("\n").entries()) {
    if (content.trim() === "") continue;
    const { kind, ...row } = objectIn(content, at + 1);
    if (typeof kind !== "string" || !Object.hasOwn(ROUTES, kind))
      throw unreadable(at + 1, `kind must be one of ${Object.keys(ROUTES).join(", ")}`);
    const rows = filed.get(kind) ?? [];
    rows.push({ line: at + 1, row });
    filed.set(kind, rows);
  }
  if (filed.size === 0) throw new CommandError(EXIT.conflict, "there are no tokens in it");
  return filed;
}

function objectIn(content: string, line: number): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // The reason would quote the line, which has a token.
  }
  throw unreadable(line, "is not a JSON object");
}

function unreadable(line: number, message: string): CommandError {
  return new CommandError(EXIT.conflict, `line ${line}: ${message}`);
}

/** The refusal with the lines of the file in place of positions in the request. */
function refusalOf(error: unknown, part: readonly Filed[]): unknown {
  const details = error instanceof Error && "details" in error ? (error.details as readonly ErrorDetail[]) : undefined;
  const lines = (details ?? []).flatMap(({ path = "", message }) => {
    const [, at, member] = /^rows\.(\d+)(?:\.(\w+))?/.exec(path) ?? [];
    const found = part[Number(at)];
    return found ? [`  line ${found.line}: ${member === undefined ? "" : `${member}: `}${printable(message)}`] : [];
  });
  if (lines.length === 0) return error;
  return new CommandError(EXIT.conflict, ["these rows are not stored:", ...lines].join("\n"), { cause: error });
}
