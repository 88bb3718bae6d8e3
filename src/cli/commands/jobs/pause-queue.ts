import type { Command } from "commander";
import type { QueueView } from "../../../features/jobs/queue-views.ts";
import { contextOf } from "../../context.ts";
import { serverOf } from "../../server-client.ts";
import { queuePath, queuesTable } from "./queue-status.ts";

export function addPauseQueue(queue: Command): void {
  for (const [action, description] of [
    ["pause", "begin none of a queue's jobs until it is resumed, also after a restart; what runs goes on"],
    ["resume", "run the jobs of a paused queue"],
  ] as const)
    queue
      .command(action)
      .description(description)
      .requiredOption("--queue <name>", "the queue")
      .addHelpText("after", `\nExample:\n  $ prism queue ${action} --queue notification-delivery`)
      .action(async (flags: { readonly queue: string }, command: Command) => {
        const context = contextOf(command);
        const changed = await (await serverOf(context)).post<QueueView>(queuePath(flags.queue, `/${action}`), {});
        context.out.result(changed, () => queuesTable([changed]));
      });
}
