import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Scope } from "../../helpers/scope.ts";
import { Gate } from "./gate.ts";

/** What is wrong with a receiver. Statuses are those of HTTP; other protocols say the same in their words. */
export type Fault = "refused" | "hanging" | StatusFault;

export interface StatusFault {
  /** 410: it will never accept again. */
  readonly status: 500 | 429 | 410;
  readonly retryAfter?: { readonly as: "seconds" | "date"; readonly ms: number };
}

/** @returns undefined if it does not answer. */
export function statusOf(fault: Fault): StatusFault["status"] | undefined {
  return typeof fault === "object" ? fault.status : undefined;
}

export interface Message {
  /** As it is on the wire; empty if the protocol has none. */
  readonly id: string;
  readonly text: string;
}

export interface Acceptance extends Message {
  /** Epoch ms. */
  readonly at: number;
}

export interface Refusal extends Message {
  readonly at: number;
  readonly status: 500 | 429 | 410;
  readonly headers: Readonly<Record<string, string>>;
  /** End of its Retry-After; a date counts for an hour at most. */
  readonly until: number | null;
}

export type Now = () => number;

/** What one target accepted, and what it refused with an answer. */
export class Ledger {
  readonly accepted: Acceptance[] = [];
  readonly refused: Refusal[] = [];
  readonly #now: Now;
  fault: StatusFault | null = null;
  /** A mail server takes this long for each mail. */
  delayMs = 0;

  constructor(now: Now) {
    this.#now = now;
  }

  /** Decides about the messages of one request. @returns null: they are accepted. */
  take(messages: readonly Message[]): Refusal | null {
    const at = this.#now();
    if (this.fault === null) {
      this.accepted.push(...messages.map((message) => ({ ...message, at })));
      return null;
    }
    const answer = { status: this.fault.status, at, ...retryAfterOf(this.fault, at) };
    const refusals = messages.map((message): Refusal => ({ ...message, ...answer }));
    this.refused.push(...refusals);
    return refusals[0] ?? { id: "", text: "", ...answer };
  }
}

/** A target that can be made to fail. */
export class Receiver {
  readonly ledger: Ledger;
  readonly #gate: Gate;

  private constructor(gate: Gate, ledger: Ledger) {
    this.#gate = gate;
    this.ledger = ledger;
  }

  /** @param serve starts the server behind the gate. @returns its port. */
  static async start(scope: Scope, now: Now, serve: (ledger: Ledger) => Promise<number>): Promise<Receiver> {
    const ledger = new Ledger(now);
    return new Receiver(await Gate.open(scope, await serve(ledger)), ledger);
  }

  get port(): number {
    return this.#gate.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async fail(fault: Fault): Promise<void> {
    if (fault === "refused") await this.#gate.refuse();
    else if (fault === "hanging") this.#gate.hang();
    else this.ledger.fault = fault;
  }

  async recover(): Promise<void> {
    this.ledger.fault = null;
    await this.#gate.pass();
  }
}

const HOUR_MS = 3_600_000;

function retryAfterOf({ retryAfter }: StatusFault, at: number): Pick<Refusal, "headers" | "until"> {
  if (!retryAfter) return { headers: {}, until: null };
  const { as, ms } = retryAfter;
  const seconds = Math.ceil(ms / 1000);
  if (as === "seconds") return { headers: { "retry-after": String(seconds) }, until: at + seconds * 1000 };
  const date = Math.ceil((at + ms) / 1000) * 1000;
  return { headers: { "retry-after": new Date(date).toUTCString() }, until: Math.min(date, at + HOUR_MS) };
}

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Answers {
  /** Default: 200 with an empty object. */
  readonly accept?: (response: ServerResponse, request: HttpRequest) => void;
  /** Default: that of the fault. */
  readonly statusOf?: (refusal: Refusal) => number;
}

/** @param read the messages of a request. */
export function httpReceiver(
  scope: Scope,
  now: Now,
  read: (request: HttpRequest) => readonly Message[],
  { accept = (response) => void response.end("{}"), statusOf: statusOfRefusal = ({ status }) => status }: Answers = {},
): Promise<Receiver> {
  const answer = async (ledger: Ledger, incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = "", url: path = "", headers } = incoming;
    const request = { method, path, headers, body: await bodyOf(incoming) };
    const refusal = ledger.take(read(request));
    if (refusal) response.writeHead(statusOfRefusal(refusal), refusal.headers).end();
    else accept(response, request);
  };
  return Receiver.start(scope, now, (ledger) =>
    listening(
      scope,
      createServer((incoming, response) => {
        // A client that is killed ends its request early.
        answer(ledger, incoming, response).catch(() => response.destroy());
      }),
    ),
  );
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function listening(scope: Scope, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
