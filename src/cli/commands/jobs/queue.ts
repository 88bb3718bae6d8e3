import type { Command } from "commander";
import type { QueueView } from "../../../features/jobs/queue-views.ts";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable, table } from "../../output/output.ts";
import { ageText } from "../../output/text.ts";
import { SLICED_LIMIT_MS, serverOf } from "../../server-client.ts";
import { confirm } from "../access/prompt.ts";
import { show } from "../server/tail.ts";
import { addCancelJob, addListJobs, addRetryJobs } from "./jobs.ts";

interface QueueStatusFlags {
  readonly queue?: string;
  readonly watch?: boolean;
}

function addQueueStatus(queue: Command): void {
  queue
    .command("status")
    .description("how many jobs wait, run and are dead in each queue")
    .option("--queue <name>", "only this one")
    .option("--watch", "every second, until interrupted; with --json one line each")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism queue status\n  $ prism queue status --queue timers --json\n  $ prism queue status --watch",
    )
    .action(async (flags: QueueStatusFlags, command: Command) => {
      const context = contextOf(command);
      const server = await serverOf(context);
      await show(context.out, flags.watch === true, async () => {
        const queues =
          flags.queue === undefined
            ? (await server.get<{ queues: QueueView[] }>("/api/v1/queues")).queues
            : [await server.get<QueueView>(queuePath(flags.queue))];
        return { value: { queues }, human: () => queuesTable(queues) };
      });
    });
}

export function queuePath(queue: string, action = ""): string {
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
    .description("cancel all jobs that wait in a queue; what runs goes on")
    .requiredOption("--queue <name>", "the queue")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ prism queue drain --queue digest --yes")
    .action(async ({ queue: name, yes }: DrainQueueFlags, command: Command) => {
      const context = contextOf(command);
      const server = await serverOf(context);
      if (yes !== true && !(await confirm(`Cancel all jobs that wait in ${printable(name)}?`)))
        throw new CommandError(EXIT.usage, "nothing was cancelled; --yes cancels without asking");
      const reply = await server.post<{ cancelled: number }>(queuePath(name, "/drain"), {}, SLICED_LIMIT_MS);
      context.out.result(reply, () => `${reply.cancelled} cancelled`);
    });
}

function addPauseQueue(queue: Command): void {
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

/** Queues and jobs of a running server. */
export function addQueue(program: Command): void {
  const queue = program
    .command("queue")
    .description("look at the queues and jobs of a server; stop, start, retry and cancel them")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism queue status --watch\n  $ prism queue dead\n  $ prism queue retry --queue notification-delivery",
    );
  addQueueStatus(queue);
  addListJobs(queue);
  addPauseQueue(queue);
  addRetryJobs(queue);
  addCancelJob(queue);
  addDrainQueue(queue);
}
