import type { Exchange } from "../../../../http/server/exchange.ts";
import { MAX_BUFFERED_BYTES } from "../../../../live/topic-broadcaster.ts";
import { controlText, type Message } from "../message.ts";
import { type Request, Subscriber, type SubscriberParts } from "./subscriber.ts";

export type StreamFormat = "json" | "sse" | "raw";

export const KEEPALIVE_MS = 45_000;
/** uWebSockets itself cuts a response without progress for 10 s. */
const STUCK_LIMIT_MS = 30_000;

const TYPES: Readonly<Record<StreamFormat, string>> = {
  json: "application/x-ndjson; charset=utf-8",
  sse: "text/event-stream; charset=utf-8",
  raw: "text/plain; charset=utf-8",
};

/** A subscription by `/json`, `/sse` or `/raw`. @throws OVERLOADED, RATE_LIMITED */
export function serveStream(parts: SubscriberParts, exchange: Exchange, format: StreamFormat, request: Request): void {
  parts.connections.requireRoom(request.visitor.principal, exchange.clientAddress);
  exchange.startStream(200, { "Content-Type": TYPES[format], "X-Accel-Buffering": "no" });
  // The response to HEAD is complete.
  if (exchange.isOver) return;
  new HttpStream(parts, exchange, format, request).begin();
}

class HttpStream extends Subscriber {
  readonly #exchange: Exchange;
  readonly #format: StreamFormat;
  /** Bytes written since the library started to buffer; it does not report how many it holds. */
  #heldBytes = 0;
  #blockedSince: number | null = null;
  #wroteAt: number;

  constructor(parts: SubscriberParts, exchange: Exchange, format: StreamFormat, request: Request) {
    super(parts, request);
    this.#exchange = exchange;
    this.#format = format;
    this.#wroteAt = parts.clock.elapsed();
  }

  begin(): void {
    this.#exchange.onAbort = () => this.ended();
    this.#exchange.res.onWritable(() => {
      this.#writable();
      return true;
    });
    this.start();
  }

  cut(): void {
    if (!this.isOpen) return;
    if (this.#blockedSince !== null) this.parts.connections.noteSlow();
    this.ended();
    this.#exchange.breakOff(undefined);
  }

  protected finish(): void {
    if (!this.isOpen) return;
    this.ended();
    this.#exchange.finishStream(200);
  }

  protected isReady(): boolean {
    return this.isOpen && this.#heldBytes < MAX_BUFFERED_BYTES;
  }

  protected ticked(): void {
    const elapsed = this.parts.clock.elapsed();
    if (this.#blockedSince !== null) {
      if (elapsed - this.#blockedSince >= STUCK_LIMIT_MS) this.cut();
    } else if (elapsed - this.#wroteAt >= KEEPALIVE_MS) this.#keepAlive();
  }

  protected write(text: string): boolean {
    if (!this.isOpen) return false;
    this.#wroteAt = this.parts.clock.elapsed();
    if (this.#exchange.write(text)) {
      this.#heldBytes = 0;
      this.#blockedSince = null;
    } else {
      this.#heldBytes += Buffer.byteLength(text);
      this.#blockedSince ??= this.#wroteAt;
    }
    return true;
  }

  protected controlled(text: string): string {
    if (this.#format === "json") return `${text}\n`;
    if (this.#format === "raw") return "\n";
    return `event: ${(JSON.parse(text) as Message).event}\ndata: ${text}\n\n`;
  }

  protected framed(text: string): string {
    if (this.#format === "json") return `${text}\n`;
    if (this.#format === "sse") return `data: ${text}\n\n`;
    const { event, message = "" } = JSON.parse(text) as Message;
    return event === "message" ? `${message.replace(/\n/g, " ")}\n` : "\n";
  }

  #keepAlive(): void {
    this.write(this.controlled(controlText("keepalive", this.request.list, this.parts.clock.now())));
  }

  /** The library writes its buffer only along with new data. */
  #writable(): void {
    if (!this.isOpen) return;
    this.#blockedSince = null;
    this.#heldBytes = 0;
    if (!this.request.isPoll) this.#keepAlive();
    this.resume();
  }
}
