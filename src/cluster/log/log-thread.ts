import { setTimeout } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { Fenced, LogRefuses, RecordTooLarge } from "./log.ts";
import { connectNats, type LogOptions, NatsLog, NatsServerRefused } from "./nats-log.ts";
import type { AppendReply, AppendRequest, LogThreadData } from "./sync-log.ts";

const RETRY_MS = 100;
const GIVE_UP_MS = 200;
const LOOK_MS = 1000;

/** A server that is busy or electing may not answer in time. @throws NatsServerRefused */
async function openLog(options: LogOptions, node: string, onFailure: (error: unknown) => void): Promise<NatsLog> {
  for (;;) {
    let nats: NatsConnection | null = null;
    try {
      nats = await connectNats(options, `${node} writer`);
      return await NatsLog.open(nats, options);
    } catch (error) {
      if (error instanceof NatsServerRefused) throw error;
      onFailure(error);
      await nats?.close();
    }
    await setTimeout(RETRY_MS);
  }
}

/** Main function of the log's thread: appends in order, and answers each request once. */
export function runLogThread({ options, node, port, sent, mostWaitMs }: LogThreadData): void {
  let failure: unknown = null;
  let log: NatsLog | null = null;
  const opened = openLog(options, node, (error) => {
    failure = error;
  });
  opened.then(
    (own) => {
      log = own;
    },
    () => undefined,
  );
  const reply = (message: AppendReply): void => {
    port.postMessage(message);
    Atomics.add(sent, 0, 1);
    Atomics.notify(sent, 0);
  };
  const fail = (error: unknown): void =>
    reply({
      message: error instanceof Error ? error.message : String(error),
      isTooLarge: error instanceof RecordTooLarge,
    });
  // The leader ends only some seconds later, and its main thread does not know why.
  let said = "";
  const looks = setInterval(() => {
    const reason = log?.doubt;
    if (!(reason instanceof LogRefuses) || reason.message === said) return;
    said = reason.message;
    process.stderr.write(`this node cannot write: ${said}\n`);
  }, LOOK_MS);
  port.once("close", () => clearInterval(looks));
  // The thread that waits sees no event of this one.
  process.once("uncaughtException", fail);
  port.on("message", ({ messages, after, askedAt }: AppendRequest) => {
    let isAnswered = false;
    const answer = (send: () => void): void => {
      if (!isAnswered) send();
      isAnswered = true;
    };
    // Before the thread that waits gives up, also when this one began late: it would not know why.
    const leftMs = mostWaitMs - GIVE_UP_MS - Number(process.hrtime.bigint() - askedAt) / 1e6;
    const timer = globalThis.setTimeout(() => {
      const reason = log?.doubt ?? failure;
      const why = reason === null ? "" : `: ${reason instanceof Error ? reason.message : String(reason)}`;
      answer(() => fail(new Fenced(`the log accepted no record for ${mostWaitMs / 1000} s${why}`)));
    }, leftMs);
    opened
      .then((own) => own.append(messages, after))
      .then(
        (sequence) => answer(() => reply({ sequence })),
        (error: unknown) => answer(() => fail(error)),
      )
      .finally(() => clearTimeout(timer));
  });
}
