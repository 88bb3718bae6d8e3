import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { serverOf } from "../../server-client.ts";
import { type JobDetail, jobLine, jobPath } from "./job-lines.ts";

export function addCancelJob(queue: Command): void {
  queue
    .command("cancel")
    .description("cancel a job that waits; one that runs goes on")
    .requiredOption("--id <job>", "the job")
    .addHelpText("after", "\nExample:\n  $ prism queue cancel --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60")
    .action(async (flags: { readonly id: string }, command: Command) => {
      const context = contextOf(command);
      const job = await (await serverOf(context)).post<JobDetail>(jobPath(flags.id, "/cancel"), {});
      context.out.result(job, () => jobLine(job));
    });
}
