import type { Command } from "commander";
import type { QueueView } from "../../../features/jobs/queue-views.ts";
import { contextOf } from "../../context.ts";
import { ageText } from "../../output/age-text.ts";
import { table } from "../../output/output.ts";
import { serverOf } from "../../server-client.ts";
import { show } from "../server/watch.ts";

interface Flags {
  readonly queue?: string;
  readonly watch?: boolean;
}

export function addQueueStatus(queue: Command): void {
  queue
    .command("status")
    .description("how many jobs wait, run and are dead in each queue")
    .option("--queue <name>", "only this one")
    .option("--watch", "every second, until interrupted; with --json one line each")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism queue status\n  $ prism queue status --queue timers --json\n  $ prism queue status --watch",
    )
    .action(async (flags: Flags, command: Command) => {
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

export function queuesTable(queues: readonly QueueView[]): string[] {
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
