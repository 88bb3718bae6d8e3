import { mkdirSync, readdirSync, statSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeComplete } from "../core/data-dir.ts";
import type { Logger } from "../core/log.ts";
import type { SealedBox } from "../core/sealed-box.ts";

/** A request as it came. */
export interface SpooledRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

const SUFFIX = ".request";
const REFUSED_DIR = "refused";
const CONTEXT = "prism cluster spool";
const MAX_BYTES = 268_435_456;
const RETRY_MS = 1000;
const TIMEOUT_MS = 30_000;
const DIGITS = 12;
/** The leader cannot take the request now, whatever it is. */
const LATER: ReadonlySet<number> = new Set([429, 502, 503, 504, 507]);

/**
 * Requests that a node has accepted without a leader: one sealed file each, until a leader has them.
 * Each is sent with an `Idempotency-Key`, so that a second time does nothing where routes know it.
 */
export class Spool {
  readonly #dir: string;
  readonly #box: SealedBox;
  readonly #log: Logger;
  #next: number;
  #bytes = 0;
  #count: number;
  #isSending = false;

  constructor(dataDir: string, box: SealedBox, log: Logger) {
    this.#dir = join(dataDir, "spool");
    this.#box = box;
    this.#log = log;
    mkdirSync(join(this.#dir, REFUSED_DIR), { recursive: true, mode: 0o700 });
    const names = this.#names();
    for (const name of names) this.#bytes += statSync(join(this.#dir, name)).size;
    this.#count = names.length;
    this.#next = Number.parseInt(names.at(-1) ?? "0", 10) + 1;
  }

  /** Nothing more is accepted until a leader has taken what is there. */
  get isFull(): boolean {
    return this.#bytes >= MAX_BYTES;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Resolves when it is on disk. */
  async add({ body, ...head }: SpooledRequest): Promise<void> {
    const name = `${String(this.#next++).padStart(DIGITS, "0")}${SUFFIX}`;
    const plain = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]);
    const sealed = this.#box.seal(`${CONTEXT} ${name}`, plain);
    this.#bytes += sealed.length;
    this.#count++;
    await writeComplete(join(this.#dir, name), sealed);
  }

  /** Sends everything to a leader, in order. Ends early when `isOver`. */
  async sendTo(leader: string, isOver: () => boolean): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (const name of this.#names()) if (isOver() || !(await this.#send(name, leader, isOver))) return;
    } finally {
      this.#isSending = false;
    }
  }

  /** @returns false when it is over before a leader has the request */
  async #send(name: string, leader: string, isOver: () => boolean): Promise<boolean> {
    const path = join(this.#dir, name);
    const bytes = await readFile(path);
    const request = this.#open(name, bytes);
    for (; !isOver(); await setTimeout(RETRY_MS)) {
      const status = await send(leader, request, name).catch(() => 503);
      if (LATER.has(status)) continue;
      if (status < 400) await rm(path);
      else {
        this.#log.error(
          { status, method: request.method, name },
          "the leader refuses a request that was accepted without a leader; it stays in spool/refused",
        );
        await rename(path, join(this.#dir, REFUSED_DIR, name));
      }
      this.#bytes -= bytes.length;
      this.#count--;
      return true;
    }
    return false;
  }

  #open(name: string, sealed: Uint8Array): SpooledRequest {
    const plain = this.#box.open(`${CONTEXT} ${name}`, sealed);
    const end = plain.indexOf("\n");
    const head = JSON.parse(plain.subarray(0, end).toString()) as Omit<SpooledRequest, "body">;
    return { ...head, body: plain.subarray(end + 1) };
  }

  /** In the order of their arrival. */
  #names(): string[] {
    return readdirSync(this.#dir)
      .filter((name) => name.endsWith(SUFFIX))
      .sort();
  }
}

/** @returns the status of the answer */
function send(leader: string, { method, path, headers, body }: SpooledRequest, name: string): Promise<number> {
  const url = new URL(path, leader);
  const start = url.protocol === "https:" ? requestHttps : requestHttp;
  const options = {
    method,
    headers: { "idempotency-key": `spool-${name}`, ...headers, "content-length": body.length },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
  return new Promise((resolve, reject) => {
    const request = start(url, options, (reply) => {
      reply.resume();
      resolve(reply.statusCode ?? 502);
    });
    request.once("error", reject);
    request.end(body);
  });
}
