import type { Command } from "commander";
import { addCancelJob } from "./cancel-job.ts";
import { addDrainQueue } from "./drain-queue.ts";
import { addListJobs } from "./list-jobs.ts";
import { addPauseQueue } from "./pause-queue.ts";
import { addQueueStatus } from "./queue-status.ts";
import { addRetryJobs } from "./retry-jobs.ts";

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
