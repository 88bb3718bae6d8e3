import { readFileSync, realpathSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";

/** The row that counts the beats of a database. */
const BEAT_SETTING = "store.beat";
/** While something is committed, one commit in this time is a beat. */
const BEAT_EVERY_MS = 2000;

export const BEAT_SQL = `insert into settings (key, value, updatedAt) values ('store.beat', ?, ?)
  on conflict (key) do update set value = excluded.value, updatedAt = excluded.updatedAt`;

/** What a server notes outside the database: this beat of this file was on disk. */
interface NotedBeat {
  readonly database: string;
  readonly beat: number;
}

/** Where the beat is noted; it belongs to the database and goes with it. */
export function beatFileOf(dataDir: string): string {
  return join(dataDir, "store.beat");
}

export function storedBeat(connection: Sqlite): number {
  const read = connection.prepare<[string], number>("select value from settings where key = ?").pluck();
  return read.get(BEAT_SETTING) ?? 0;
}

/** The beat that was noted for a database; 0 when none was, or for another file. */
export function notedBeat(beatFile: string, databaseFile: string): number {
  const noted = parse(beatFile);
  return noted?.database === realpathSync(databaseFile) ? noted.beat : 0;
}

/** Says that acknowledged commits are missing; null when the database holds the beat that was noted. */
export function lostCommits(connection: Sqlite, beatFile: string, databaseFile: string): string | null {
  if (notedBeat(beatFile, databaseFile) <= storedBeat(connection)) return null;
  return "the database lacks commits that an earlier server acknowledged: its log (-wal) was removed, or an older copy was put in its place";
}

export interface BeatsParts {
  readonly databaseFile: string;
  readonly beatFile: string;
  /** The beat to go on from. */
  readonly last: number;
  /** How many commits this process has made. */
  commits(): number;
  /** Commits the number of a beat; resolves when it is on disk. */
  commit(beat: number): Promise<void>;
}

/** Counts beats in the database and notes each one outside of it, once it is on disk: what is missing later is noticed at the next start. */
export class Beats {
  readonly #parts: BeatsParts;
  #last: number;
  #commits = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: BeatsParts) {
    this.#parts = parts;
    this.#last = parts.last;
    this.#timer = setInterval(() => this.#look(), BEAT_EVERY_MS);
    this.#timer.unref();
  }

  /** Waits for the note under way. */
  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.#running;
  }

  #look(): void {
    if (this.#parts.commits() === this.#commits) return;
    this.#commits = this.#parts.commits();
    // Where it cannot be written, the commits before it have said so.
    this.#running = this.#running.then(() => this.#beat()).catch(() => undefined);
  }

  async #beat(): Promise<void> {
    const { commit, databaseFile, beatFile } = this.#parts;
    const beat = this.#last + 1;
    await commit(beat);
    this.#last = beat;
    this.#commits = this.#parts.commits();
    const noted: NotedBeat = { database: realpathSync(databaseFile), beat };
    // Not synced: a note that is lost is an older one, and that claims less.
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
