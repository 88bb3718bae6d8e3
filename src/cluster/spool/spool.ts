import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { mkdir, opendir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { redactText } from "../../config/logger.ts";
import type { SealedBox } from "../../core/crypto/sealed-box.ts";
import { sha256Hex } from "../../core/crypto/tokens.ts";
import { SPOOL_DIR, writeComplete } from "../../core/data-dir.ts";
import { instantOfId, uuidv7 } from "../../core/ids.ts";
import { Shares } from "../../core/limits/slots.ts";
import type { Logger } from "../../core/log.ts";
import { DAY_MS } from "../../core/time/clock.ts";
import { TAKEN_AT_HEADER } from "../../http/server/headers.ts";
import { type Forwarder, Unanswered, type WholeRequest } from "../follow/forward.ts";

const SUFFIX = ".request";
const REFUSED_DIR = "refused";
const CONTEXT = "prism cluster spool";
const MAX_BYTES = 268_435_456;
/** A small file takes its block of the disk, and time to be listed. */
const MIN_BYTES = 4096;
/** Part of the room that one credential takes at most, within the share of its owner. */
const SENDER_SHARE = 1 / 4;
const RETRY_MS = 1000;
/** What the leader puts off for longer is put aside. */
const MOST_LATER_MS = DAY_MS;
/** What the leader has got so often, and not answered, is put aside: it may be what ends leaders. */
const MOST_UNANSWERED = 10;
/** Attempts in between do not count: a connection may be accepted and closed where no leader listens. */
const UNANSWERED_EVERY_MS = 5000;
const DIGITS = 12;
const UUID_LENGTH = 36;
const OWNER_LENGTH = 16;
const LISTED_AT_ONCE = 1000;
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
  readonly retryMs?: number;
  readonly mostLaterMs?: number;
  readonly unansweredEveryMs?: number;
}

interface SpooledFile {
  readonly bytes: number;
  /** Null until its request was seen. */
  sender: string | null;
  isWritten: boolean;
  /** When this leader first put it off, by the monotonic clock; null: it did not. */
  laterSince: number | null;
  /** When a leader last got it and did not answer, by the same clock, if that counted. */
  unansweredAt?: number;
}

/**
 * Requests that a node has accepted without a leader: one sealed file each, `<number>-<uuid>-<owner>`,
 * until a leader has them. The uuid is sent as the `Idempotency-Key`, so that a second time does nothing
 * where routes know it; no other request of any node has it. One owner (the person that owns the project)
 * takes no more of the room than is left, one of its credentials a quarter of all.
 */
export class Spool {
  readonly #dir: string;
  readonly #parts: Required<SpoolParts>;
  /** By name, in the order of their arrival. */
  #files = new Map<string, SpooledFile>();
  readonly #ofOwners = new Shares(MAX_BYTES, 1);
  /** Of files whose sender is known. */
  readonly #ofSenders = new Shares(MAX_BYTES, SENDER_SHARE);
  /** Names of the last pings, by {@link pingKeyOf}. */
  readonly #pings = new Map<string, string>();
  /** Senders whose last request was not answered: they come after the others. */
  readonly #slow = new Set<string>();
  #loading: Promise<void> | null = null;
  #next = 1;
  #isSending = false;

