import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { PARTIAL, writeComplete } from "../../../core/data-dir.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { EmergencyReason } from "./port.ts";

export const WAYS = ["webhook", "smtp", "command"] as const;
export type WayName = (typeof WAYS)[number];

/** `started`: the outcome is not known; after a kill it counts as a call. */
export type WayState = "started" | "accepted" | "failed";

/** The last call for one reason, of this process or an earlier one. */
export interface CallRecord {
  readonly id: string;
  readonly at: EpochMs;
  readonly ways: Partial<Record<WayName, WayState>>;
}

/** All files have this size, so that a full disk can still take a new record in place of the old one. */
const FILE_BYTES = 512;

/**
 * The last call for each reason, one small file each in the data directory: a server that crashes
 * again and again knows that it has called.
 */
export class CallFiles {
  readonly #dir: string;

  constructor(dataDir: string) {
    this.#dir = join(dataDir, "emergency");
  }

  /** @returns null if there was no call, or its file cannot be read */
  async read(reason: EmergencyReason): Promise<CallRecord | null> {
    try {
      const { id, at, ways } = JSON.parse(await readFile(this.#path(reason), "utf8")) as Partial<CallRecord>;
      return typeof id === "string" && Number.isSafeInteger(at) && ways ? { id, at: Number(at), ways } : null;
    } catch {
      return null;
    }
  }

  /** Resolves when it is on disk. @throws errors of the file system */
  async write(reason: EmergencyReason, record: CallRecord): Promise<void> {
    const path = this.#path(reason);
    const bytes = Buffer.from(`${JSON.stringify(record).padEnd(FILE_BYTES - 1)}\n`);
    try {
      // A kill may have left it.
      await rm(`${path}${PARTIAL}`, { force: true });
      await writeComplete(path, bytes);
    } catch (error) {
      await overwrite(path, bytes).catch(() => Promise.reject(error));
    }
  }

  /** Makes the file of a reason that is raised when the disk is full. Failing changes nothing. */
  async prepare(reason: EmergencyReason): Promise<void> {
    const path = this.#path(reason);
    if (await readFile(path).catch(() => null)) return;
    await mkdir(this.#dir, { mode: 0o700, recursive: true }).catch(() => undefined);
    await writeComplete(path, Buffer.from("{}".padEnd(FILE_BYTES))).catch(() => undefined);
  }

  #path(reason: EmergencyReason): string {
    return join(this.#dir, `${reason}.json`);
  }
}

/** Needs no free space. @throws if the file does not exist */
async function overwrite(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
