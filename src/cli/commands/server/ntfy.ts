import type { Command } from "commander";
import { countText } from "../../../core/clean-text.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { contextOf } from "../../context.ts";
import { deleteAfterQuestion, online } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";

const PATH = "/api/v1/ntfy/access";

interface Access {
  readonly projectId: string;
  readonly userId: string | null;
  readonly username: string | null;
  readonly topic: string;
  readonly permission: string;
}

interface Flags {
  readonly reset?: boolean;
  readonly yes?: boolean;
  readonly project?: string;
}

/** ntfy's words for a permission, as its own command has them. */
const PERMISSIONS: Readonly<Record<string, string>> = {
  "read-write": "read-write",
  rw: "read-write",
  "read-only": "read",
  read: "read",
  ro: "read",
  "write-only": "write",
  write: "write",
  wo: "write",
  deny: "none",
  none: "none",
};

function accessTable(rows: readonly Access[]): string[] {
  if (rows.length === 0) return ["no rights on topics: those in the project decide"];
  return table(
    ["PROJECT", "USER", "TOPIC", "PERMISSION"],
    rows.map(({ projectId, userId, username, topic, permission }) => [
      projectId,
      userId === null ? "everyone" : (username ?? userId),
      topic,
      permission,
    ]),
  );
}

function permissionOf(word: string): string {
  const permission = Object.hasOwn(PERMISSIONS, word) ? PERMISSIONS[word] : undefined;
  if (permission !== undefined) return permission;
  throw new CommandError(EXIT.usage, `${printable(word)} is no permission; use read-write, read, write or none`);
}

async function listed(server: ServerClient, user: string | undefined, { project }: Flags): Promise<readonly Access[]> {
  const query = { ...(project !== undefined && { projectId: project }), ...(user !== undefined && { user }) };
  return (await server.get<{ readonly data: readonly Access[] }>(PATH, query)).data;
}

async function reset(server: ServerClient, user: string | undefined, topic: string | undefined, { project }: Flags) {
  const query = new URLSearchParams({
    ...(project !== undefined && { projectId: project }),
    ...(user !== undefined && { user }),
    ...(topic !== undefined && { topic }),
  });
  await server.delete(`${PATH}?${query}`);
}

/** `prism ntfy access`, as `ntfy access`. */
export function addNtfy(program: Command): void {
  program
    .command("ntfy")
    .description("rights on topics of ntfy")
    .addHelpText("after", "\nExamples:\n  $ prism ntfy access\n  $ prism ntfy access ann 'backup-*' read")
    .command("access")
    .description("list, set and remove what a user, or everyone, may do with topics")
    .argument("[user]", "id, external id, username or mail address; everyone or * for all")
    .argument("[topic]", "name of a topic, or a pattern such as backup-*")
    .argument("[permission]", "read-write (rw), read (ro), write (wo) or none (deny)")
    .option("--reset", "remove the rights: of the user and topic, of the user, or all of the project")
    .option("--yes", "with --reset: do not ask before several rights are removed")
    .option("--project <project>", "id or slug; by default the project default, and for the list all that you manage")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism ntfy access everyone 'news-*' read\n  $ prism ntfy access --reset ann 'backup-*'",
    )
    .action((...given: unknown[]) => {
      const [user, topic, word] = given as (string | undefined)[];
      const [flags, command] = given.slice(-2) as [Flags, Command];
      return access(command, { user, topic, word }, flags);
    });
}

interface Words {
  readonly user: string | undefined;
  readonly topic: string | undefined;
  readonly word: string | undefined;
}

/** Those of a user or a project after a question; a single one, which is named, without. */
async function removed(command: Command, { user, topic }: Words, flags: Flags): Promise<void> {
  const { project = "default", yes } = flags;
  await deleteAfterQuestion(command, topic !== undefined || yes, {
    find: (server) => listed(server, user, { project }),
    question: ({ length }) => `Remove ${countText(length, "right")} on topics of the project ${printable(project)}?`,
    remove: (server) => reset(server, user, topic, flags),
  });
}

async function access(command: Command, words: Words, flags: Flags): Promise<void> {
  const { user, topic, word } = words;
  if (flags.reset === true ? word !== undefined : topic !== undefined && word === undefined)
    throw new CommandError(EXIT.usage, "give a user, a topic and a permission; or --reset without a permission");
  const permission = word === undefined ? undefined : permissionOf(word);
  if (flags.reset === true) await removed(command, words, flags);
  await online(command, async (server) => {
    const { out } = contextOf(command);
    if (permission !== undefined) {
      const { project } = flags;
      await server.change<Access>("PUT", PATH, { ...(project && { projectId: project }), user, topic, permission });
    }
    const rows = await listed(server, user, flags);
    out.result({ access: rows }, () => accessTable(rows));
  });
}
