/**
 * POST requests at a fixed pace, independent of the response times (an open loop). Latency is
 * measured from when a request is due, including the time it waits for a free connection or for
 * this process. Sockets may listen meanwhile; their messages are timed from when the request was
 * due. The argument is a {@link PacedPlan} as JSON. Prints `ready 0` when the sockets are
 * subscribed, starts at once, and prints `result <PacedResult as JSON>`. Closing stdin ends it
 * early.
 */
import { connect, type Socket } from "node:net";
import { PROTOCOLS } from "./clients/protocols.ts";
import { percentile } from "./percentile.ts";
import type { Latency, PacedPlan, PacedResult } from "./run-paced.ts";

/**
 * Precedes the number of the request and a semicolon in the bodies; published messages contain it
 * again.
 */
const MARK = "mark-";
const NEWLINE = "\r\n";
/** Wait after the last response for messages in transit. */
const LAST_MESSAGES_MS = 2000;

const plan = JSON.parse(process.argv[2] ?? "{}") as PacedPlan;
const bodies = plan.bodies.map((body) => body.split(`${MARK}0;`));
const headers = Object.entries({ Host: "127.0.0.1", "Content-Type": "application/json", ...plan.headers })
  .map(([name, value]) => `${name}: ${value}${NEWLINE}`)
  .join("");
const heard = plan.listeners.map(() => [] as number[]);
const answered: number[] = [];
const free: Connection[] = [];
const waiting: number[] = [];
let errors = 0;
let sent = 0;
let over = 0;
let isStopping = false;
let beganAt = 0;
let lastAnswerAt = 0;
let isReported = false;

/**
 * Sends all requests that are due. Those due in the same turn of the timer are sent together, each
 * timed from its own due time.
 */
function tick(): void {
  const due = Math.floor(((performance.now() - beganAt) * plan.perSecond) / 1000) + 1;
  while (!isStopping && sent < due && sent < plan.count) send(sent++);
  const isDone = sent === plan.count || isStopping;
  if (isDone && over === sent) setTimeout(report, plan.listeners.length > 0 ? LAST_MESSAGES_MS : 0);
  else setTimeout(tick, 1);
}

function dueAt(number: number): number {
  return beganAt + (number * 1000) / plan.perSecond;
}

function send(number: number): void {
  // Round robin: a server closes a connection that is idle for some seconds.
  const connection = free.shift();
  if (connection) connection.request(number);
  else waiting.push(number);
}

function bodyOf(number: number): string {
  return (bodies[number % bodies.length] ?? []).join(`${MARK}${number};`);
}

/** One connection with at most one pending request. */
class Connection {
  readonly #socket: Socket;
  #buffered = "";
  #number = 0;

  constructor() {
    this.#socket = connect({ port: plan.port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#read(text));
    this.#socket.on("error", fail);
    this.#socket.on("close", () => isReported || fail(new Error("a connection was closed")));
  }

  request(number: number): void {
    const body = bodyOf(number);
    this.#number = number;
    this.#socket.write(
      `POST ${plan.path} HTTP/1.1${NEWLINE}${headers}Content-Length: ${Buffer.byteLength(body)}${NEWLINE}${NEWLINE}${body}`,
    );
  }

  #read(text: string): void {
    this.#buffered += text;
    const head = this.#buffered.indexOf(NEWLINE + NEWLINE);
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#buffered.slice(0, head))?.[1] ?? 0);
    if (this.#buffered.length < head + 4 + length) return;
    lastAnswerAt = performance.now();
    answered.push(lastAnswerAt - dueAt(this.#number));
    if (this.#buffered.slice(9, 10) !== "2") refused(this.#buffered);
    this.#buffered = "";
    over++;
    const next = waiting.shift();
    if (next === undefined) free.push(this);
    else this.request(next);
  }
}

function refused(answer: string): void {
  if (errors++ === 0) process.stderr.write(`the first refusal: ${answer}\n`);
}

/** Resolves when the socket is subscribed. */
function listen({ protocol, ...target }: PacedPlan["listeners"][number], index: number): Promise<void> {
  return new Promise((resolve) => {
    PROTOCOLS[protocol].open(
      { ...target, port: plan.port, from: "127.0.0.1" },
      {
        welcomed: () => undefined,
        following: resolve,
        message(bytes, from, to) {
          const at = bytes.indexOf(MARK, from);
          if (at < 0 || at >= to) return;
          const end = bytes.indexOf(";", at);
          const number = Number(bytes.toString("latin1", at + MARK.length, end));
          heard[index]?.push(performance.now() - dueAt(number));
        },
        ended: (why) => isReported || fail(new Error(`${protocol}: ${why}`)),
      },
    );
  });
}

function fail(error: Error): never {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

function report(): void {
  isReported = true;
  const result: PacedResult = {
    perSecond: sent / ((lastAnswerAt - beganAt) / 1000),
    errors,
    answers: latencyOf(answered),
    messages: heard.map(latencyOf),
  };
  process.stdout.write(`result ${JSON.stringify(result)}\n`, () => process.exit(0));
}

function latencyOf(values: readonly number[]): Latency {
  const sorted = Float64Array.from(values).sort();
  return {
    count: sorted.length,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: percentile(sorted, 1),
  };
}

process.stdin.on("end", () => {
  isStopping = true;
});
process.stdin.resume();
await Promise.all(plan.listeners.map(listen));
for (let i = 0; i < plan.connections; i++) free.push(new Connection());
process.stdout.write("ready 0\n");
beganAt = performance.now();
tick();
