import { type Command, Option } from "commander";
import { JOB_STATES } from "../../../store/schema.ts";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag, listFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import { type Query, type ServerClient, SLICED_LIMIT_MS, serverOf } from "../../server-client.ts";
import { show } from "../server/tail.ts";
import { type JobDetail, type JobLine, jobLine, jobLines, jobPath } from "./job-lines.ts";
import { queuePath } from "./queue.ts";

const MAX_PAGE = 1000;
const DEFAULT_LIMIT = 20;

interface ListJobsFlags {
  readonly queue?: string;
  readonly state?: readonly string[];
  readonly id?: string;
  readonly limit: number;
  readonly watch?: boolean;
}

export function addListJobs(queue: Command): void {
  addFlags(queue.command("list"), "jobs, newest first; or one with all its attempts")
    .option("--state <states>", `only these, comma separated: ${JOB_STATES.join(", ")}`, listFlag(JOB_STATES))
    .addOption(new Option("--id <job>", "this job, with its attempts").conflicts(["queue", "state"]))
    .addHelpText(
      "after",
      `
Examples:
  $ prism queue list --queue timers --state scheduled,retrying
  $ prism queue list --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60`,
    )
    .action(async (flags: ListJobsFlags, command: Command) => {
      const context = contextOf(command);
      const server = await serverOf(context);
      await show(context.out, flags.watch === true, async () => {
        if (flags.id !== undefined) {
          const job = await server.get<JobDetail>(jobPath(flags.id));
          return { value: job, human: () => jobLines(job) };
        }
        const jobs = await jobsOf(server, flags.limit, { queue: flags.queue, state: flags.state?.join() });
        return { value: { jobs }, human: () => jobsTable(jobs) };
      });
    });
  addFlags(queue.command("dead"), "jobs that failed for good, newest first, with their last error")
    .addHelpText("after", "\nExamples:\n  $ prism queue dead\n  $ prism queue dead --queue messages-dead-letter --json")
    .action(async ({ limit, ...flags }: ListJobsFlags, command: Command) => {
      const context = contextOf(command);
      const server = await serverOf(context);
      await show(context.out, flags.watch === true, async () => {
        const jobs = await jobsOf(server, limit, { queue: flags.queue, state: "dead" });
        return { value: { jobs }, human: () => deadTable(jobs) };
      });
    });
}

function addFlags(command: Command, description: string): Command {
  return command
    .description(description)
    .option("--queue <name>", "only those of one queue")
    .option("--limit <n>", "at most so many", integerFlag(1, 100_000), DEFAULT_LIMIT)
    .option("--watch", "every second, until interrupted; with --json one line each");
}

async function jobsOf(server: ServerClient, limit: number, query: Query): Promise<JobLine[]> {
  const jobs: JobLine[] = [];
  for await (const job of server.list<JobLine>("/api/v1/jobs", { ...query, limit: Math.min(limit, MAX_PAGE) })) {
    jobs.push(job);
    if (jobs.length === limit) break;
  }
  return jobs;
}

function jobsTable(jobs: readonly JobLine[]): string[] {
  if (jobs.length === 0) return ["no jobs"];
  return table(
    ["ID", "QUEUE", "KIND", "STATE", "ATTEMPTS", "RUNS AT", "LABEL"],
    jobs.map((job) => [job.id, job.queue, job.kind, job.state, attemptsText(job), job.runAt, job.label]),
  );
}

function deadTable(jobs: readonly JobLine[]): string[] {
  if (jobs.length === 0) return ["no dead jobs"];
  return table(
    ["ID", "QUEUE", "KIND", "ATTEMPTS", "DIED AT", "LABEL", "ERROR"],
    jobs.map((job) => [
      job.id,
      job.queue,
      job.kind,
      attemptsText(job),
      job.finishedAt,
      job.label,
      printable(job.lastError ?? ""),
    ]),
  );
}

function attemptsText({ attempts, maxAttempts }: JobLine): string {
  return `${attempts}/${maxAttempts}`;
}

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

interface RetryJobsFlags {
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
    .action(async ({ id, queue: name }: RetryJobsFlags, command: Command) => {
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
