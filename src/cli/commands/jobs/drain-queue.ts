import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { SLICED_LIMIT_MS, serverOf } from "../../server-client.ts";
import { confirm } from "../access/confirm.ts";
import { queuePath } from "./queue-status.ts";

interface Flags {
  readonly queue: string;
  readonly yes?: boolean;
}

export function addDrainQueue(queue: Command): void {
  queue
    .command("drain")
    .description("cancel all jobs that wait in a queue; what runs goes on")
    .requiredOption("--queue <name>", "the queue")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism queue drain --queue digest --yes")
    .action(async ({ queue: name, yes }: Flags, command: Command) => {
      const context = contextOf(command);
      const server = await serverOf(context);
      if (yes !== true && !(await confirm(`Cancel all jobs that wait in ${printable(name)}?`)))
        throw new CommandError(EXIT.usage, "nothing was cancelled; --yes cancels without asking");
      const reply = await server.post<{ cancelled: number }>(queuePath(name, "/drain"), {}, SLICED_LIMIT_MS);
      context.out.result(reply, () => `${reply.cancelled} cancelled`);
    });
}