  constructor(parts: SpoolParts) {
    const times = { retryMs: RETRY_MS, mostLaterMs: MOST_LATER_MS, unansweredEveryMs: UNANSWERED_EVERY_MS };
    this.#parts = { ...times, ...parts };
    this.#dir = join(parts.dataDir, SPOOL_DIR);
    mkdirSync(join(this.#dir, REFUSED_DIR), { recursive: true, mode: 0o700 });
  }

  /** Requests that wait for a leader. */
  get waiting(): number {
    return this.#files.size;
  }

  /**
   * Resolves when it is on disk. @param owner who pays for it; null: all together that have none.
   * @throws NotKept without room, and errors of the disk: it is not kept
   */
  async add(request: WholeRequest, owner: string | null = null): Promise<void> {
    await this.#loaded();
    const sender = senderOf(request);
    const ownerKey = sha256Hex(owner ?? "").slice(0, OWNER_LENGTH);
    const number = String(this.#next++).padStart(DIGITS, "0");
    const name = `${number}-${uuidv7()}-${ownerKey}${SUFFIX}`;
    const sealed = sealedRequest(this.#parts.box, name, request);
    const pingKey = pingKeyOf(request, sender);
    const earlier = pingKey === null ? undefined : this.#pings.get(pingKey);
    const file: SpooledFile = { bytes: sizeOf(sealed.length), sender, isWritten: false, laterSince: null };
    const bytes = file.bytes - (this.#files.get(earlier ?? "")?.bytes ?? 0);
    const hasRoom = this.#ofSenders.hasRoom(sender, bytes) && this.#ofOwners.hasRoom(ownerKey, bytes);
    if (bytes > 0 && !hasRoom) throw new NotKept("one sender or its owner has filled its share of the spool");
    // Also what is being written has its place.
    this.#noteFile(name, file);
    if (pingKey !== null) this.#pings.set(pingKey, name);
    try {
      await writeComplete(join(this.#dir, name), sealed);
      file.isWritten = true;
    } catch (error) {
      this.#removed(name);
      await rm(join(this.#dir, name), { force: true });
      throw error;
    }
    if (earlier !== undefined) await this.#replace(earlier);
  }

  /** What a heartbeat is follows from the last ping of each kind. */
  async #replace(earlier: string): Promise<void> {
    if (this.#isSending || !this.#files.get(earlier)?.isWritten) return;
    this.#removed(earlier);
    await rm(join(this.#dir, earlier), { force: true });
  }

  /**
   * Sends everything to a leader, each sender's requests in order: a sender to which the leader says
   * "later" does not hold back the others. Ends early when `isOver`.
   */
  async sendTo(leader: string, isOver: () => boolean): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    this.#pings.clear();
    // Another leader may have put it off, and the time without one does not count.
    for (const file of this.#files.values()) file.laterSince = null;
    try {
      while (!isOver() && (await this.#sendOnce(leader, isOver))) await setTimeout(this.#parts.retryMs);
    } finally {
      this.#isSending = false;
    }
  }

  /** Without the list people are paged from the copy all the same. */
  #loaded(): Promise<void> {
    this.#loading ??= this.#look().catch((err: unknown) => {
      this.#loading = null;
      this.#parts.log.warn({ err }, "cannot list what was accepted without a leader");
    });
    return this.#loading;
  }

  /** Finds the files of an earlier run, and those that were moved here or deleted. */
  async #look(): Promise<void> {
    const gone = new Set<string>();
    for (const [name, { isWritten }] of this.#files) if (isWritten) gone.add(name);
    const found: string[] = [];
    await mkdir(join(this.#dir, REFUSED_DIR), { recursive: true, mode: 0o700 });
    for await (const { name } of await opendir(this.#dir, { bufferSize: LISTED_AT_ONCE })) {
      if (!name.endsWith(SUFFIX)) continue;
      gone.delete(name);
      if (!this.#files.has(name)) found.push(name);
    }
    for (const name of gone) this.#removed(name);
    for (const name of found) {
      const bytes = await sizeOfFile(join(this.#dir, name));
      if (bytes !== null && !this.#files.has(name))
        this.#noteFile(name, { bytes, sender: null, isWritten: true, laterSince: null });
    }
    if (found.length === 0) return;
    this.#files = new Map([...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#next = Math.max(this.#next, Number.parseInt([...this.#files.keys()].at(-1) ?? "0", 10) + 1);
  }

  /** @returns whether some have to be sent again */
  async #sendOnce(leader: string, isOver: () => boolean): Promise<boolean> {
    await this.#loaded();
    await this.#look();
    const waiting = new Set<string>();
    const slow = new Set(this.#slow);
    for (const isSlow of [false, true]) {
      for (const [name, file] of this.#files) {
        if (isOver()) return true;
        if (!file.isWritten) continue;
        if (file.sender !== null && (waiting.has(file.sender) || slow.has(file.sender) !== isSlow)) continue;
        try {
          const request = await this.#read(name);
          if (request === null) {
            await this.#putAside(name);
            continue;
          }
          const sender = this.#noteSender(file, request);
          if (waiting.has(sender) || slow.has(sender) !== isSlow) continue;
          if (!(await this.#send(name, { file, sender, request }, leader))) waiting.add(sender);
        } catch (err) {
          // An error of the disk: it keeps its place, and does not hold back other senders.
          this.#parts.log.error(
            { err, name },
            "cannot send a request that was accepted without a leader; trying again",
          );
          waiting.add(file.sender ?? name);
        }
      }
    }
    return waiting.size > 0;
  }

  /** @returns null for a file that does not open. @throws errors of the disk */
  async #read(name: string): Promise<SpooledRequest | null> {
    const sealed = await readFile(join(this.#dir, name));
    try {
      return openRequest(this.#parts.box, name, sealed);
    } catch (err) {
      this.#parts.log.error(
        { err, name },
        "a request that was accepted without a leader cannot be read; it is in spool/refused",
      );
      return null;
    }
  }

  /** @returns whether the leader has taken or refused it; false: it has to be sent again */
  async #send(name: string, { file, sender, request }: Sending, leader: string): Promise<boolean> {
    const reply = await this.#parts.forwarder.exchange(leader, toSend(name, request)).catch((error: unknown) => {
      this.#parts.forwarder.failed(leader, error);
      return error instanceof Unanswered ? "no-answer" : null;
    });
    if (reply === null) return false;
    if (reply === "no-answer") return this.#unanswered(name, { file, sender, request });
    this.#slow.delete(sender);
    const { status, body } = reply;
    if (LATER.has(status) || (status === 409 && body.includes(IN_PROGRESS))) {
      const now = performance.now();
      file.laterSince ??= now;
      this.#parts.forwarder.failed(leader, new Error(`the leader answers ${status} to what was accepted without one`));
      if (now - file.laterSince < this.#parts.mostLaterMs) return false;
    } else if (status < 400) {
      await rm(join(this.#dir, name));
      this.#removed(name);
      return true;
    }
    await this.#refused(name, request, { status, reason: body.toString("utf8").slice(0, REASON_CHARS) });
    return true;
  }

  /** Counts on disk, because the request may end this node, too, when it leads. @returns whether it is put aside */
  async #unanswered(name: string, { file, sender, request }: Sending): Promise<boolean> {
    this.#slow.add(sender);
    const now = performance.now();
    if (file.unansweredAt !== undefined && now - file.unansweredAt < this.#parts.unansweredEveryMs) return false;
    file.unansweredAt = now;
    const unanswered = (request.unanswered ?? 0) + 1;
    if (unanswered >= MOST_UNANSWERED) {
      this.#slow.delete(sender);
      await this.#refused(name, request, { reason: `no answer, ${unanswered} times` });
      return true;
    }
    await this.#rewrite(name, { ...request, unanswered });
    return false;
  }

  /** Puts a request aside. Paths of receivers and heartbeats have their tokens. */
  async #refused(
    name: string,
    { method, path }: SpooledRequest,
    answer: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    this.#parts.log.error(
      { ...answer, method, path: redactText(path), name },
      "the leader refuses a request that was accepted without a leader; it stays in spool/refused",
    );
    await this.#putAside(name);
  }

  async #putAside(name: string): Promise<void> {
    await rename(join(this.#dir, name), join(this.#dir, REFUSED_DIR, name));
    this.#removed(name);
  }

  /** A full disk keeps it as it was. */
  async #rewrite(name: string, request: SpooledRequest): Promise<void> {
    try {
      await writeComplete(join(this.#dir, name), sealedRequest(this.#parts.box, name, request));
    } catch (err) {
      this.#parts.log.warn({ err, name }, "cannot note what the leader answers to a request");
    }
  }

  #noteFile(name: string, file: SpooledFile): void {
    this.#files.set(name, file);
    this.#ofOwners.add(ownerIn(name), file.bytes);
    if (file.sender !== null) this.#ofSenders.add(file.sender, file.bytes);
  }

  #noteSender(file: SpooledFile, request: SpooledRequest): string {
    if (file.sender !== null) return file.sender;
    file.sender = senderOf(request);
    this.#ofSenders.add(file.sender, file.bytes);
    return file.sender;
  }

  #removed(name: string): void {
    const file = this.#files.get(name);
    if (file === undefined) return;
    this.#files.delete(name);
    this.#ofOwners.add(ownerIn(name), -file.bytes);
    if (file.sender !== null) this.#ofSenders.add(file.sender, -file.bytes);
  }
}

interface Sending {
  readonly file: SpooledFile;
  readonly sender: string;
  readonly request: SpooledRequest;
}

/** A request cannot be kept for the next leader. */
export class NotKept extends Error {
  override readonly name = "NotKept";
}

function sizeOf(bytes: number): number {
  return Math.max(bytes, MIN_BYTES);
}

/** @returns null when it is gone */
async function sizeOfFile(path: string): Promise<number | null> {
  try {
    return sizeOf((await stat(path)).size);
  } catch {
    return null;
  }
}

/** '' for a file of an earlier version. */
function ownerIn(name: string): string {
  return name.slice(DIGITS + 1 + UUID_LENGTH + 1, -SUFFIX.length);
}

/** PagerDuty's Events API, version 2 and 1: the key is in the body, and nothing else counts. */
const KEY_IN_BODY = /^\/(?:v2\/enqueue|generic\/2010-04-15\/create_event\.json)$/;
/** Routes with a token in the path, which counts whatever else a request has. */
const TOKEN_IN_PATH =
  /^\/(?:(?:ping|api\/push|in|hooks\/channels|api\/v2\/heartbeat)\/[^/]+|integrations\/v1\/[^/]+\/[^/]+)/;

/** What tells senders apart: the token in the path, the key in the body, otherwise the secret of the credentials. */
function senderOf({ path: sent, headers, body }: WholeRequest): string {
  const [undecoded = "", ...query] = sent.split("?");
  const path = decoded(undecoded);
  const parameters = new URLSearchParams(query.join("?"));
  const inQuery = parameters.get("token") ?? parameters.get("access_token");
  const { authorization, "x-api-key": apiKey, cookie } = headers;
  const token = TOKEN_IN_PATH.exec(path)?.[0] ?? (KEY_IN_BODY.test(path) ? `${path} ${keyIn(body)}` : undefined);
  const secret = [authorization ?? []]
    .flat()[0]
    ?.replace(/^\s*\S+\s+/, "")
    .trim();
  return sha256Hex(JSON.stringify([token ?? apiKey ?? secret ?? inQuery ?? cookie ?? path]));
}

const PING =
  /^\/(?:ping|api\/push|api\/v2\/heartbeat|v2\/heartbeats)\/|^\/integrations\/v1\/[^/]+\/[^/]+\/heartbeat\/?$/;

export function isPing(path: string): boolean {
  return PING.test(path.split("?")[0] ?? "");
}

/** Null for what is no ping, or has a body, which may say how the job went. */
function pingKeyOf({ method, path, body }: WholeRequest, sender: string): string | null {
  return isPing(path) && body.length === 0 ? sha256Hex(JSON.stringify([sender, method, path])) : null;
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

interface SpooledRequest extends WholeRequest {
  /** How often the leader got it, and did not answer. */
  readonly unanswered?: number;
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

function toSend(name: string, { method, path, headers, body }: SpooledRequest): WholeRequest {
  const key = name.slice(DIGITS + 1, DIGITS + 1 + UUID_LENGTH);
  const own = { "accept-encoding": "identity", [TAKEN_AT_HEADER]: String(instantOfId(key)) };
  return { ...{ method, path, body }, headers: { "idempotency-key": key, ...headers, ...own } };
}

/** Names of files in the order of their arrival; the folder may be missing. */
function namesIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => name.endsWith(SUFFIX))
    .sort();
}

interface Spooled {
  readonly waiting: number;
  readonly oldestAt: number | null;
  readonly refused: number;
}

/** What is on disk, for commands. `oldestAt` is in epoch ms; null: nothing waits. */
export function spooledIn(dataDir: string): Spooled {
  const dir = join(dataDir, SPOOL_DIR);
  const waiting = namesIn(dir);
  const [oldest] = waiting;
  return {
    waiting: waiting.length,
    oldestAt: oldest === undefined ? null : instantOfId(oldest.slice(DIGITS + 1)),
    refused: namesIn(join(dir, REFUSED_DIR)).length,
  };
}
