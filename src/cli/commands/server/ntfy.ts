import type { Command } from "commander";
import type { NtfyAccess } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { callOf, listOf, resource, tableOf, type Values } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { slugsOf } from "../access/projects.ts";
import { confirm } from "../access/prompt.ts";
import { projectCell } from "./webhooks.ts";

/** ntfy's words for a permission, as its own command has them. */
const PERMISSIONS: Readonly<Record<string, string>> = {
  ...{ "read-write": "read-write", rw: "read-write", "read-only": "read", read: "read", ro: "read" },
  ...{ "write-only": "write", write: "write", wo: "write", deny: "none", none: "none" },
};

/** @throws CommandError 2 */
function checkAccess({ topic, word, reset }: Values): Values {
  if (reset === true ? word !== undefined : topic !== undefined && word === undefined)
    throw new CommandError(EXIT.usage, "give a user, a topic and a permission; or --reset without a permission");
  if (word === undefined) return {};
  const permission = Object.hasOwn(PERMISSIONS, String(word)) ? PERMISSIONS[String(word)] : undefined;
  if (permission !== undefined) return { permission };
  throw new CommandError(
    EXIT.usage,
    `${printable(String(word))} is no permission; use read-write, read, write or none`,
  );
}

function listed(server: ServerClient, { user, projectId }: Values): Promise<NtfyAccess[]> {
  return listOf(server, "listNtfyAccess", { user, projectId });
}

function accessTable(access: readonly NtfyAccess[], slugs: ReadonlyMap<string, string>): string[] {
  if (access.length === 0) return ["no rights on topics: those in the project decide"];
  const columns = {
    PROJECT: ({ projectId }: NtfyAccess) => projectCell(projectId, slugs),
    USER: ({ userId, username }: NtfyAccess) => (userId === null ? "everyone" : (username ?? userId)),
    ...{ TOPIC: "topic", PERMISSION: "permission" },
  };
  return tableOf(columns, access);
}

/** Several rights are removed after a question; a single one, which is named, without. @returns false to go on */
async function askToReset(context: CommandContext, { reset, user, topic, projectId = "default", yes }: Values) {
  if (reset !== true || topic !== undefined || yes === true) return false;
  const { length } = await withServer(context, (server) => listed(server, { user, projectId }));
  const question = `Remove ${countText(length, "right")} on topics of the project ${printable(String(projectId))}?`;
  if (!(await confirm(question)))
    throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
  return false;
}

/** `prism ntfy access`, as `ntfy access`. */
export function addNtfy(program: Command): void {
  resource(program, "ntfy", "topic", {
    text: "rights on topics of ntfy",
    examples: ["ntfy access", "ntfy access ann 'backup-*' read"],
    verbs: {
      access: {
        text: "list, set and remove what a user, or everyone, may do with topics",
        examples: ["everyone 'news-*' read", "--reset ann 'backup-*'"],
        args: {
          user: ["[user]", "id, external id, username or mail address; everyone or * for all"],
          topic: ["[topic]", "name of a topic, or a pattern such as backup-*"],
          word: ["[permission]", "read-write (rw), read (ro), write (wo) or none (deny)"],
        },
        flags: {
          reset: ["--reset", "remove the rights: of the user and topic, of the user, or all of the project"],
          yes: ["--yes", "with --reset: do not ask before several rights are removed"],
          projectId: [
            "--project <project>",
            "id or slug; by default the project default, and for the list all that you manage",
          ],
        },
        check: checkAccess,
        act: askToReset,
        async run({ server, out, given }) {
          const { user, topic, projectId, permission, reset } = given;
          if (reset === true) {
            // Refuses an unknown user, also where there is nothing to remove.
            await listed(server, { user, projectId: projectId ?? "default" });
            await callOf(server, "resetNtfyAccess", { user, topic, projectId });
          }
          if (permission !== undefined) await callOf(server, "setNtfyAccess", { user, topic, projectId, permission });
          const access = await listed(server, given);
          const slugs = access.length === 0 ? new Map<string, string>() : await slugsOf(server);
          out.result({ access }, () => accessTable(access, slugs));
        },
      },
    },
  });
}
