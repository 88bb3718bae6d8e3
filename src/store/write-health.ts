import { readFileSync, realpathSync, statSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { leastFreeBytes } from "../core/data-dir.ts";
import { PrismError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { periodic } from "../core/time/periodic.ts";
import type { CommitFailure } from "./commit/write-set.ts";
import { ingestLimitBytes, ingestResumesBytes } from "./sqlite/connection.ts";
import { databaseLimitReached } from "./sqlite/sqlite-errors.ts";

/** How long a failed commit counts, even if others succeed: a full disk refuses large ones. */
const FAILURE_HOLDS_MS = 1000;

/** Outcomes of a process's latest commits. Times are monotonic, in ms. */
export class WriteRecord {
  readonly #now: () => number;
  #committedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #failure: CommitFailure | null = null;
  #commits = 0;
  #limited = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Number of commits. While it grows, waiting writes make progress. */
  get commits(): number {
    return this.#commits;
  }

  /** How many sets of ingest did not fit below the limit. */
  get limited(): number {
    return this.#limited;
  }

  get sinceCommitMs(): number {
    return this.#now() - this.#committedAt;
  }

  /** Why nothing can be written, judged by the latest commits; null when they succeeded. */
  get failure(): CommitFailure | null {
    const isOver = this.#committedAt > this.#failedAt && this.#now() - this.#failedAt >= FAILURE_HOLDS_MS;
    return isOver ? null : this.#failure;
  }

  committed(): void {
    this.#commits++;
    this.#committedAt = this.#now();
  }

  /** A refusal by SQL, the limit of ingest or a lock of another process says nothing about the disk. */
  failed(failure: CommitFailure): void {
    if (failure === "limit") this.#limited++;
    if (failure === "internal" || failure === "busy" || failure === "limit") return;
    this.#failedAt = this.#now();
    this.#failure = failure;
  }
}

/** Why the database cannot be written. `gone`: its file was removed or replaced while open. */
export type WriteProblem = "full" | "readonly" | "failed" | "gone";

interface WriteHealthParts {
  readonly file: string;
  readonly record: WriteRecord;
  readonly log: Logger;
  /** Makes a commit. @returns whether it is on disk. */
  probe(): Promise<boolean>;
}

/** While commits succeed no probe is needed; an idle server writes at most once in this time. */
const TRUSTED_MS = 5000;

/** Each problem in words for people; also those of {@link StorageGuard}, and a write without an answer. */
export const PROBLEM_TEXT: Readonly<Record<WriteProblem | "disk" | "limit" | "blocked", string>> = {
  full: "the disk or the database is full: nothing can be stored",
  readonly: "the file system of the database is read-only: nothing can be stored",
  failed: "the database cannot be written: nothing can be stored",
  gone: "the database file was removed or replaced: what is stored now is lost when the server stops",
  disk: "the disk has less free space than minFreeBytes: new data is refused",
  limit: "the database has reached maxDbBytes: new data is refused",
  blocked: "the database does not answer writes: nothing can be stored",
};

/**
 * Whether commits reach the disk. Real commits answer that, so that load never looks like a
 * failure; an idle server makes a small commit.
 */
export class WriteHealth {
  readonly #parts: WriteHealthParts;
  readonly #identity: string;
  #reported: WriteProblem | null = null;

  constructor(parts: WriteHealthParts) {
    this.#parts = parts;
    this.#identity = identityOf(parts.file);
  }

  /** The known state, without writing. A change is logged. One look at the file. */
  known(): WriteProblem | null {
    const problem = this.#isGone() ? "gone" : problemOf(this.#parts.record.failure);
    if (problem !== this.#reported) this.#report(problem);
    return problem;
  }

  /** Writes if the latest commits give no answer. It queues: the caller limits the time. */
  async check(): Promise<WriteProblem | null> {
    const { record, probe } = this.#parts;
    if (this.known() === null && record.sinceCommitMs < TRUSTED_MS) return null;
    if (this.#isGone()) return "gone";
    const isWritten = await probe();
    return this.known() ?? (isWritten ? null : "failed");
  }

  #isGone(): boolean {
    return identityOf(this.#parts.file) !== this.#identity;
  }

  #report(problem: WriteProblem | null): void {
    const { log } = this.#parts;
    this.#reported = problem;
    if (problem === null) log.info({}, "database is writable again");
    else log.error({ problem }, PROBLEM_TEXT[problem]);
  }
}

function problemOf(failure: WriteRecord["failure"]): WriteProblem | null {
  if (failure === null) return null;
  return failure === "full" || failure === "readonly" ? failure : "failed";
}

/** Device and inode of a file, without opening it. */
function identityOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.dev}:${stat.ino}` : "none";
}

/** Counts the beats of a database file. */
const BEAT_KEY = "store.beat";
/** Interval of beats while commits are made. */
const BEAT_EVERY_MS = 2000;

export const BEAT_SQL = `insert into local_state (key, value, updatedAt) values ('store.beat', ?, ?)
  on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`;

/** Recorded outside the database: this beat of this file was on disk. */
interface NotedBeat {
  readonly database: string;
  readonly beat: number;
}

/** Files beside a database that say what it must hold: another database has none of them. */
export function notesOf(dataDir: string): string[] {
  return [join(dataDir, "audit.head"), join(dataDir, "jobs.begun"), beatFileOf(dataDir)];
}

/** The file that records the beat. It belongs to the database and moves with it. */
export function beatFileOf(dataDir: string): string {
  return join(dataDir, "store.beat");
}

export function storedBeat(connection: Sqlite): number {
  const read = connection.prepare<[string], number>("select value from local_state where key = ?").pluck();
  return read.get(BEAT_KEY) ?? 0;
}

/** The recorded beat of a database; 0 for none, or for another file. */
export function notedBeat(beatFile: string, databaseFile: string): number {
  const noted = parse(beatFile);
  return noted?.database === realpathSync(databaseFile) ? noted.beat : 0;
}

/** Says that acknowledged commits are missing; null if the database has the recorded beat. */
export function lostCommits(connection: Sqlite, beatFile: string, databaseFile: string): string | null {
  if (notedBeat(beatFile, databaseFile) <= storedBeat(connection)) return null;
  const cause = "its log (-wal) was removed, or the file was replaced by an older copy";
  return `the database lacks commits that an earlier server acknowledged: ${cause}`;
}

interface BeatsParts {
  readonly databaseFile: string;
  readonly beatFile: string;
  /** The beat to continue from. */
  readonly last: number;
  commits(): number;
  /** Commits a beat; resolves when it is on disk. */
  commit(beat: number): Promise<void>;
}

/**
 * Counts beats in the database and records each one outside of it once it is on disk, so that the
 * next start notices lost commits.
 */
export class Beats {
  readonly #parts: BeatsParts;
  #last: number;
  #commits = 0;
  readonly #looks = periodic({
    everyMs: BEAT_EVERY_MS,
    work: () => this.#look(),
    // If it cannot be written, the commits before it have reported that.
    onError: () => undefined,
  });

  constructor(parts: BeatsParts) {
    this.#parts = parts;
    this.#last = parts.last;
    this.#looks.start();
  }

  /** Waits for the current record. */
  stop(): Promise<void> {
    return this.#looks.stop();
  }

  async #look(): Promise<void> {
    if (this.#parts.commits() === this.#commits) return;
    this.#commits = this.#parts.commits();
    await this.#beat();
  }

  async #beat(): Promise<void> {
    const { commit, databaseFile, beatFile } = this.#parts;
    const beat = this.#last + 1;
    await commit(beat);
    this.#last = beat;
    this.#commits = this.#parts.commits();
    const noted: NotedBeat = { database: realpathSync(databaseFile), beat };
    // Not synced: a lost record leaves an older one, which claims less.
    await writeFile(`${beatFile}.new`, `${JSON.stringify(noted)}\n`, { mode: 0o600 });
    await rename(`${beatFile}.new`, beatFile);
  }
}

function parse(beatFile: string): NotedBeat | null {
  try {
    const { database, beat } = JSON.parse(readFileSync(beatFile, "utf8")) as Partial<NotedBeat>;
    return typeof database === "string" && Number.isSafeInteger(beat) ? { database, beat: Number(beat) } : null;
  } catch {
    return null;
  }
}

const CHECK_EVERY_MS = 1000;
/** Only an operator brings the file back. */
const GONE_RETRY_MS = 30_000;
/** Ingest asks before each request; the pages of the database are counted at most this often. */
const COUNT_EVERY_MS = 20;

/** The size limit of the database, `maxDbBytes`. */
interface DatabaseLimit {
  readonly maxBytes: number;
  usedBytes(): number;
  /** How many sets of ingest did not fit. */
  refusals(): number;
}

/**
 * Refuses to store more while a written disk has less free space than configured, or the database
 * has used the part of `maxDbBytes` that ingest may fill. Checks every second, so it recovers
 * without help.
 */
export class StorageGuard {
  readonly #dirs: readonly string[];
  readonly #minFreeBytes: number;
  readonly #database: DatabaseLimit | null;
  readonly #log: Logger;
  readonly #checks = periodic({ everyMs: CHECK_EVERY_MS, work: () => this.#check() });
  #freeBytes = Number.POSITIVE_INFINITY;
  #isOverLimit = false;
  #isGone = false;
  readonly #looksGone: () => boolean;
  #countedAt = Number.NEGATIVE_INFINITY;
  #refusals = 0;

  /**
   * @param dirs of the database and of the data directory, which may be on different disks.
   * @param looksGone whether the file of the database was removed or replaced
   */
  constructor(
    dirs: readonly string[],
    minFreeBytes: number,
    log: Logger,
    database: DatabaseLimit | null = null,
    looksGone: () => boolean = () => false,
  ) {
    this.#looksGone = looksGone;
    this.#dirs = [...new Set(dirs)];
    this.#minFreeBytes = minFreeBytes;
    this.#log = log;
    this.#database = database;
  }

  async start(): Promise<void> {
    await this.#checks.run();
    this.#checks.start();
  }

  stop(): void {
    void this.#checks.stop();
  }

  /** Free space of the disk with the least. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Why ingest is refused; null while it is not. */
  get problem(): "disk" | "limit" | null {
    if (this.#freeBytes < this.#minFreeBytes) return "disk";
    return this.#isOverLimit ? "limit" : null;
  }

  get isFull(): boolean {
    return this.problem !== null;
  }

  /** @throws STORAGE_FULL; DATABASE_UNAVAILABLE when what is stored would be lost */
  requireSpace(): void {
    if (this.#isGone)
      throw new PrismError("DATABASE_UNAVAILABLE", "The database file was removed or replaced; nothing was stored", {
        retryAfterMs: GONE_RETRY_MS,
      });
    if (this.problem === "disk")
      throw new PrismError("STORAGE_FULL", "The disk has too little free space; nothing was stored");
    if (this.#database === null) return;
    if (this.#isOverLimit || performance.now() - this.#countedAt >= COUNT_EVERY_MS) this.#count(this.#database);
    if (this.#isOverLimit) throw databaseLimitReached();
  }

  #count({ maxBytes, usedBytes, refusals }: DatabaseLimit): void {
    const limitBytes = ingestLimitBytes(maxBytes);
    const [used, refused] = [usedBytes(), refusals()];
    const wasOver = this.#isOverLimit;
    const hasRefused = refused !== this.#refusals;
    this.#refusals = refused;
    this.#isOverLimit = used >= (wasOver || hasRefused ? ingestResumesBytes(maxBytes) : limitBytes);
    this.#countedAt = performance.now();
    if (wasOver === this.#isOverLimit) return;
    const fields = { usedBytes: used, limitBytes, maxDbBytes: maxBytes };
    if (wasOver) this.#log.info(fields, "database is below its size limit again; accepting all writes");
    else this.#log.error(fields, "database reached its size limit; refusing writes that fill it with 507");
  }

  async #check(): Promise<void> {
    this.#isGone = this.#looksGone();
    if (this.#database) this.#count(this.#database);
    const wasFull = this.#freeBytes < this.#minFreeBytes;
    try {
      this.#freeBytes = await leastFreeBytes(this.#dirs);
    } catch (error) {
      this.#log.warn({ err: error }, "cannot read the free disk space");
    }
    const isFull = this.#freeBytes < this.#minFreeBytes;
    if (isFull === wasFull) return;
    const fields = { freeBytes: this.#freeBytes, minFreeBytes: this.#minFreeBytes };
    if (isFull)
      this.#log.error(
        fields,
        "too little free disk space; refusing events, notifications and timers with 507 until there is more",
      );
    else this.#log.info(fields, "enough free disk space again; accepting all writes");
  }
}
