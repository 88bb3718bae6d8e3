import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeComplete } from "../core/data-dir.ts";
import { instantOfId, uuidv7 } from "../core/ids.ts";
import type { Logger } from "../core/log.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import type { Forwarder, WholeRequest } from "./forward.ts";

const SUFFIX = ".request";
const SPOOL_DIR = "spool";
const REFUSED_DIR = "refused";
const CONTEXT = "prism cluster spool";
const MAX_BYTES = 268_435_456;
const RETRY_MS = 1000;
const DIGITS = 12;
/** Of the leader's reason; the rest is cut. */
const REASON_CHARS = 500;
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
  readonly #sizes: Map<string, number>;
  #next: number;
  #bytes: number;
  #isSending = false;

  constructor({ dataDir, box, log, forwarder }: SpoolParts) {
    this.#dir = join(dataDir, SPOOL_DIR);
    this.#box = box;
    this.#log = log;
    this.#forwarder = forwarder;
    mkdirSync(join(this.#dir, REFUSED_DIR), { recursive: true, mode: 0o700 });
    const names = namesIn(this.#dir);
    this.#sizes = new Map(names.map((name) => [name, statSync(join(this.#dir, name)).size]));
    this.#bytes = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    this.#next = Number.parseInt(names.at(-1) ?? "0", 10) + 1;
  }

  /** Nothing more is accepted until a leader has taken what is there. */
  get isFull(): boolean {
    return this.#bytes >= MAX_BYTES;
  }

  /** By the directory, because commands put refused requests back. */
  get isEmpty(): boolean {
    try {
      return namesIn(this.#dir).length === 0;
    } catch {
      return this.#sizes.size === 0;
    }
  }

  /** Resolves when it is on disk. @throws errors of the disk: it is not kept */
  async add(request: WholeRequest): Promise<void> {
    const name = `${String(this.#next++).padStart(DIGITS, "0")}-${uuidv7()}${SUFFIX}`;
    const sealed = sealedRequest(this.#box, name, request);
    // Also what is being written has its place.
    this.#bytes += sealed.length;
    try {
      await writeComplete(join(this.#dir, name), sealed);
    } catch (error) {
      this.#bytes -= sealed.length;
      await rm(join(this.#dir, name), { force: true });
      throw error;
    }
    this.#sizes.set(name, sealed.length);
  }

  /** Sends everything to a leader, in order. Ends early when `isOver`. */
  async sendTo(leader: string, isOver: () => boolean): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (const name of namesIn(this.#dir)) if (isOver() || !(await this.#send(name, leader, isOver))) return;
    } finally {
      this.#isSending = false;
    }
  }

  /** @returns false when it is over before a leader has the request */
  async #send(name: string, leader: string, isOver: () => boolean): Promise<boolean> {
    const path = join(this.#dir, name);
    const request = await readFile(path)
      .then((bytes) => toSend(name, openRequest(this.#box, name, bytes)))
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
        this.#removed(name);
        return true;
      }
      this.#log.error(
        { status, method: request.method, name },
        "the leader refuses a request that was accepted without a leader; it stays in spool/refused",
      );
      await this.#noteRefusal(name, { status, reason: body.toString("utf8").slice(0, REASON_CHARS) });
      break;
    }
    await rename(path, join(this.#dir, REFUSED_DIR, name));
    this.#removed(name);
    return true;
  }

  /** The file says why; a full disk keeps it from doing so. */
  async #noteRefusal(name: string, refusal: Refusal): Promise<void> {
    const path = join(this.#dir, name);
    try {
      const request = openRequest(this.#box, name, await readFile(path));
      await writeComplete(path, sealedRequest(this.#box, name, { ...request, refusal }));
    } catch (err) {
      this.#log.warn({ err, name }, "cannot note why the leader refuses a request");
    }
  }

  #removed(name: string): void {
    this.#bytes -= this.#sizes.get(name) ?? 0;
    this.#sizes.delete(name);
  }
}

/** What the leader answered to a request that it refused. */
interface Refusal {
  readonly status: number;
  readonly reason: string;
}

interface SpooledRequest extends WholeRequest {
  readonly refusal?: Refusal;
}

function sealedRequest(box: SealedBox, name: string, { body, ...head }: SpooledRequest): Buffer {
  return box.seal(`${CONTEXT} ${name}`, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]));
}

/** @throws UnsealError */
function openRequest(box: SealedBox, name: string, sealed: Uint8Array): SpooledRequest {
  const plain = box.open(`${CONTEXT} ${name}`, sealed);
  const end = plain.indexOf("\n");
  const head = JSON.parse(plain.subarray(0, end).toString()) as Omit<SpooledRequest, "body">;
  return { ...head, body: plain.subarray(end + 1) };
}

function toSend(name: string, { refusal: _, headers, ...request }: SpooledRequest): WholeRequest {
  const key = name.slice(DIGITS + 1, -SUFFIX.length);
  return { ...request, headers: { "idempotency-key": key, ...headers, "accept-encoding": "identity" } };
}

/** Names of files in the order of their arrival. */
function namesIn(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(SUFFIX))
    .sort();
}

/** A request that the leader refused, or that cannot be read: then `request` is null. */
export interface RefusedRequest {
  readonly name: string;
  /** When it was accepted, in epoch ms. */
  readonly at: number;
  readonly request: SpooledRequest | null;
}

/** In the order of their arrival. */
export async function refusedRequests(dataDir: string, box: SealedBox): Promise<RefusedRequest[]> {
  const dir = join(dataDir, SPOOL_DIR, REFUSED_DIR);
  const names = existsSync(dir) ? namesIn(dir) : [];
  return Promise.all(
    names.map(async (file) => {
      const name = file.slice(0, -SUFFIX.length);
      const at = instantOfId(name.slice(DIGITS + 1));
      const bytes = await readFile(join(dir, file));
      try {
        return { name, at, request: openRequest(box, file, bytes) };
      } catch {
        return { name, at, request: null };
      }
    }),
  );
}

/** Lets the node send it to the leader again, with the same `Idempotency-Key`. */
export function putBack(dataDir: string, name: string): Promise<void> {
  const dir = join(dataDir, SPOOL_DIR);
  return rename(join(dir, REFUSED_DIR, name + SUFFIX), join(dir, name + SUFFIX));
}

/** Where a request is that was {@link putBack}; `sent`: a leader has it. */
export function placeOf(dataDir: string, name: string): "waiting" | "refused" | "sent" {
  const dir = join(dataDir, SPOOL_DIR);
  if (existsSync(join(dir, name + SUFFIX))) return "waiting";
  return existsSync(join(dir, REFUSED_DIR, name + SUFFIX)) ? "refused" : "sent";
}

export function deleteRefused(dataDir: string, name: string): Promise<void> {
  return rm(join(dataDir, SPOOL_DIR, REFUSED_DIR, name + SUFFIX));
}
