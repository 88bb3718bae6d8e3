import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeComplete } from "../core/data-dir.ts";
import { instantOfId, uuidv7 } from "../core/ids.ts";
import type { Logger } from "../core/log.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import { sha256Hex } from "../core/tokens.ts";
import type { Forwarder, WholeRequest } from "./forward.ts";

const SUFFIX = ".request";
const SPOOL_DIR = "spool";
const REFUSED_DIR = "refused";
const CONTEXT = "prism cluster spool";
const MAX_BYTES = 268_435_456;
/** What one sender may fill, so that it does not take the place of others. */
const MAX_SENDER_BYTES = MAX_BYTES / 4;
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
  /** By name of a file, once its request was seen. */
  readonly #senders = new Map<string, string>();
  readonly #ofSender = new Map<string, number>();
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

  /** Whether its sender has room, too: counted since the start of this process. */
  hasRoomFor(request: WholeRequest): boolean {
    return !this.isFull && (this.#ofSender.get(senderOf(request)) ?? 0) < MAX_SENDER_BYTES;
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
    const sender = senderOf(request);
    // Also what is being written has its place.
    this.#bytes += sealed.length;
    this.#count(sender, sealed.length);
    try {
      await writeComplete(join(this.#dir, name), sealed);
    } catch (error) {
      this.#bytes -= sealed.length;
      this.#count(sender, -sealed.length);
      await rm(join(this.#dir, name), { force: true });
      throw error;
    }
    this.#senders.set(name, sender);
    this.#sizes.set(name, sealed.length);
  }

  /**
   * Sends everything to a leader, each sender's requests in order: a sender to which the leader says
   * "later" does not hold back the others. Ends early when `isOver`.
   */
  async sendTo(leader: string, isOver: () => boolean): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (!isOver() && (await this.#sendOnce(leader, isOver))) await setTimeout(RETRY_MS);
    } finally {
      this.#isSending = false;
    }
  }

  /** @returns whether some have to be sent again */
  async #sendOnce(leader: string, isOver: () => boolean): Promise<boolean> {
    const waiting = new Set<string>();
    for (const name of namesIn(this.#dir)) {
      if (isOver()) return true;
      const known = this.#senders.get(name);
      if (known !== undefined && waiting.has(known)) continue;
      const request = await this.#read(name);
      if (request === null) {
        await this.#putAside(name);
        continue;
      }
      const sender = known ?? senderOf(request);
      if (known === undefined) {
        this.#senders.set(name, sender);
        this.#count(sender, this.#sizes.get(name) ?? 0);
      }
      if (waiting.has(sender)) continue;
      if (!(await this.#send(name, request, leader))) waiting.add(sender);
    }
    return waiting.size > 0;
  }

  /** @returns null for a file that cannot be read */
  async #read(name: string): Promise<WholeRequest | null> {
    try {
      return toSend(name, openRequest(this.#box, name, await readFile(join(this.#dir, name))));
    } catch (err) {
      this.#log.error(
        { err, name },
        "a request that was accepted without a leader cannot be read; it is in spool/refused",
      );
      return null;
    }
  }

  /** @returns whether the leader has taken or refused it; false: it has to be sent again */
  async #send(name: string, request: WholeRequest, leader: string): Promise<boolean> {
    const reply = await this.#forwarder.exchange(leader, request).catch((error: unknown) => {
      this.#forwarder.failed(leader, error);
      return null;
    });
    if (reply === null) return false;
    const { status, body } = reply;
    if (LATER.has(status) || (status === 409 && body.includes(IN_PROGRESS))) {
      this.#forwarder.failed(leader, new Error(`the leader answers ${status} to what was accepted without one`));
      return false;
    }
    if (status < 400) {
      await rm(join(this.#dir, name));
      this.#removed(name);
      return true;
    }
    this.#log.error(
      { status, method: request.method, name },
      "the leader refuses a request that was accepted without a leader; it stays in spool/refused",
    );
    await this.#noteRefusal(name, { status, reason: body.toString("utf8").slice(0, REASON_CHARS) });
    await this.#putAside(name);
    return true;
  }

  async #putAside(name: string): Promise<void> {
    await rename(join(this.#dir, name), join(this.#dir, REFUSED_DIR, name));
    this.#removed(name);
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
    const size = this.#sizes.get(name) ?? 0;
    const sender = this.#senders.get(name);
    if (sender !== undefined) this.#count(sender, -size);
    this.#bytes -= size;
    this.#sizes.delete(name);
    this.#senders.delete(name);
  }

  #count(sender: string, bytes: number): void {
    const sum = (this.#ofSender.get(sender) ?? 0) + bytes;
    if (sum > 0) this.#ofSender.set(sender, sum);
    else this.#ofSender.delete(sender);
  }
}

/** PagerDuty's Events API, version 2 and 1: the key is in the body, and nothing else counts. */
const KEY_IN_BODY = /^\/(?:v2\/enqueue|generic\/2010-04-15\/create_event\.json)$/;
/** Routes with a token in the path, which counts whatever else a request has. */
const TOKEN_IN_PATH =
  /^\/(?:(?:ping|api\/push|in|hooks\/channels|api\/v2\/heartbeat)\/[^/]+|integrations\/v1\/[^/]+\/[^/]+)/;

/** What tells senders apart: the token in the path, the key in the body, otherwise the secret of the credentials. */
function senderOf({ path: sent, headers, body }: WholeRequest): string {
  const path = decoded(sent.split("?")[0] ?? "");
  const { authorization, "x-api-key": apiKey, cookie } = headers;
  const token = TOKEN_IN_PATH.exec(path)?.[0] ?? (KEY_IN_BODY.test(path) ? `${path} ${keyIn(body)}` : undefined);
  const secret = [authorization ?? []]
    .flat()[0]
    ?.replace(/^\s*\S+\s+/, "")
    .trim();
  return sha256Hex(JSON.stringify([token ?? apiKey ?? secret ?? cookie ?? path]));
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** What those APIs accept is smaller, and what a stranger sends is not parsed for long. */
const MAX_KEYED_BYTES = 1_048_576;

function keyIn(body: Buffer): unknown {
  if (body.length > MAX_KEYED_BYTES) return null;
  try {
    const { routing_key: key, service_key: old } = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
    return key ?? old;
  } catch {
    return null;
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
