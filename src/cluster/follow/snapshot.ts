import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Msg } from "@nats-io/transport-node";
import { createDatabaseFile, freeBytes, PARTIAL, syncDir, syncFile } from "../../core/data-dir.ts";
import type { Logger } from "../../core/log.ts";
import { reading } from "../../store/sqlite/connection.ts";
import { requireRoomForSnapshot, snapshotDatabase } from "../../store/sqlite/snapshot.ts";
import { newRecordId } from "../log/record.ts";
import { listen, type NodeTransport } from "../signals.ts";
import { Diverged } from "./applier.ts";

/* A copy of the leader's database for a node that has none, or that the log no longer reaches. */

/** Bytes of a message; servers refuse 1 MiB and more by default. */
const CHUNK_BYTES = 524_288;
const TIMEOUT_MS = 5000;
const RETRY_MS = 1000;
/** A copy that no node has read from for so long is removed; an older one is not given to another node. */
const KEPT_MS = 60_000;
const CONTEXT = "prism cluster snapshot";

interface SnapshotRequest {
  /** Empty: make a copy. */
  readonly id: string;
  readonly offset: number;
}

interface SnapshotReply {
  readonly id: string;
  /** Of the request: another answer is not taken for it. */
  readonly offset: number;
  readonly size: number;
  readonly chunk: Uint8Array;
}

interface LoggedTransport extends NodeTransport {
  readonly log: Logger;
}

const subjectOf = (name: string): string => `prism.${name}.snapshot`;

/** Copies that a node gives to others. */
export interface Snapshots {
  /** A node reads one. */
  readonly isInUse: boolean;
}

interface Copied {
  readonly file: string;
  /** Stays free: with less this node would refuse events. */
  readonly minFreeBytes: number;
  readonly free?: typeof freeBytes;
}

/** Gives copies of this node's file to other nodes, which share one that is in use; messages are sealed. */
export function serveSnapshots(
  { nats, name, box, log }: LoggedTransport,
  { file, minFreeBytes, free = freeBytes }: Copied,
): Snapshots {
  const path = join(dirname(file), ".cluster-snapshot.partial");
  let current: { readonly id: string; readonly size: number; readonly madeAt: number; usedAt: number } | null = null;
  const drop = (): void => {
    for (const each of [path, `${path}-journal`]) rmSync(each, { force: true });
    current = null;
  };
  // Of a process that was killed.
  drop();
  const timer = setInterval(() => {
    if (current && performance.now() - current.usedAt > KEPT_MS) drop();
  }, KEPT_MS);
  timer.unref();
  process.once("exit", drop);
  let making: Promise<void> | null = null;
  const make = async (): Promise<void> => {
    drop();
    requireRoomForSnapshot({ file, folder: dirname(file), keptBytes: minFreeBytes }, free);
    createDatabaseFile(path);
    await snapshotDatabase({ file, into: path }).catch((error: unknown) => {
      drop();
      throw error;
    });
    const madeAt = performance.now();
    current = { id: newRecordId(), size: statSync(path).size, madeAt, usedAt: madeAt };
    log.info({ bytes: current.size }, "another node copies the database");
  };
  const answer = async (message: Msg): Promise<void> => {
    const request = JSON.parse(box.open(CONTEXT, message.data).toString()) as SnapshotRequest;
    // The log may have been shortened since an older one was made.
    if (request.id === "" && (current === null || performance.now() - current.madeAt > KEPT_MS)) {
      making ??= make().finally(() => {
        making = null;
      });
      await making;
    }
    if (current === null || (request.id !== "" && request.id !== current.id)) return;
    current.usedAt = performance.now();
    const { id, size } = current;
    const { offset } = request;
    message.respond(box.seal(CONTEXT, encodeReply({ id, offset, size, chunk: chunkOf(path, offset, size) })));
  };
  listen(nats, subjectOf(name), (message) => {
    answer(message).catch((err: unknown) => log.warn({ err }, "cannot give a copy of the database"));
  });
  return {
    get isInUse() {
      return making !== null || current !== null;
    },
  };
}

function chunkOf(path: string, offset: number, size: number): Uint8Array {
  const chunk = Buffer.alloc(Math.max(0, Math.min(CHUNK_BYTES, size - offset)));
  const descriptor = openSync(path, "r");
  try {
    readSync(descriptor, chunk, 0, chunk.length, offset);
    return chunk;
  } finally {
    closeSync(descriptor);
  }
}

