import { type Command, Option } from "commander";
import { ageText } from "../../../core/clean-text.ts";
import type { QueueView } from "../../../features/jobs/view.ts";
import { JOB_STATES, type JobState } from "../../../store/schema.ts";
import type { Context } from "../../context.ts";
import { everyItem, online } from "../../on-server.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { integerFlag, listFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import { type Query, type ServerClient, SLICED_LIMIT_MS } from "../../server-client.ts";
import { confirm } from "../access/prompt.ts";
import { type Look, show } from "../server/tail.ts";
import { timersOf } from "./timers.ts";

/** A job as the server lists it. */
interface JobLine {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: JobState;
  readonly label: string | null;
  readonly runAt: string;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly finishedAt: string | null;
}

interface JobDetail extends JobLine {
  readonly payload: unknown;
  readonly progress: unknown;
  readonly result: unknown;
  readonly history: readonly {
    readonly attempt: number;
    readonly startedAt: string;
    readonly endedAt: string | null;
    readonly outcome: string;
    readonly error: string | null;
  }[];
}

function jobPath(id: string, action = ""): string {
  return `/api/v1/jobs/${encodeURIComponent(id)}${action}`;
}

/** A job after a change, in one line. */
function jobLine({ id, queue, kind, state }: JobLine): string {
  return `${id}  ${queue}  ${printable(kind)}  ${state}`;
}

/** One job with its attempts, for people. */
function jobLines(job: JobDetail): string[] {
  const { id, queue, kind, state, label, runAt, attempts, maxAttempts, lastError, payload, progress, result } = job;
  const members = table(
    ["JOB", id],
    [
      ["queue", queue],
      ["kind", kind],
      ["state", state],
      ["label", label],
      ["runs at", runAt],
      ["attempts", `${attempts} of ${maxAttempts}`],
      ["payload", jsonText(payload)],
      ["progress", jsonText(progress)],
      ["result", jsonText(result)],
      ["last error", lastError],
    ],
  );
  if (job.history.length === 0) return members;
  const history = table(
    ["ATTEMPT", "STARTED", "ENDED", "OUTCOME", "ERROR"],
    job.history.map(({ attempt, startedAt, endedAt, outcome, error }) => [attempt, startedAt, endedAt, outcome, error]),
  );
  return [...members, "", ...history];
}

