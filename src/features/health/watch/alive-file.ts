import { readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../../core/log.ts";
import type { Clock, EpochMs } from "../../../core/time/clock.ts";
import { periodic } from "../../../core/time/periodic.ts";

export const TOUCH_EVERY_MS = 15_000;

const WITHOUT_LEADER = "without a leader";

/** When an earlier server of the data directory was last alive. */
export interface LastAlive {
  readonly at: EpochMs;
  /** It was stopped; otherwise it crashed, was killed, or lost its power. */
  readonly wasStopped: boolean;
  /** Since then the node of a cluster heard no leader; whether one ran elsewhere is not known. */
  readonly hadNoLeader: boolean;
}

/**
 * The file `alive`, whose time of change is moved every 15 seconds: also while nothing can be stored,
 * and without a write to the database of an idle server. It is not part of a backup, so that a
 * restored server does not report the age of the archive.
 */
export class AliveFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #touches = periodic({
    everyMs: TOUCH_EVERY_MS,
    work: () => this.#touch(),
    onError: (error) => this.#report(error),
  });
  #isReported = false;

  constructor(dataDir: string, clock: Clock, log: Logger) {
    this.#path = join(dataDir, "alive");
    this.#clock = clock;
    this.#log = log;
  }

  /** @returns null if there was no server, or its file cannot be read */
  read(): LastAlive | null {
    try {
      const state = readFileSync(this.#path, "utf8").trim();
      // A file system keeps fractions: the time is stored in seconds.
      const at = Math.round(statSync(this.#path).mtimeMs);
      return { at, wasStopped: state === "stopped", hadNoLeader: state === WITHOUT_LEADER };
    } catch {
      return null;
    }
  }

  /** A server of the same data lives now: this one, or the leader of its cluster. */
  note(): void {
    this.#write("running");
  }

  /** No leader is heard any more: the time of the last one stays. */
  noteWithoutLeader(): void {
    const last = this.read();
    if (last && !last.hadNoLeader) this.#write(WITHOUT_LEADER, last.at);
  }

  start(): void {
    this.note();
    this.#touches.start();
  }

  stop(): void {
    void this.#touches.stop();
    this.#write("stopped");
  }

  #write(state: "running" | "stopped" | typeof WITHOUT_LEADER, at = this.#clock.now()): void {
    try {
      writeFileSync(this.#path, `${state}\n`, { mode: 0o600 });
      const seconds = at / 1000;
      utimesSync(this.#path, seconds, seconds);
    } catch (error) {
      this.#report(error);
    }
  }

  async #touch(): Promise<void> {
    const seconds = this.#clock.now() / 1000;
    await utimes(this.#path, seconds, seconds);
  }

  /** Once: the next start then reports a longer down time, or none. */
  #report(err: unknown): void {
    if (!this.#isReported) this.#log.warn({ err }, "cannot write the file alive; downtime may not be reported");
    this.#isReported = true;
  }
}
