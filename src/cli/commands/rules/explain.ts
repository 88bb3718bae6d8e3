import type { Command } from "commander";
import type { ExplainView } from "../../../features/explain/schema.ts";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { type ServerClient, serverOf } from "../../server-client.ts";
import { explainText } from "./explain-text.ts";

/** Why somebody was told, and why somebody was not. */
export function addExplain(program: Command): void {
  program
    .command("explain")
    .description("what became of an event or a notification, and why somebody was told or not")
    .argument("<id>", "id of an event or a notification")
    .option("--user <user>", "also why this user was told or was not: an id, a username, or me")
    .addHelpText(
      "after",
      `
Recipients see their own part; everything needs events:read and notifications:read_all.

Examples:
  $ prism explain 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
  $ prism explain 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --user anna`,
    )
    .action(async (id: string, { user }: { user?: string }, command: Command) => {
      const context = contextOf(command);
      const view = await explained(await serverOf(context), id, user);
      context.out.result(view, () => explainText(view, context.out));
    });
}

/** Ids do not say what they name: an event is asked for first. */
async function explained(server: ServerClient, id: string, userId: string | undefined): Promise<ExplainView> {
  const path = (kind: string) => `/api/v1/explain/${kind}/${encodeURIComponent(id)}`;
  try {
    return await server.get<ExplainView>(path("event"), { userId });
  } catch (error) {
    if (!isRefusal(error, "EVENT_NOT_FOUND")) throw error;
    return server.get<ExplainView>(path("notification"), { userId }).catch((second: unknown) => {
      if (!isRefusal(second, "NOTIFICATION_NOT_FOUND")) throw second;
      throw new CommandError(EXIT.notFound, `there is no event and no notification ${id}, or none that you may see`);
    });
  }
}

function isRefusal(error: unknown, code: string): boolean {
  return error instanceof ServerRefused && error.code === code;
}