interface CopyOptions {
  /** Files that say what the database before held: they go with it. */
  readonly notes?: readonly string[];
  readonly free?: typeof freeBytes;
}

/** Copies the leader's database to `file`, once a leader answers. @throws Diverged for a damaged copy */
export async function fetchSnapshot(
  transport: LoggedTransport,
  file: string,
  { notes = [], free = freeBytes }: CopyOptions = {},
): Promise<void> {
  const { log } = transport;
  const [partial, folder] = [`${copyOf(file)}${PARTIAL}`, dirname(file)];
  for (let reported = ""; ; ) {
    rmSync(partial, { force: true });
    try {
      await copyTo(transport, partial, (bytes) => {
        if (free(folder) < bytes) throw new NoRoom(folder, bytes);
      });
      break;
    } catch (error) {
      rmSync(partial, { force: true });
      if (String(error) !== reported)
        log.warn({ err: error }, "cannot copy the database from the leader yet; trying again");
      reported = String(error);
      // Without room it does not ask: the leader would make one copy after the other.
      do await setTimeout(RETRY_MS);
      while (error instanceof NoRoom && free(folder) < error.bytes);
    }
  }
  const problem = reading(partial, (connection) => connection.pragma("quick_check", { simple: true }));
  if (problem !== "ok") throw new Diverged(`the copy of the leader's database is damaged: ${String(problem)}`);
  syncFile(partial);
  renameSync(partial, copyOf(file));
  syncDir(folder);
  finishCopy(file, notes);
}

function copyOf(file: string): string {
  return `${file}.copy`;
}

/**
 * Lets a whole copy replace the database. After a crash at any step the next start goes on with it:
 * until the copy is whole the database of before stays as it is. @param notes as for {@link fetchSnapshot}
 */
export function finishCopy(file: string, notes: readonly string[]): void {
  const copy = copyOf(file);
  rmSync(`${copy}${PARTIAL}`, { force: true });
  if (!existsSync(copy)) return;
  // These go first: SQLite would apply the write-ahead log of the old database to the copy.
  for (const each of [`${file}-wal`, `${file}-shm`, ...notes]) rmSync(each, { force: true });
  syncDir(dirname(file));
  renameSync(copy, file);
  syncDir(dirname(file));
}

class NoRoom extends Error {
  readonly bytes: number;

  constructor(folder: string, bytes: number) {
    super(`the leader's database has ${bytes} bytes, and the disk of ${folder} less room: free some`);
    this.name = "NoRoom";
    this.bytes = bytes;
  }
}

async function copyTo(transport: LoggedTransport, path: string, requireRoom: (bytes: number) => void): Promise<void> {
  createDatabaseFile(path);
  const descriptor = openSync(path, "r+");
  try {
    let { id, size, chunk } = await ask(transport, { id: "", offset: 0 }, 10 * TIMEOUT_MS);
    requireRoom(size);
    for (let offset = 0; ; ) {
      writeSync(descriptor, chunk, 0, chunk.length, offset);
      offset += chunk.length;
      if (offset >= size) break;
      ({ id, size, chunk } = await ask(transport, { id, offset }, TIMEOUT_MS));
      if (chunk.length === 0) throw new Error("the copy ended early");
    }
    transport.log.info({ bytes: size }, "copied the database from the leader");
  } finally {
    closeSync(descriptor);
  }
}

async function ask(
  { nats, name, box }: NodeTransport,
  request: SnapshotRequest,
  timeout: number,
): Promise<SnapshotReply> {
  const sealed = box.seal(CONTEXT, Buffer.from(JSON.stringify(request)));
  const message = await nats.request(subjectOf(name), sealed, { timeout });
  const reply = decodeReply(box.open(CONTEXT, message.data));
  if (reply.offset !== request.offset || (request.id !== "" && reply.id !== request.id))
    throw new Error("the answer belongs to another request for a copy");
  return reply;
}

function encodeReply({ id, offset, size, chunk }: SnapshotReply): Buffer {
  const head = Buffer.from(JSON.stringify({ id, offset, size }));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(head.length);
  return Buffer.concat([length, head, chunk]);
}

function decodeReply(bytes: Buffer): SnapshotReply {
  const end = 2 + bytes.readUInt16BE(0);
  const head = JSON.parse(bytes.toString("utf8", 2, end)) as Omit<SnapshotReply, "chunk">;
  return { ...head, chunk: bytes.subarray(end) };
}
