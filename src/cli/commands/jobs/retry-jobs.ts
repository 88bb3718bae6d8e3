import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { SLICED_LIMIT_MS, serverOf } from "../../server-client.ts";
import { type JobDetail, jobLine, jobPath } from "./job-lines.ts";
import { queuePath } from "./queue-status.ts";

interface Flags {
  readonly id?: string;
  readonly queue?: string;
}

export function addRetryJobs(queue: Command): void {
  queue
    .command("retry")
    .description("try a dead or cancelled job anew, or all dead jobs of a queue")
    .option("--id <job>", "the job")
    .option("--queue <name>", "all dead jobs of this queue")
    .addHelpText(
      "after",
      `
Examples:
  $ prism queue retry --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
  $ prism queue retry --queue messages-dead-letter`,
    )
    .action(async ({ id, queue: name }: Flags, command: Command) => {
      const context = contextOf(command);
      const server = await serverOf(context);
      if (id !== undefined && name === undefined) {
        const job = await server.post<JobDetail>(jobPath(id, "/retry"), {});
        context.out.result(job, () => jobLine(job));
      } else if (id === undefined && name !== undefined) {
        const path = queuePath(name, "/requeue-dead");
        const reply = await server.post<{ requeued: number }>(path, {}, SLICED_LIMIT_MS);
        context.out.result(reply, () => `${reply.requeued} requeued`);
      } else throw new CommandError(EXIT.usage, "give --id or --queue, one of them");
    });
}
