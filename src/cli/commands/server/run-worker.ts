import { hostname } from "node:os";
import { deliveryQueue, isModuleQueue, type ModuleQueue } from "../../../core/limits/queues.ts";
import type { Logger } from "../../../core/log.ts";
import type { WorkerChannel } from "../../../core/text/vocabulary.ts";
import type { ChannelWork, LeasedJob, WorkerCalls } from "../../../remote/worker/link.ts";
import { type Claimed, channelWork, WorkerLink } from "../../../remote/worker/link.ts";
import { WorkerLoop } from "../../../remote/worker/loop.ts";
import type { CommandContext } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { Output, openLog } from "../../output/output.ts";
import { exitOnUncaught, ignoreSignals, stopOnSignals } from "../../output/process-ends.ts";
import { serverOf } from "../../server-of.ts";

export type ServedQueue = "notification-delivery" | "push-notification" | ModuleQueue;

export interface WorkerFlags {
  readonly queues: readonly ServedQueue[];
  readonly concurrency: number;
  readonly modulesDir?: string;
}

/** Runs until a signal. @throws CommandError, ServerRefused when the server refuses the worker */
export async function runWorker(
  context: CommandContext,
  { queues, concurrency, modulesDir }: WorkerFlags,
): Promise<void> {
  if (context.flags.dataDir !== undefined)
    throw new CommandError(
      EXIT.usage,
      "prism worker opens no data directory and takes no --data-dir; it talks to --url",
    );
  const { config, warnings } = context.loadConfig("none", { modulesDir });
  // The log has its own lines: a waiting claim is not worth one.
  const server = await serverOf({ ...context, out: new Output({ json: true, quiet: true, color: false }) }, false);
  if (server.token === undefined)
    throw new CommandError(
      EXIT.unauthorised,
      "a worker needs a service token with the permission jobs:work: PRISM_TOKEN, or --token",
    );
  const log = openLog(context.out, config).namespace("worker");
  for (const warning of warnings) log.warn({}, warning);
  exitOnUncaught((error) => log.error({ err: error }, "unexpected failure; exiting"));
  if (isOpenLine(server.base))
    log.warn({ url: server.base }, "the token, messages and addresses are sent unencrypted; use https");
  const channels = channelWork(config);
  const wanted = channelsOf(queues, channels);
  const names = queues.filter(isModuleQueue).map((queue) => queue.slice("module:".length));
  const modules =
    names.length > 0 ? await (await import("../../../remote/worker/modules.ts")).moduleWork(names, config, log) : null;
  const link = new WorkerLink(server, hostname());
  const loop = new WorkerLoop({
    link,
    log,
    claim: { queues, channels: wanted },
    concurrency,
    shutdownMs: config.shutdownMs,
    workOf: ({ queue }: LeasedJob): WorkerCalls => (modules && isModuleQueue(queue) ? modules : channels),
    onClaimed: announcer(context, log, { url: server.base, queues, wanted, concurrency, workerId: link.workerId }),
  });
  ignoreSignals(log);
  stopOnSignals(log, () => loop.stop());
  try {
    await loop.run();
  } catch (error) {
    log.error({ reason: error instanceof Error ? error.message : String(error) }, "worker stopping");
    throw error;
  } finally {
    await Promise.all([channels.close(), modules?.close()]);
  }
  log.info({}, "stopped");
  process.exit(EXIT.done);
}

/** http to another machine. */
function isOpenLine(base: string): boolean {
  const { protocol, hostname: host } = new URL(base);
  return protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);
}

/** The queues' channels that can be sent here; webhooks and Web Push need no settings. */
function channelsOf(queues: readonly ServedQueue[], { channels }: ChannelWork): readonly WorkerChannel[] {
  return channels.filter((channel) => queues.some((queue) => deliveryQueue(channel) === queue));
}

interface Facts {
  readonly url: string;
  readonly queues: readonly string[];
  readonly wanted: readonly WorkerChannel[];
  readonly concurrency: number;
  readonly workerId: string;
}

/** Reports the worker once the server has answered, and its channels after each change. */
function announcer({ out }: CommandContext, log: Logger, { wanted, ...facts }: Facts): (claimed: Claimed) => void {
  let last: string | null = null;
  return ({ channels }) => {
    const now = channels.join(", ");
    if (now === last) return;
    const isFirst = last === null;
    last = now;
    if (isFirst) {
      log.info({ ...facts, channels, pid: process.pid }, "ready");
      out.note(`Prism worker is ready: ${facts.url}  queues ${facts.queues.join(" ")}`);
    } else log.info({ channels }, "delivery.workers of the server has changed");
    const missing = wanted.filter((channel) => !channels.includes(channel));
    if (channels.length === 0 && wanted.length > 0)
      log.warn({ wanted }, "no channel of this worker is in delivery.workers of the server; add them there");
    else if (missing.length > 0)
      log.info({ missing }, "the server sends by these channels itself: they are not in its delivery.workers");
  };
}