function jsonText(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

const MAX_PAGE = 1000;
const DEFAULT_LIMIT = 20;

interface ListJobsFlags {
  readonly queue?: string;
  readonly state?: readonly string[];
  readonly id?: string;
  readonly limit: number;
  readonly watch?: boolean;
}

function addListJobs(queue: Command): void {
  addFlags(queue.command("list"), "list jobs, newest first, or show one with its attempts")
    .option(
      "--state <states>",
      `only jobs in these states, comma separated: ${JOB_STATES.join(", ")}`,
      listFlag(JOB_STATES),
    )
    .addOption(new Option("--id <job>", "show this job with its attempts").conflicts(["queue", "state"]))
    .addHelpText(
      "after",
      `
Examples:
  $ prism queue list --queue timers --state scheduled,retrying
  $ prism queue list --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60`,
    )
    .action((flags: ListJobsFlags, command: Command) =>
      look(command, flags, async (server) => {
        if (flags.id !== undefined) {
          const job = await server.get<JobDetail>(jobPath(flags.id)).catch(timerHint(server, flags.id));
          return { value: job, human: () => jobLines(job) };
        }
        const jobs = await jobsOf(server, flags.limit, { queue: flags.queue, state: flags.state?.join() });
        return { value: { jobs }, human: () => jobsTable(jobs) };
      }),
    );
  addFlags(queue.command("dead"), "list dead jobs, newest first, with their last error")
    .addHelpText("after", "\nExamples:\n  $ prism queue dead\n  $ prism queue dead --queue messages-dead-letter --json")
    .action(({ limit, ...flags }: ListJobsFlags, command: Command) =>
      look(command, flags, async (server) => {
        const jobs = await jobsOf(server, limit, { queue: flags.queue, state: "dead" });
        return { value: { jobs }, human: () => deadTable(jobs) };
      }),
    );
}

/** Prints a view of the server once or every second; only a running server can be watched. */
function look(
  command: Command,
  { watch = false }: { readonly watch?: boolean },
  at: (server: ServerClient) => Promise<Look>,
): Promise<void> {
  return online(command, (server, { out }) => show(out, watch, () => at(server)), { mustRun: watch });
}

function addFlags(command: Command, description: string): Command {
  return command
    .description(description)
    .option("--queue <name>", "only jobs of this queue")
    .option("--limit <n>", "list at most this many", integerFlag(1, 100_000), DEFAULT_LIMIT)
    .option("--watch", "repeat every second until interrupted; with --json one line each");
}

function jobsOf(server: ServerClient, limit: number, query: Query): Promise<JobLine[]> {
  return everyItem(server, "/api/v1/jobs", { ...query, limit: Math.min(limit, MAX_PAGE) }, limit);
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

function addCancelJob(queue: Command): void {
  queue
    .command("cancel")
    .description("cancel a waiting job; a running job continues")
    .requiredOption("--id <job>", "id of the job")
    .addHelpText("after", "\nExample:\n  $ prism queue cancel --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60")
    .action(({ id }: { readonly id: string }, command: Command) =>
      online(command, async (server, { out }) => {
        const job = await server.post<JobDetail>(jobPath(id, "/cancel"), {}).catch(timerHint(server, id));
        out.result(job, () => jobLine(job));
      }),
    );
}

/** A recurring timer is a schedule, not a job, although `prism trigger` prints its id. */
function timerHint(server: ServerClient, id: string): (error: unknown) => Promise<never> {
  return async (error) => {
    if (!(error instanceof ServerRefused) || error.code !== "JOB_NOT_FOUND") throw error;
    const timers = await timersOf(server).catch(() => []);
    if (!timers.some((timer) => timer.id === id)) throw error;
    const hint = `; a recurring timer has this id: prism timers cancel ${id} cancels it`;
    throw new ServerRefused(error.status, error.code, error.message + hint, error.details);
  };
}

interface RetryJobsFlags {
  readonly id?: string;
  readonly queue?: string;
}

function addRetryJobs(queue: Command): void {
  queue
    .command("retry")
    .description("retry a dead or cancelled job, or all dead jobs of a queue")
    .option("--id <job>", "id of the job")
    .option("--queue <name>", "all dead jobs of this queue")
    .addHelpText(
      "after",
      `
Examples:
  $ prism queue retry --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
  $ prism queue retry --queue messages-dead-letter`,
    )
    .action(({ id, queue: name }: RetryJobsFlags, command: Command) => {
      if ((id === undefined) === (name === undefined))
        throw new CommandError(EXIT.usage, "give either --id or --queue");
      return online(command, async (server, { out }) => {
        if (name === undefined) {
          const job = await server.post<JobDetail>(jobPath(id ?? "", "/retry"), {});
          return out.result(job, () => jobLine(job));
        }
        const path = queuePath(name, "/requeue-dead");
        const reply = await server.post<{ requeued: number }>(path, {}, SLICED_LIMIT_MS);
        out.result(reply, () => `${reply.requeued} requeued`);
      });
    });
}

interface QueueStatusFlags {
  readonly queue?: string;
  readonly watch?: boolean;
}

function addQueueStatus(queue: Command): void {
  queue
    .command("status")
    .description("count waiting, running and dead jobs of each queue")
    .option("--queue <name>", "only this queue")
    .option("--watch", "repeat every second until interrupted; with --json one line each")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism queue status\n" +
        "  $ prism queue status --queue timers --json\n" +
        "  $ prism queue status --watch",
    )
    .action((flags: QueueStatusFlags, command: Command) =>
      look(command, flags, async (server) => {
        const queues =
          flags.queue === undefined
            ? (await server.get<{ queues: QueueView[] }>("/api/v1/queues")).queues
            : [await server.get<QueueView>(queuePath(flags.queue))];
        return { value: { queues }, human: () => queuesTable(queues) };
      }),
    );
}

function queuePath(queue: string, action = ""): string {
  return `/api/v1/queues/${encodeURIComponent(queue)}${action}`;
}

function queuesTable(queues: readonly QueueView[]): string[] {
  return table(
    ["QUEUE", "READY", "OLDEST", "SCHEDULED", "RUNNING", "RETRYING", "DEAD", "STATE"],
    queues.map((queue) => [
      queue.name,
      queue.ready,
      queue.oldestReadyAgeMs === null ? null : ageText(queue.oldestReadyAgeMs),
      queue.scheduled,
      `${queue.running}/${queue.concurrency}`,
      queue.retrying,
      queue.dead,
      queue.paused ? "paused" : "open",
    ]),
  );
}

interface DrainQueueFlags {
  readonly queue: string;
  readonly yes?: boolean;
}

function addDrainQueue(queue: Command): void {
  queue
    .command("drain")
    .description("cancel all waiting jobs of a queue; running jobs continue")
    .requiredOption("--queue <name>", "name of the queue")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism queue drain --queue digest --yes")
    .action(async ({ queue: name, yes }: DrainQueueFlags, command: Command) => {
      if (yes !== true && !(await confirm(`Cancel all waiting jobs of ${printable(name)}?`)))
        throw new CommandError(EXIT.usage, "nothing was cancelled; --yes cancels without asking");
      await online(command, async (server, { out }) => {
        const reply = await server.post<{ cancelled: number }>(queuePath(name, "/drain"), {}, SLICED_LIMIT_MS);
        out.result(reply, () => `${reply.cancelled} cancelled`);
      });
    });
}

function addPauseQueue(queue: Command): void {
  queue
    .command("pause")
    .description("start no jobs of a queue until it is resumed, also after a restart; running jobs continue")
    .requiredOption("--queue <name>", "name of the queue")
    .addHelpText("after", "\nExample:\n  $ prism queue pause --queue notification-delivery")
    .action((flags: { readonly queue: string }, command: Command) =>
      online(command, async (server, { out }) => {
        const changed = await server.post<QueueView>(queuePath(flags.queue, "/pause"), {});
        out.result(changed, () => queuesTable([changed]));
      }),
    );
}

interface ResumeFlags {
  readonly queue?: string;
  readonly all?: boolean;
}

function addResumeQueue(queue: Command): void {
  queue
    .command("resume")
    .description("start the jobs of a paused queue, or of all paused queues")
    .option("--queue <name>", "name of the queue")
    .addOption(new Option("--all", "all paused queues, such as after a restore").conflicts("queue"))
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism queue resume --all\n  $ prism queue resume --queue notification-delivery",
    )
    .action((flags: ResumeFlags, command: Command) => {
      if (flags.queue === undefined && flags.all !== true)
        throw new CommandError(EXIT.usage, "give either --queue <name> or --all");
      return online(command, async (server, context) => {
        if (flags.queue === undefined) return resumeAll(context, server);
        const changed = await server.post<QueueView>(queuePath(flags.queue, "/resume"), {});
        context.out.result(changed, () => queuesTable([changed]));
      });
    });
}

async function resumeAll({ out }: Context, server: ServerClient): Promise<void> {
  const { queues } = await server.get<{ queues: QueueView[] }>("/api/v1/queues");
  const resumed: QueueView[] = [];
  for (const { name, paused } of queues)
    if (paused) resumed.push(await server.post<QueueView>(queuePath(name, "/resume"), {}));
  out.result({ queues: resumed }, () => (resumed.length === 0 ? ["no queue is paused"] : queuesTable(resumed)));
}

export function addQueue(program: Command): void {
  const queue = program
    .command("queue")
    .alias("queues")
    .description("show queues and jobs; pause, resume, retry and cancel them")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  $ prism queue status --watch\n" +
        "  $ prism queue dead\n" +
        "  $ prism queue retry --queue notification-delivery",
    );
  addQueueStatus(queue);
  addListJobs(queue);
  addPauseQueue(queue);
  addResumeQueue(queue);
  addRetryJobs(queue);
  addCancelJob(queue);
  addDrainQueue(queue);
}
