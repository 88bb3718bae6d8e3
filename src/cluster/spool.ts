import { mkdirSync, readdirSync, statSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeComplete } from "../core/data-dir.ts";
import { uuidv7 } from "../core/ids.ts";
import type { Logger } from "../core/log.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import type { Forwarder, WholeRequest } from "./forward.ts";

const SUFFIX = ".request";
const REFUSED_DIR = "refused";
const CONTEXT = "prism cluster spool";
const MAX_BYTES = 268_435_456;
const RETRY_MS = 1000;
const DIGITS = 12;
/** The leader cannot take the request now, whatever it is. */
const LATER: ReadonlySet<number> = new Set([408, 429, 502, 503, 504, 507]);
/** It has begun, and goes on although its answer was too late. */
const IN_PROGRESS = '"IDEMPOTENCY_IN_PROGRESS"';

interface SpoolParts {
  readonly dataDir: string;
  readonly box: SealedBox;
  readonly log: Logger;
  readonly forwarder: Forwarder;
}

/**
 * Requests that a node has accepted without a leader: one sealed file each, `<number>-<uuid>`, until a
 * leader has them. The uuid is sent as the `Idempotency-Key`, so that a second time does nothing where
 * routes know it; no other request of any node has it.
 */
export class Spool {
  readonly #dir: string;
  readonly #box: SealedBox;
  readonly #log: Logger;
  readonly #forwarder: Forwarder;
  #next: number;
  #bytes = 0;
  #count: number;
  #isSending = false;

  constructor({ dataDir, box, log, forwarder }: SpoolParts) {
    this.#dir = join(dataDir, "spool");
    this.#box = box;
    this.#log = log;
    this.#forwarder = forwarder;
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

  /** Resolves when it is on disk. @throws errors of the disk: it is not kept */
  async add({ body, ...head }: WholeRequest): Promise<void> {
    const name = `${String(this.#next++).padStart(DIGITS, "0")}-${uuidv7()}${SUFFIX}`;
    const plain = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]);
    const sealed = this.#box.seal(`${CONTEXT} ${name}`, plain);
    // Also what is being written has its place.
    this.#bytes += sealed.length;
    try {
      await writeComplete(join(this.#dir, name), sealed);
    } catch (error) {
      this.#bytes -= sealed.length;
      await rm(join(this.#dir, name), { force: true });
      throw error;
    }
    this.#count++;
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
    const { size } = statSync(path);
    const request = await readFile(path)
      .then((bytes) => this.#open(name, bytes))
      .catch((err: unknown) => {
        this.#log.error(
          { err, name },
          "a request that was accepted without a leader cannot be read; it is in spool/refused",
        );
        return null;
      });
    for (let isLater = false; request !== null; isLater = true) {
      if (isLater) await setTimeout(RETRY_MS);
      if (isOver()) return false;
      const reply = await this.#forwarder.exchange(leader, request).catch((error: unknown) => {
        this.#forwarder.failed(leader, error);
        return null;
      });
      if (reply === null) continue;
      const { status, body } = reply;
      if (LATER.has(status) || (status === 409 && body.includes(IN_PROGRESS))) {
        this.#forwarder.failed(leader, new Error(`the leader answers ${status} to what was accepted without one`));
        continue;
      }
      if (status < 400) {
        await rm(path);
        this.#removed(size);
        return true;
      }
      this.#log.error(
        { status, method: request.method, name },
        "the leader refuses a request that was accepted without a leader; it stays in spool/refused",
      );
      break;
    }
    await rename(path, join(this.#dir, REFUSED_DIR, name));
    this.#removed(size);
    return true;
  }

  #removed(size: number): void {
    this.#bytes -= size;
    this.#count--;
  }

  #open(name: string, sealed: Uint8Array): WholeRequest {
    const plain = this.#box.open(`${CONTEXT} ${name}`, sealed);
    const end = plain.indexOf("\n");
    const { headers, ...head } = JSON.parse(plain.subarray(0, end).toString()) as Omit<WholeRequest, "body">;
    const key = name.slice(DIGITS + 1, -SUFFIX.length);
    const own = { "idempotency-key": key, ...headers, "accept-encoding": "identity" };
    return { ...head, headers: own, body: plain.subarray(end + 1) };
  }

  /** In the order of their arrival. */
  #names(): string[] {
    return readdirSync(this.#dir)
      .filter((name) => name.endsWith(SUFFIX))
      .sort();
  }
}
