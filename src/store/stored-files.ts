import { open, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { PARTIAL, writeComplete } from "../core/data-dir.ts";
import type { Logger } from "../core/log.ts";
import { type Clock, DAY_MS, type EpochMs, HOUR_MS } from "../core/time/clock.ts";

/** Files that each node of a cluster can read. Names are `folder/key`. */
export interface SharedFiles {
  /** Resolves when a majority of the servers has it. */
  put(name: string, bytes: Buffer): Promise<void>;
  /** @returns null for a file that is not there */
  get(name: string): Promise<Buffer | null>;
  /** Succeeds if it is already gone. */
  remove(name: string): Promise<void>;
  /** All files of a folder by name. */
  list(folder: string): Promise<ReadonlyMap<string, SharedFile>>;
}

export interface SharedFile {
  readonly putAt: EpochMs;
  /** It is sealed with the secret of today. */
  readonly isCurrent: boolean;
}

/** Bytes from `first` to `last`, both included. */
interface Range {
  readonly first: number;
  readonly last: number;
}

const SHARE_AGAIN_MS = 600_000;
/** A file is put before the row that names it is committed. */
const STRAY_MS = HOUR_MS;

/**
 * Files under generated keys, in a folder of the data directory, readable by the owner only. In a
 * cluster each of them is also where all nodes find it: a node that takes over fetches what it lacks.
 */
export class StoredFiles {
  readonly #dir: string;
  readonly #isKey: (text: string) => boolean;
  readonly #shared: SharedFiles | null;
  readonly #fetches = new Map<string, Promise<boolean>>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** @param isKey whether a text may be a key: that of a client never becomes a path */
  constructor(dir: string, isKey: (text: string) => boolean, shared: SharedFiles | null) {
    this.#dir = dir;
    this.#isKey = isKey;
    this.#shared = shared;
  }

  /** Resolves when the bytes are durable. */
  async put(key: string, bytes: Buffer): Promise<void> {
    const path = this.#pathOf(key);
    await writeComplete(path, bytes);
    try {
      await this.#shared?.put(this.#nameOf(key), bytes);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  /** @returns null for a file that is not there */
  async read(key: string, { first, last }: Range): Promise<Readable | null> {
    const path = this.#pathOf(key);
    const file = (await openIfThere(path)) ?? ((await this.#fetch(key)) ? await openIfThere(path) : null);
    return file?.createReadStream({ start: first, end: last }) ?? null;
  }

  /** Succeeds if it is already gone. */
  async remove(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
    await this.#shared?.remove(this.#nameOf(key));
  }

  /**
   * Removes partial files of a crash, and those that are not kept. Only at a start, before the server
   * answers. @returns their number
   */
  async sweep(isKept: (key: string) => Promise<boolean> | boolean): Promise<number> {
    let removed = 0;
    for (const name of await namesIn(this.#dir)) {
      const key = name.endsWith(PARTIAL) ? name.slice(0, -PARTIAL.length) : name;
      if (!this.#isKey(key) || (key === name && (await isKept(key)))) continue;
      await rm(join(this.#dir, name), { force: true });
      removed++;
    }
    return removed;
  }

  /**
   * In a cluster, until {@link stop}: now and once a day fetches the files that this node lacks, puts
   * those that only it has, and removes the shared ones that no row names.
   */
  share(parts: { keys(): Promise<string[]>; readonly clock: Clock; readonly log: Logger }): void {
    const shared = this.#shared;
    if (shared === null) return;
    const run = async (): Promise<void> => {
      const again = await this.#exchange(shared, parts).then(
        () => DAY_MS,
        (err: unknown) => {
          parts.log.warn({ err, folder: this.#folder }, "cannot exchange files with the cluster; trying again");
          return SHARE_AGAIN_MS;
        },
      );
      if (!this.#isStopped) this.#timer = setTimeout(() => void run(), again).unref();
    };
    void run();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #exchange(
    shared: SharedFiles,
    { keys, clock }: { keys(): Promise<string[]>; readonly clock: Clock },
  ): Promise<void> {
    const found = await shared.list(this.#folder);
    const wanted = new Set((await keys()).map((key) => this.#nameOf(key)));
    const failures: unknown[] = [];
    for (const name of wanted)
      await this.#level(shared, name, found.get(name)).catch((error: unknown) => failures.push(error));
    for (const [name, { putAt }] of found)
      if (!wanted.has(name) && putAt < clock.now() - STRAY_MS) await shared.remove(name);
    if (failures.length > 0) throw failures[0];
  }

  async #level(shared: SharedFiles, name: string, found: SharedFile | undefined): Promise<void> {
    const key = basename(name);
    const path = this.#pathOf(key);
    if (found !== undefined && !(await isThere(path))) await this.#fetch(key);
    if (found?.isCurrent !== true && (await isThere(path))) await shared.put(name, await readFile(path));
  }

  /** Requests for one file wait for the same fetch. @returns whether it is in the folder now */
  #fetch(key: string): Promise<boolean> {
    const running = this.#fetches.get(key);
    if (running) return running;
    const fetching = this.#fetchOnce(key).finally(() => this.#fetches.delete(key));
    this.#fetches.set(key, fetching);
    return fetching;
  }

  async #fetchOnce(key: string): Promise<boolean> {
    const bytes = (await this.#shared?.get(this.#nameOf(key))) ?? null;
    if (bytes === null) return false;
    await writeComplete(this.#pathOf(key), bytes);
    return true;
  }

  get #folder(): string {
    return basename(this.#dir);
  }

  #nameOf(key: string): string {
    return `${this.#folder}/${key}`;
  }

  /** @throws TypeError for a key of another form */
  #pathOf(key: string): string {
    if (!this.#isKey(key)) throw new TypeError(`files of ${this.#folder} are kept under generated keys`);
    return join(this.#dir, key);
  }
}

async function openIfThere(path: string) {
  try {
    return await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
