import { type Command, InvalidArgumentError, Option } from "commander";
import { isModuleQueue, parseQueueName } from "../../../core/limits/queues.ts";
import { integerFlag } from "../../output/flag-values.ts";
import { single } from "../../resource.ts";
import type { ServedQueue, WorkerFlags } from "./run-worker.ts";

const SERVED = "notification-delivery, push-notification or module:<name>";

export function addWorker(program: Command): void {
  single(program, "worker", {
    text: "run jobs of a server on another machine: mail, push, webhooks and jobs of modules",
    about: `It connects to --url with a service token that has the permission jobs:work, and opens no database. It sends mail,
push and webhooks with the settings smtp.*, fcm.*, apns.* and webhooks.* (also for browsers) of this process. The
server's setting delivery.workers names the channels that it leaves to workers.
After SIGTERM or SIGINT running jobs may finish within shutdownMs and the others are requeued; a second one stops
it at once.`,
    examples: [
      "$ export PRISM_TOKEN=$(prism token create --user admin --name worker --scopes jobs:work)",
      "--url https://prism.example.com --queues notification-delivery,push-notification",
      "--url https://prism.example.com --queues module:reports --modules-dir ./modules --concurrency 4",
    ],
    flags: {
      queues: new Option("--queues <list>", `queues to serve, comma separated: ${SERVED}`)
        .argParser(queuesFlag)
        .makeOptionMandatory(),
      concurrency: ["--concurrency <n>", "number of jobs to run at a time", integerFlag(1, 1000), 16],
      modulesDir: ["--modules-dir <dir>", "directory of the modules that handle its jobs"],
    },
    async act(context, flags) {
      const { runWorker } = await import("./run-worker.ts");
      await runWorker(context, flags as unknown as WorkerFlags);
    },
  });
}

function queuesFlag(text: string): readonly ServedQueue[] {
  const names = text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (names.length === 0) throw new InvalidArgumentError(`Use one or more of ${SERVED}.`);
  return [...new Set(names.map(servedQueue))];
}

function servedQueue(name: string): ServedQueue {
  const queue = parseQueueName(name);
  if (
    queue !== undefined &&
    (queue === "notification-delivery" || queue === "push-notification" || isModuleQueue(queue))
  )
    return queue;
  const why = queue === undefined ? "is no queue" : "is run by the server itself";
  throw new InvalidArgumentError(`${name} ${why}; use one or more of ${SERVED}.`);
}
