import { setTimeout } from "node:timers/promises";
import { connectNats, type LogOptions, NatsLog, NatsServerRefused } from "./nats-log.ts";
import type { AppendReply, AppendRequest, LogThreadData } from "./sync-log.ts";

const RETRY_MS = 100;

/** A server that is busy or electing may not answer in time. @throws NatsServerRefused */
async function openLog(options: LogOptions, node: string): Promise<NatsLog> {
  for (;;) {
    const nats = await connectNats(options, `${node} writer`).catch(() => null);
    try {
      if (nats) return await NatsLog.open(nats, options);
    } catch (error) {
      if (error instanceof NatsServerRefused) throw error;
      await nats?.close();
    }
    await setTimeout(RETRY_MS);
  }
}

/** Main function of the log's thread: appends in order, and answers each request once. */
export function runLogThread({ options, node, port, sent }: LogThreadData): void {
  const opened = openLog(options, node);
  opened.catch(() => undefined);
  const reply = (message: AppendReply): void => {
    port.postMessage(message);
    Atomics.add(sent, 0, 1);
    Atomics.notify(sent, 0);
  };
  const fail = (error: unknown): void => reply({ message: error instanceof Error ? error.message : String(error) });
  // The thread that waits sees no event of this one.
  process.once("uncaughtException", fail);
  port.on("message", ({ messages, after }: AppendRequest) => {
    opened.then((log) => log.append(messages, after)).then((sequence) => reply({ sequence }), fail);
  });
}
